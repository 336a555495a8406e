"""A backfill beside other runs: no row is lost, none is doubled."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from ingestion import job
from warehouse import publish
from warehouse.errors import CommitConflict
from warehouse.query import stale_dates

NIGHTS = [dt.date(2026, 3, day) for day in (1, 2, 3)]
ALL = ["1 1a", "1 1b", "2 2a", "2 2b", "3 3a", "3 3b"]
OTHER = {"source": "renamed"}  # settings under which every turn gets another id


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable, times: int) -> list:
    """Let something happen between the plan and the publish of the first `times` runs."""
    happened: list[None] = []
    once = publish.publish

    def then_publish(*args: Any, **words: Any) -> Any:
        if len(happened) < times:
            happened.append(None)
            with monkeypatch.context() as patch:
                patch.setattr(publish, "publish", once)
                what()
        return once(*args, **words)

    monkeypatch.setattr(publish, "publish", then_publish)
    return happened


def test_a_log_that_a_nightly_adds_meanwhile_is_a_conflict_that_is_retried(
    world, monkeypatch
) -> None:
    late = world.log("late.jsonl", "late")
    world.ingest(NIGHTS[1], world.log("early.jsonl", "early"))  # so that there is work
    happened = meanwhile(monkeypatch, lambda: world.ingest(NIGHTS[1], late), 1)
    code, states, _ = world.again("mine", 1, 4)
    assert (code, states, len(happened)) == (0, {"01": "unchanged", "02": "done",
                                                 "03": "unchanged"}, 1)  # fmt: skip
    judged = world.sql("SELECT conversation_id FROM signals WHERE log_date = '2026-03-02'")
    assert sorted(judged) == [("2a",), ("2b",), ("early",), ("late",)]
    assert stale_dates(world.catalog) == []


def test_a_nightly_that_reads_the_same_log_meanwhile_is_not_undone(world, monkeypatch) -> None:
    """It has grown since the backfill read it; the nightly got there first."""
    world.log("2.jsonl", "2a", "2b", "2c")
    once = job.settle

    def grown_meanwhile(scene):
        monkeypatch.setattr(job, "settle", once)
        monkeypatch.setattr(job, "FileLock", _NoLock)  # the nightly works on another machine
        world.log("2.jsonl", "2a", "2b", "2c", "2d")
        world.ingest(NIGHTS[1], world.folder / "2.jsonl")
        return once(scene)

    monkeypatch.setattr(job, "settle", grown_meanwhile)
    monkeypatch.setattr(job, "FileLock", _NoLock)
    code, states, _ = world.again("ingest", 2, 3)
    assert (code, states) == (0, {"02": "unchanged"})
    assert world.shown() == [*ALL[:4], "2 2c", "2 2d", *ALL[4:]]


class _NoLock:
    def __init__(self, *_: Any) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_a_date_in_conflict_again_and_again_is_reported_and_the_others_go_on(
    world, monkeypatch
) -> None:
    logs = iter([world.log(f"late-{n}.jsonl", f"late-{n}") for n in range(9)])
    world.ingest(NIGHTS[0], next(logs))
    world.ingest(NIGHTS[1], next(logs))
    meanwhile(monkeypatch, lambda: world.ingest(NIGHTS[0], next(logs)), 3)
    code, states, report = world.again("mine", 1, 4)
    assert (code, states) == (1, {"01": "failed", "02": "done", "03": "unchanged"})
    assert "another run has published it" in report["dates"][0]["message"]
    monkeypatch.undo()
    assert world.again("mine", 1, 4)[:2] == (
        0, {"01": "done", "02": "unchanged", "03": "unchanged"},
    )  # fmt: skip


def test_a_slow_old_run_gives_way_to_a_newer_backfill(world, monkeypatch) -> None:
    world.log("2.jsonl", "2a", "2b", "2c")
    meanwhile(monkeypatch, lambda: world.again("ingest", 2, 3, **OTHER), 1)
    monkeypatch.setattr(job, "FileLock", _NoLock)
    with pytest.raises(CommitConflict):
        world.ingest(NIGHTS[1], world.folder / "2.jsonl")
    assert world.sql("SELECT DISTINCT source FROM turns WHERE log_date = '2026-03-02'") == [
        ("renamed",)
    ]
    assert world.shown() == [*ALL[:4], "2 2c", *ALL[4:]]
