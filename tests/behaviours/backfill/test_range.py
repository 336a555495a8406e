"""What a backfill promises: just these nights, what differs, and no more."""

import dataclasses
import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from driftmine import backfill as program
from driftmine.backfill import Asked, backfill, preview
from driftmine.console import Stopped
from driftmine.erase import erase
from driftmine.session import Session
from ingestion.hashes import user_key
from mining.options import MiningOptions
from warehouse.barred import Bar, bar
from warehouse.query import night_counts, stale_dates, watermark

NIGHTS = [dt.date(2026, 3, day) for day in (1, 2, 3)]
ALL = ["1 1a", "1 1b", "2 2a", "2 2b", "3 3a", "3 3b"]
OTHER = {"source": "renamed"}  # settings under which every turn gets another id


def test_what_differs_in_nothing_is_not_touched(world) -> None:
    before = world.generations()
    for stage in ("ingest", "mine"):
        code, states, report = world.again(stage, 1, 4)
        assert (code, states) == (0, dict.fromkeys(("01", "02", "03"), "unchanged"))
        assert report["total"] == {"unchanged": 3, "lost_logs": 0}
    assert world.moved(before) == set()


def test_ingest_replaces_just_the_nights_of_the_half_open_range(world) -> None:
    before = world.generations()
    code, states, report = world.again("ingest", 2, 3, **OTHER)
    assert (code, states) == (0, {"02": "done"})
    assert report["dates"][0]["why"] == {"another version, settings or barred users": 1}
    tables = ("turns", "conversations", "system_prompts", "seed_pairs", "rejects")
    assert world.moved(before) == {f"{table} 2 2.jsonl" for table in tables}
    assert world.shown() == ALL
    assert stale_dates(world.catalog) == [NIGHTS[1]]
    assert world.again("ingest", 2, 3, **OTHER)[1] == {"02": "unchanged"}
    assert world.again("mine", 1, 4)[1] == {"01": "unchanged", "02": "done", "03": "unchanged"}


def test_mine_replaces_just_the_nights_of_the_half_open_range(world) -> None:
    before = world.generations()
    stricter = dataclasses.replace(MiningOptions(), threshold=1.0)
    call = world.call
    world.call = lambda **_: _with_mining(call(), stricter)
    code, states, report = world.again("mine", 1, 3)
    assert (code, states) == (0, {"01": "done", "02": "done"})
    assert report["dates"][0]["why"] == {"other settings or opt-outs": 1}
    assert {name[: name.rindex(" ")] for name in world.moved(before)} == {
        f"{table} {day}" for table in ("signals", "dsat_turns") for day in (1, 2)
    }
    assert world.again("mine", 1, 3)[1] == {"01": "unchanged", "02": "unchanged"}


def _with_mining(session: Session, options: MiningOptions) -> Session:
    session.__dict__["settings"] = session.settings.model_copy(update={"mining": options})
    return session


def test_a_log_that_was_corrected_replaces_what_came_of_it(world) -> None:
    world.log("2.jsonl", "2a", "2b", "2c")
    code, states, report = world.again("ingest", 1, 4)
    assert (code, states) == (0, {"01": "unchanged", "02": "done", "03": "unchanged"})
    assert report["dates"][1]["why"] == {"the log has changed": 1}
    assert world.shown() == [*ALL[:4], "2 2c", *ALL[4:]]


def test_no_watermark_moves_even_beyond_it(world) -> None:
    """The third night comes from a catalog whose stages have only come to the first."""
    from sqlalchemy import update

    from warehouse.tables import watermarks

    with world.catalog.write() as connection:
        connection.execute(update(watermarks).values(log_date=NIGHTS[0]))
    assert world.again("ingest", 1, 4, **OTHER)[0] == 0
    assert world.again("mine", 1, 4)[0] == 0
    assert [watermark(world.catalog, stage) for stage in ("ingest", "mine")] == [NIGHTS[0]] * 2


def test_a_dry_run_says_why_and_changes_nothing(world) -> None:
    (world.folder / "1.jsonl").unlink()
    world.log("2.jsonl", "2a", "2b", "2c")
    before, runs = world.generations(), world.sql("FROM runs")
    code, states, report = world.again("ingest", 1, 4, preview)
    assert (code, states) == (3, {"01": "unchanged", "02": "due", "03": "unchanged"})
    assert list(report["dates"][0]["lost"].values()) == ["gone, or not to be read"]
    assert world.again("mine", 1, 4, preview)[1] == dict.fromkeys(("01", "02", "03"), "unchanged")
    assert (world.generations(), world.sql("FROM runs")) == (before, runs)
    assert not list((world.catalog.root / "staging").iterdir())


