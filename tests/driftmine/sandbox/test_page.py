"""The sandbox's page and plots, of made-up results."""

import datetime as dt
import struct
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from driftmine.sandbox import lines, plots, render
from driftmine.sandbox.groups import gate_of, grouped, headline
from driftmine.sandbox.page import write
from driftmine.sandbox.results import NightResult, RunResult

NOW = dt.datetime(2026, 2, 1, 3, 30, tzinfo=dt.UTC)
HOSTILE = "drift-<script>alert('$x_{')</script>{{ 7 * 7 }}-seed0"
REASON = "kl: 0.9 nats an answer, the limit is 0.5"
# What a night without an update has not.
NONE = {
    "candidate_reward": None, "candidate_error": None, "pairs": 0, "clean_turns": None,
    "hostile_turns": None, "kl": None,
    "kl_base": None, "length_ratio": None, "gradient_norm": None, "gradient_norm_after": None,
    "margin": None, "chosen_change": None, "version": None, "promoted": False,
    "note": "waiting: 10 fresh turns of 32", "detector_precision": None, "detector_recall": None,
}  # fmt: skip
HELD = {"promoted": False, "kl": 0.9, "gate": (REASON,), "candidate_reward": 0.1}


def night(number: int, reward: float, **fields: object) -> NightResult:
    made = NightResult(
        night=number, log_date=dt.date(2026, 1, number), served_by="base", true_reward=reward,
        reward_error=0.013, drawn_reward=0.5, greedy_reward=0.62, told_reward=0.7,
        distinct_correct=0.9, tokens=5.9, candidate_reward=reward, candidate_error=0.013,
        answers=3_000, follow_ups=1_800, dsat_true=0.67, dsat_said=0.65, dsat_mined=0.56,
        detector_precision=0.83, detector_recall=0.71, pairs=380, clean_turns=0.84,
        hostile_turns=0.0, kl=0.05, kl_base=-0.001, length_ratio=1.01, gradient_norm=2.4,
        gradient_norm_after=2.1, margin=0.02, chosen_change=0.01,
        version=f"v{number:04}-{round(reward * 1e6):08x}", promoted=True, gate=(), note="",
        seconds={"serve": 9.5, "train": 16.0},
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)


def run(
    name: str, *nights: NightResult, base: float = 0.3, ablations: tuple[str, ...] = ()
) -> RunResult:
    return RunResult(
        name=name, method=name.partition("-")[0], seed=0, learning_rate=1.5e-5,
        ablations=ablations, base_reward=base, base_error=0.013, base_drawn=0.5,
        base_greedy=0.6, base_told=0.7, base_distinct=0.9, nights=nights,
    )  # fmt: skip


def rewards(name: str, *values: float, ablations: tuple[str, ...] = ()) -> RunResult:
    return run(name, *(night(n, value) for n, value in enumerate(values, 1)), ablations=ablations)


RUNS = (
    rewards("drift-seed0", 0.34, 0.38, 0.44),
    rewards("drift-seed1", 0.33, 0.35, 0.42),
    run("iterdpo-seed0", night(1, 0.31), night(2, 0.31, **NONE), night(3, 0.31, **HELD)),
    rewards("spin-seed0", 0.305, 0.299, 0.302),
    rewards(HOSTILE, 0.2),
)


def test_the_page_holds_every_run_and_every_night(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra `detector`")
    written = write(tmp_path / "deep", RUNS, NOW)
    page = Path(written.page).read_text()
    assert Path(written.page) == tmp_path / "deep" / "report.html"
    for one in RUNS[:-1]:
        assert f"<h2>{one.name}</h2>" in page
        assert f"{tmp_path}/deep/{one.name}/home" in page
        assert all(n.version in page for n in one.nights if n.version)
    assert "waiting: 10 fresh turns of 32" in page
    assert REASON in page
    assert page.count("data:image/png;base64,") == len(plots.NAMES) == 4
    pngs = [Path(path) for path in written.plots]
    assert [png.stem for png in pngs] == list(plots.NAMES)
    assert [size(png.read_bytes()) for png in pngs[:3]] == [(1600, 900), (1600, 900), (1600, 576)]
    assert written.no_plots == ""


def size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, of the header."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


ODD = {
    "one night": (rewards("drift-seed0", 0.31),),
    "held on its only night": (run("drift-seed0", night(1, 0.3, **HELD)),),
    "never an update": (run("spin-seed0", night(1, 0.3, **NONE), night(2, 0.3, **NONE)),),
}  # fmt: skip


@pytest.mark.parametrize("done", ODD.values(), ids=ODD)
def test_plots_of_what_is_hardly_there(done: tuple[RunResult, ...]) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra `detector`")
    assert set(plots.draw(grouped(done))) == set(plots.NAMES)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.mark.usefixtures("without")
def test_without_matplotlib_there_are_all_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "loop.png").write_bytes(b"of an earlier page")
    written = write(tmp_path, RUNS, NOW)
    assert written.plots == ()
    assert ".[detector]" in written.no_plots
    page = Path(written.page).read_text()
    assert ".[detector]" in page
    assert "<img" not in page
    assert "2026-02-01 03:30 UTC" in page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.usefixtures("without")
