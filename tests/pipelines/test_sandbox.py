"""The sandbox in miniature: two nights of the whole loop on simulated users."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.conftest import Done

pytest.importorskip("apache_beam")
pytest.importorskip("torch")

from driftmine.sandbox import loop, product, setup  # noqa: E402
from training import cycle, registry  # noqa: E402
from warehouse import leases  # noqa: E402

SMALL = ("--nights", 2, "--users-per-night", 200, "--pairs", 48)
RUN = Path("sandbox/drift-users-200-pairs-48-seed0")
Call = Callable[..., Done]


def nights(done: Done, method: str = "drift", seed: str = "0") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = done.json()["methods"][method][seed]["nights"]
    return found


@pytest.fixture(scope="module")
def whole(driftmine: Call, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """An undisturbed run, and where it lies."""
    home = tmp_path_factory.mktemp("sandbox")
    return home, driftmine("sandbox", *SMALL, "--home", home, "--json")


def same(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what differs from run to run: a version is named after its batch."""
    own = ("seconds", "version", "served_by")
    return [{k: v for k, v in night.items() if k not in own} for night in found]


def test_the_loop_closes(whole: tuple[Path, Done]) -> None:
    home, done = whole
    assert done.exit_code == 0
    first, second = nights(done)
    assert (first["night"], first["served_by"], second["night"]) == (1, "base", 2)
    assert first["promoted"] and second["served_by"] == first["version"]
    for night in (first, second):
        assert 24 <= night["pairs"] <= 48 and 0.5 < night["clean_turns"] <= 1
        assert night["dsat_true"] > 0.3 and 0.2 < night["dsat_mined"] < 0.9
        assert night["detector_precision"] > 0.6 and night["detector_recall"] > 0.4
        assert 0 < night["true_reward"] < 1 and night["kl"] < 0.5
    assert Path(done.json()["page"]).read_text().count("drift") > 1


def test_its_home_is_a_home(whole: tuple[Path, Done], driftmine: Call) -> None:
    home, done = whole
    rows = "SELECT log_date, count(*) AS n FROM signals GROUP BY 1 ORDER BY 1"
    found = driftmine("sql", rows, "--home", home / RUN / "home", "--json")
    counts = [row["n"] for row in found.json()["rows"]]
    assert counts == [night["follow_ups"] for night in nights(done)]


def test_what_is_done_is_not_done_again(whole: tuple[Path, Done], driftmine: Call) -> None:
    home, done = whole
    again = driftmine("sandbox", *SMALL, "--home", home, "--json")
    assert nights(again) == nights(done)


class Killed(BaseException):
    """As hard as a signal: nothing that catches errors sees it."""


def killed_after(result: Path, as_it_is: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        if result.exists():
            raise Killed
        return as_it_is(*given, **named)

    return call


# Night, and what is put in the place of what, so that the process ends there.
MOMENTS = {
    "before the log is written": (1, product, "_record"),
    "in the update": (1, cycle, "judge"),
    "once the version counts, before it has its name": (1, registry, "reveal"),
    "before it is promoted": (1, registry, "set_alias"),
    "before the result is written": (1, loop, "result_of"),
    "before the log of what it serves is written": (2, product, "_record"),
    "in an update of a version": (2, cycle, "judge"),
}


@pytest.mark.chaos
def test_a_night_that_was_killed_is_gone_on_with(
    whole: tuple[Path, Done],
    driftmine: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At one moment after the other, in the same run; its batch is left leased, as by SIGKILL."""
    monkeypatch.setattr(setup, "LEASE_HOURS", 0.004)  # the next try waits for it
    results = tmp_path / RUN / "nights"
    for number, module, name in MOMENTS.values():
        done, as_it_is = results / f"{number - 1}.json", getattr(module, name)
        with monkeypatch.context() as broken:
            broken.setattr(module, name, killed_after(done, as_it_is))
            broken.setattr(leases, "release", lambda *_: None)
            with pytest.raises(Killed):
                driftmine("sandbox", *SMALL, "--home", tmp_path, "--quiet")
        assert done.exists() and not (results / f"{number}.json").exists()
    mended = driftmine("sandbox", *SMALL, "--home", tmp_path, "--json")
    assert same(nights(mended)) == same(nights(whole[1]))


def test_more_pairs_than_there_are(driftmine: Call, tmp_path: Path) -> None:
    """In the folder of a try with a wrong policy, which left nothing there."""
    words = ("--nights", 1, "--users-per-night", 8, "--pairs", 500, "--home", tmp_path)
    assert driftmine("sandbox", *words, "--policy", tmp_path / "typo").exit_code == 2
    done = driftmine("sandbox", *words, "--json")
    (night,) = nights(done)
    assert done.exit_code == 0 and not night["promoted"] and night["version"] is None
    assert night["note"].endswith("fresh trainable turns, 32 needed")


BAD = {
    "no folder": ("there is no policy", lambda folder: None),
    "no weights": ("config.json", lambda folder: (folder / "config.json").write_text("{}")),
}


@pytest.mark.parametrize("says, make", BAD.values(), ids=BAD)
def test_a_policy_that_cannot_be_loaded(
    says: str, make: Callable[[Path], object], driftmine: Call, tmp_path: Path
) -> None:
    policy = tmp_path / "policy"
    if says != "there is no policy":
        policy.mkdir()
    make(policy)
    done = driftmine("sandbox", "--policy", policy, "--home", tmp_path / "home", "--json")
    assert done.exit_code == 2 and json.loads(done.stdout)["error"] == "PolicyUnusable"
    assert str(policy) in done.stderr
    assert not list(tmp_path.glob("home/sandbox/*"))


REFUSED = {
    "nobody's folder": ("--policy", "~nobody-of-that-name/policy"),
    "a rate that is none": ("--lr", "nan"),
    "an error without end": ("--method", "iterdpo", "--reward-noise", "inf"),
    "no nights": ("--nights", "0"),
    "no such ablation": ("--ablation", "gate"),
}


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], driftmine: Call, tmp_path: Path
) -> None:
    done = driftmine("sandbox", *words, "--home", tmp_path / "home")
    assert done.exit_code == 2 and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("home/sandbox/*"))


def test_help_names_every_ablation(driftmine: Call) -> None:
    shown = re.sub(r"-\s+", "-", driftmine("sandbox", "--help").stdout)  # lines end at hyphens
    assert {*setup.ABLATIONS} <= {*re.findall(r"[\w-]+", shown)}


def test_another_setup_in_the_same_folder(
    whole: tuple[Path, Done], driftmine: Call, tmp_path: Path
) -> None:
    """Runs are told apart by their names; what a name does not say is compared."""
    mark = tmp_path / RUN / "setup.json"
    mark.parent.mkdir(parents=True)
    there = json.loads((whole[0] / RUN / "setup.json").read_text())
    there["setup"]["prompts"] = 10
    mark.write_text(json.dumps(there))
    done = driftmine("sandbox", *SMALL, "--home", tmp_path, "--json")
    assert done.exit_code == 2 and "other settings" in done.json()["message"]