def test_logs_that_are_gone_are_named_and_their_rows_stay(world) -> None:
    (world.folder / "1.jsonl").unlink()
    code, states, report = world.again("ingest", 1, 4, **OTHER)
    assert (code, states) == (3, {"01": "unchanged", "02": "done", "03": "done"})
    assert report["dates"][0]["lost"] == {
        str(world.folder / "1.jsonl"): "gone, or not to be read"
    }  # fmt: skip
    assert world.shown() == ALL


def test_a_log_that_the_next_night_overwrote_stays_with_what_it_gave(world) -> None:
    log = world.log("app.jsonl", "x")
    world.ingest(NIGHTS[0], log)
    world.ingest(NIGHTS[1], world.log("app.jsonl", "y"))
    code, _, report = world.again("ingest", 1, 2)
    assert code == 3
    assert report["dates"][0]["lost"] == {str(log): "holds the log of another night by now"}
    assert {"1 x", "2 y"} <= set(world.shown())


def test_a_log_that_was_read_for_two_nights_is_read_again_for_both(world) -> None:
    log = world.log("app.jsonl", "x")
    world.ingest(NIGHTS[0], log)
    world.ingest(NIGHTS[1], log)
    code, states, report = world.again("ingest", 1, 3, **OTHER)
    assert (code, states) == (0, {"01": "done", "02": "done"})
    assert [date["lost"] for date in report["dates"]] == [{}, {}]


def test_a_log_that_holds_something_else_by_now_is_held_and_the_others_go_on(world) -> None:
    world.log("1.jsonl", "new", "newer")
    world.log("2.jsonl", "2a", "2b", "2c")
    code, states, report = world.again("ingest", 1, 3)
    assert (code, states) == (3, {"01": "held", "02": "done"})
    assert "max_lost_share" in report["dates"][0]["message"]
    assert world.shown() == [*ALL[:4], "2 2c", *ALL[4:]]


class Killed(BaseException):
    """Stands for the end of the process."""


def test_killed_between_dates_it_does_the_rest(world, monkeypatch) -> None:
    done = []
    once = program._done

    def die_at_the_third(session, date, progress):
        if len(done) == 2:
            raise Killed
        done.append(date.log_date)
        return once(session, date, progress)

    monkeypatch.setattr(program, "_done", die_at_the_third)
    with pytest.raises(Killed):
        world.again("ingest", 1, 4, **OTHER)
    monkeypatch.undo()
    code, states, _ = world.again("ingest", 1, 4, **OTHER)
    assert (code, states) == (0, {"01": "unchanged", "02": "unchanged", "03": "done"})
    assert world.shown() == ALL
    assert {n for name, n in world.generations().items() if name.startswith("turns")} == {2}


def test_sigterm_ends_it_between_dates(world, monkeypatch) -> None:
    session, once = world.call(**OTHER), program._done

    def terminated(session, date, progress):
        session.console._stopping.set()
        return once(session, date, progress)

    monkeypatch.setattr(program, "_done", terminated)
    with pytest.raises(Stopped):
        backfill(session, Asked(stage="ingest", first=NIGHTS[0], end=NIGHTS[2]))
    monkeypatch.undo()
    assert world.again("ingest", 1, 4, **OTHER)[1] == {
        "01": "unchanged", "02": "done", "03": "done",
    }  # fmt: skip


@pytest.mark.databases
def test_a_user_who_was_erased_stays_out(world) -> None:
    with world.catalog.write() as connection:
        bar(connection, Bar.ERASED, [user_key("user-2a", world.session.home.user_key())])
    code, states, _ = world.again("ingest", 2, 3)
    assert (code, states) == (0, {"02": "done"})
    assert world.shown() == ["1 1a", "1 1b", "2 2b", "3 3a", "3 3b"]
    assert night_counts(world.catalog, NIGHTS[1]).suppressed == 1
    assert world.again("ingest", 2, 3)[1] == {"02": "unchanged"}


@pytest.mark.databases
def test_a_user_whom_an_erasure_forgot_does_not_come_back(world) -> None:
    key = user_key("user-2a", world.session.home.user_key())
    assert {path.parts[-3] for path in holding(world, key)} >= {"turns", "signals", "dsat_turns"}
    erase(world.session.home, world.catalog, [key], world.session.now)
    for settings in ({}, OTHER):
        for stage in ("ingest", "mine"):
            code, states, _ = world.again(stage, 1, 4, **settings)
            assert (code, set(states.values())) == (0, {"done"})
        assert world.shown() == ["1 1a", "1 1b", "2 2b", "3 3a", "3 3b"]
        assert holding(world, key) == []
        assert night_counts(world.catalog, NIGHTS[1]).suppressed == 1
        assert stale_dates(world.catalog) == []


def holding(world, word: str) -> list[Path]:
    """The data files, named or not, in which a value holds a word."""
    files = world.catalog.store.rglob("*.parquet")
    return [path for path in files if word in str(pq.read_table(path).to_pylist())]