def test_logs_that_were_held_back_are_named_though_a_version_was_promoted(tmp_path: Path) -> None:
    held = "2026-01-01.jsonl: 3 of 10 records cannot be read"
    done = (run("drift-seed0", night(1, 0.4, note=held)),)
    written = write(tmp_path, done, NOW)
    assert held in Path(written.page).read_text()
    console = Console(width=100, record=True)
    console.print(render.table(done, written))
    assert f"night 1: {held}" in console.export_text()


@pytest.mark.usefixtures("without")
def test_a_name_can_do_nothing(tmp_path: Path) -> None:
    page = Path(write(tmp_path, RUNS, NOW).page).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert "http" not in page


HEADLINES = {
    "gained, whatever the seed": (
        (rewards("drift-seed0", 0.38), rewards("drift-seed1", 0.36)),
        "After one night of learning from its users, DRIFT raised the share of right answers from "
        "30.0% to 37.0% (2 runs: 36.0% to 38.0%).",
    ),
    "lost": (
        (rewards("drift-seed0", 0.3, 0.1),),
        "After 2 nights of learning from its users, DRIFT made the policy worse: right answers "
        "fell from 30.0% to 10.0% (one run).",
    ),
    "too little": (
        (rewards("spin-seed0", 0.33),),
        "After one night of learning from its users, SPIN changed nothing that stands out from "
        "chance: from 30.0% to 33.0% (one run).",
    ),
    "enough, but the seeds differ": (
        (rewards("iterdpo-seed0", 0.5), rewards("iterdpo-seed1", 0.29)),
        "After one night of learning from its users, IterDPO changed nothing that stands out from "
        "chance: from 30.0% to 39.5% (2 runs: 29.0% to 50.0%).",
    ),
}  # fmt: skip


@pytest.mark.parametrize("done, sentence", HEADLINES.values(), ids=HEADLINES)
def test_the_headline_says_what_may_be_said(done: tuple[RunResult, ...], sentence: str) -> None:
    assert headline(grouped(done))[0] == sentence


def test_the_headline_of_several() -> None:
    free = rewards("drift-no-gate-0.001-seed0", 0.1, ablations=("no-gate",))
    assert headline(grouped((free, rewards("drift-unguided-seed0", 0.5), *RUNS[1:3])))[1:] == [
        "IterDPO changed nothing that stands out from chance: from 30.0% to 31.0% (one run).",
        # Of three runs: what had no gate is not its doing.
        "Of 6 updates the gate let 5 through (0 clearly worse than what had served) and held 1 "
        "(1 clearly worse, 0 clearly better).",
        "DRIFT no-gate-0.001 made the policy worse: right answers fell from 30.0% to 10.0% "
        "(one run).",
    ]


def test_the_gate_is_held_against_the_version_before() -> None:
    found = gate_of([
        run(
            "drift-seed0",
            night(1, 0.5),
            night(2, 0.5, promoted=False, candidate_reward=0.4),  # rightly held
            night(3, 0.5, promoted=False, candidate_reward=0.6),  # wrongly
            night(4, 0.5, promoted=False, candidate_reward=0.49),  # who can tell
            night(5, 0.3),  # wrongly promoted
            night(6, 0.3, **NONE),
        )
    ])  # fmt: skip
    assert (found.promoted, found.promoted_worse) == (2, 1)
    assert (found.held, found.held_worse, found.held_better) == (3, 1, 1)
    assert found.without == 1


def test_a_held_version_is_as_uncertain_as_itself() -> None:
    """The champion's error says nothing of the one that was held."""
    held = night(1, 0.3, promoted=False, candidate_reward=0.4, candidate_error=0.2)
    assert gate_of([run("drift-seed0", held)]).held_better == 0
    sure = msgspec.structs.replace(held, candidate_error=0.013, reward_error=0.2)
    assert gate_of([run("drift-seed0", sure)]).held_better == 1


def test_groups_are_runs_that_differ_by_their_seed() -> None:
    names = ("drift-no-caps-seed1", "spin-seed10", "drift-seed0", "drift-no-caps-seed12")
    groups = grouped([rewards(name, 0.3) for name in names])
    assert [(group.label, len(group.runs)) for group in groups] == [
        ("SPIN", 1), ("DRIFT", 1), ("DRIFT no-caps", 2),
    ]  # fmt: skip
    looks = lines.looks(groups)
    assert len({look.colour for look in looks.values()}) == 3
    assert looks["drift"].marker == looks["drift-no-caps"].marker


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=9))
def test_names_at_the_ends_never_overlap(heights: list[float]) -> None:
    apart = lines._apart(heights)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [apart[i] for i in order]
    assert all(b - a >= lines._GAP - 1e-9 for a, b in zip(placed, placed[1:], strict=False))
    if len(heights) == 1:
        assert apart == heights
