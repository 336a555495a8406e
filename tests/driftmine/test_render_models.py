"""What `driftmine models show` prints of a judge, also of a version from before it was told."""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from driftmine.models import Shown
from driftmine.render_models import version
from driftmine.report.updates import figures
from tests.training.registering import REPORT, register
from training import registry
from training.judging.judgement import Answers, judgement, rated
from training.judging.questions import Verdict
from training.judging.wildbench import Grade
from training.judging.winrate import win_rate

# As an update without a judge's further figures wrote it.
OLD = {
    "pairs": {"chosen_change": 0.01, "rejected_change": -0.02},
    "distinct_share": 0.9,
    "slices": [],
    "win_rate": asdict(win_rate([1, 0.5], ["a", "b"], seed=0)),
    "judged_by": "judge:m:compare_v1",
    "unjudged": 0,
}


def judged() -> dict[str, Any]:
    """As an update writes it now."""
    answers = Answers(ours=("a", "b"), theirs=("aa", "bb"), clusters=("u", "v"))
    verdicts = [Verdict(first=Grade.A, second=Grade.B)] * 2
    said = judgement(verdicts, answers, ratings=rated([8, 8], [7, 5], ("u", "v")))
    return OLD | {"judgement": asdict(said)}


def printed(models: Path, metrics: dict[str, Any] | None) -> str:
    """A version is registered, read back and shown."""
    name = register(models, "default-000001", REPORT | {"metrics": metrics})
    manifest = registry.read(models, name)
    list(figures(manifest.report))  # the page of reports bears it too
    shown = Shown(
        manifest=manifest, erased_turns=0, pruned=False, pruned_at=None, damage=[],
        changed_settings={}, lineage=[], turns=[],
    )  # fmt: skip
    out = io.StringIO()
    Console(file=out, width=120).print(version(shown))
    return out.getvalue()


WIN_RATE = "win rate by judge:m:compare_v1  75.0% (50.0% to 100.0%), 2 users"
FURTHER = ("LC (minimal)", "WildBench reward", "WildBench score", "+4.00 (+2.00 to +6.00)")
CASES: dict[str, tuple[dict[str, Any] | None, tuple[str, ...]]] = {
    "judged": (judged(), (WIN_RATE, *FURTHER)),
    "judged by an older version": (OLD, (WIN_RATE,)),
    "not judged": (OLD | {"win_rate": None, "judged_by": ""}, ()),
    "nothing held out": (None, ()),
}


@pytest.mark.parametrize("metrics, there", CASES.values(), ids=CASES)
def test_a_version_shows_what_a_judge_said(
    metrics: dict[str, Any] | None, there: tuple[str, ...], tmp_path: Path
) -> None:
    page = printed(tmp_path, metrics)
    assert {words for words in (WIN_RATE, *FURTHER) if words in page} == set(there)
    assert ("Judged" in page) == bool(there)
