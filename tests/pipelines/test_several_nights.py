"""`ingest` and `mine` over several dates: one that is held back, and SIGTERM between two."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NIGHTS = ("2026-11-01", "2026-11-02", "2026-11-03")


@pytest.fixture
def logs(tmp_path: Path) -> str:
    """A log a night, as a pattern."""
    for night in NIGHTS:
        said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        chat = {"id": night, "messages": [*said, {"role": "user", "content": "No, wrong."}]}
        (tmp_path / f"{night}.jsonl").write_text(json.dumps(chat) + "\n")
    return str(tmp_path / "{date}.jsonl")


@pytest.fixture
def shown(driftmine: Callable, tmp_path: Path) -> Callable[[str], list[str]]:
    """The nights that a view shows."""

    def show(view: str) -> list[str]:
        query = f"SELECT DISTINCT log_date::VARCHAR AS day FROM {view} ORDER BY 1"
        found = driftmine("sql", query, "--home", tmp_path / "home", "--json").json()
        return [row["day"] for row in found["rows"]]

    return show


def test_a_night_that_is_held_back_does_not_hold_back_the_later_ones(
    driftmine: Callable, logs: str, shown: Callable, tmp_path: Path
) -> None:
    (tmp_path / "2026-11-02.jsonl").write_text("nothing\nthat anyone knows\n")
    words = ("ingest", logs, "--home", tmp_path / "home")
    done = driftmine(*words, "--json")
    assert done.exit_code == 3
    assert "2 of 2 lines were rejected" in done.json()["held_logs"]
    assert [date["log_date"] for date in done.json()["dates"]] == ["2026-11-01", "2026-11-03"]
    assert shown("turns") == ["2026-11-01", "2026-11-03"]
    only = driftmine(*words, "--json")  # the others are there already
    assert (only.exit_code, only.json()["error"]) == (3, "QualityLimit")
    (tmp_path / "2026-11-04.jsonl").write_text((tmp_path / "2026-11-01.jsonl").read_text())
    told = driftmine(*words).stdout
    assert "NOT INGESTED" in told
    assert "2 of 2 lines were rejected" in told


@pytest.fixture
def after_one(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Send SIGTERM after a function was called once."""

    def patch(name: str) -> None:
        module, _, attribute = name.rpartition(".")
        call = getattr(__import__(module, fromlist=["_"]), attribute)

        def called(*args: object, **kwargs: object) -> object:
            found = call(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGTERM)
            return found

        monkeypatch.setattr(name, called)

    former = signal.getsignal(signal.SIGTERM)
    yield patch
    signal.signal(signal.SIGTERM, former)


# What is begun, which view shows how far it came.
STAGES = {
    "ingest": ("ingestion.job.ingest", "turns"),
    "mine": ("mining.job.mine", "signals"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_sigterm_ends_between_two_nights(
    driftmine: Callable,
    logs: str,
    shown: Callable,
    after_one: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    home = tmp_path / "home"
    words = ("ingest", logs) if stage == "ingest" else ("mine",)
    if stage == "mine":
        assert driftmine("ingest", logs, "--home", home).exit_code == 0
    name, view = STAGES[stage]
    after_one(name)
    stopped = driftmine(*words, "--home", home)
    assert stopped.exit_code == 1
    assert "Stopped by SIGTERM at a safe point" in stopped.stderr
    assert shown(view) == ["2026-11-01"]
    monkeypatch.undo()
    assert driftmine(*words, "--home", home).exit_code == 0
    assert shown(view) == list(NIGHTS)
