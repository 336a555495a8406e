"""What garbage collection takes, and what it leaves to those who may need it."""

import datetime as dt

import msgspec
import pytest
from sqlalchemy import select, update

from warehouse.errors import SnapshotGone
from warehouse.leases import acquire, finish, reuse
from warehouse.manifest import ModelVersion
from warehouse.query import connect, snapshot
from warehouse.records import Message, Role, SystemPrompt
from warehouse.selection import Wanted
from warehouse.tables import files
from warehouse.upkeep.collect import collect, due, oldest_readable

DAY = dt.timedelta(days=1)
KEPT = 30 * DAY


def replaced(store, runs: str = "12") -> list[str]:
    """One partition, published once a run -> the paths, oldest first; the last one is live."""
    staged = [store.stage("turns", "a", [store.turn(int(run))]) for run in runs]
    for run, file in zip(runs, staged, strict=True):
        store.publish(run, file)
    return [file.path for file in staged]


def clean(store, *, retention: dt.timedelta = KEPT, after: dt.timedelta = KEPT) -> set[str]:
    """Collect, `after` the store's now -> the paths that went."""
    before = on_disk(store)
    now = store.now + after
    garbage = due(store.catalog, retention=retention, now=now)
    assert garbage.bytes == sum((store.root / path).stat().st_size for path in garbage.paths)
    collect(store.catalog, garbage, now=now)
    gone = before - on_disk(store)
    assert gone == set(garbage.paths)
    assert due(store.catalog, retention=retention, now=now).paths == ()
    return gone


def on_disk(store) -> set[str]:
    return {path.relative_to(store.root).as_posix() for path in store.root.rglob("*.parquet")}


def lease(store, **options):
    words = {
        "stream": "default", "holdout": 0.0, "ttl": DAY, "now": store.now, "seed": 0,
    }  # fmt: skip
    return acquire(store.catalog, Wanted(turns=9), **words | options)


def finished(store, taken, version: str = "v1", *, promoted: bool = True) -> None:
    model = ModelVersion(
        version=version, parent=None, batch_id=taken.batch_id, created_at=store.now,
        promoted=promoted, manifest_sha256="ab",
    )  # fmt: skip
    finish(store.catalog, taken, model, store.now)


# Retention, time since the file was superseded -> whether it goes.
AGES = {
    "younger": (KEPT, KEPT - dt.timedelta(microseconds=1), False),
    "just as old": (KEPT, KEPT, True),
    "older": (KEPT, 2 * KEPT, True),
    "none is kept": (dt.timedelta(0), dt.timedelta(0), True),
}


@pytest.mark.parametrize("retention, after, goes", AGES.values(), ids=AGES)
def test_a_superseded_file_goes_when_its_time_is_over(store, retention, after, goes) -> None:
    old, new = replaced(store)
    assert clean(store, retention=retention, after=after) == ({old} if goes else set())
    assert store.sql("SELECT turn_id FROM turns") == [("turn-2",)]
    assert oldest_readable(store.catalog) == (2 if goes else 1)


def test_a_snapshot_that_lost_a_file_says_so_and_later_ones_are_whole(store) -> None:
    replaced(store, "123")
    store.now += DAY
    store.publish("4", store.stage("turns", "a", []))
    store.now -= DAY
    clean(store)
    for commit_id in (1, 2):
        with pytest.raises(SnapshotGone, match="retention_days"):
            snapshot(store.catalog, commit_id)
    assert oldest_readable(store.catalog) == 3
    with snapshot(store.catalog, 3) as connection:
        assert connection.execute("SELECT turn_id FROM turns").fetchall() == [("turn-3",)]


def test_an_empty_warehouse_has_nothing_to_collect(store) -> None:
    assert clean(store) == set()
    assert oldest_readable(store.catalog) == 0


def test_what_an_erasure_has_rewritten_goes_at_once(store) -> None:
    """As an erasure leaves it that was killed before it removed the bytes."""
    old, _ = replaced(store)
    with store.catalog.write() as connection:
        connection.execute(update(files).where(files.c.path == old).values(removed_commit=1))
    assert clean(store, after=dt.timedelta(0)) == {old}
    assert oldest_readable(store.catalog) == 1, "no snapshot has lost a file"


def test_a_live_lease_keeps_all_that_its_snapshot_shows(store) -> None:
    drawn = store.stage("dsat_turns", "rules@1", [store.dsat(1)])
    read = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", drawn, read)
    lease(store, ttl=KEPT + DAY)
    again = {drawn.partition, read.partition}
    store.publish("2", replaces=again)
    later = store.stage("turns", "a", [store.turn(2)])
    store.publish("3", later)
    store.publish("4", replaces=again)
    garbage = due(store.catalog, retention=KEPT, now=store.now + KEPT)
    assert (garbage.paths, garbage.pinned) == ((later.path,), 2)
    assert clean(store) == {later.path}
    assert clean(store, after=KEPT + DAY) == {drawn.path, read.path}, "the lease ran out"


@pytest.mark.parametrize("promoted", [True, False], ids=["promoted", "held"])
def test_the_batch_of_a_promoted_model_can_be_read_again(store, promoted: bool) -> None:
    prompt = SystemPrompt(prompt_hash="aa", content="Be brief.")
    context = (Message(role=Role.SYSTEM, content="", prompt_hash="aa"),)
    read = store.stage("turns", "a", [store.turn(1)])
    drawn = [
        store.stage("dsat_turns", "rules@1", [store.dsat(1, context=context)]),
        store.stage("system_prompts", "a", [prompt]),
    ]
    store.publish("1", read, *drawn)
    first = lease(store)
    finished(store, first, promoted=promoted)
    store.publish("2", replaces={read.partition, *(file.partition for file in drawn)})
    paths = {file.path for file in drawn}
    assert clean(store) == ({read.path} if promoted else {read.path, *paths})
    if not promoted:
        with pytest.raises(SnapshotGone):
            reuse(store.catalog, first.batch_id, ttl=DAY, now=store.now)
        return
    again = reuse(store.catalog, first.batch_id, ttl=DAY, now=store.now + KEPT)
    assert again.turns == first.turns
    assert again.turns[0].context[0].content == "Be brief."
    # And a model that came of the batch's reuse keeps the same files.
    finish_again = msgspec.structs.replace(again, created_at=store.now)
    finished(store, finish_again, "v2")
    assert clean(store, after=3 * KEPT) == set()


@pytest.mark.databases
def test_a_long_reader_keeps_its_files_for_the_retention(store) -> None:
    """A connection opened just before its files were superseded, and read just before they go."""
    old, _ = replaced(store, "12")
    reader = connect(store.root)
    store.now += DAY
    store.publish("3", store.stage("turns", "a", [store.turn(3)]))
    assert clean(store, after=KEPT - dt.timedelta(seconds=1)) == {old}
    assert reader.execute("SELECT turn_id FROM turns").fetchall() == [("turn-2",)]
    reader.close()
    assert store.sql("SELECT turn_id FROM turns") == [("turn-3",)]


@pytest.mark.databases
def test_a_long_transaction_keeps_no_file_back_and_sees_its_own_state(store) -> None:
    """As of somebody who lists the files of a state, and goes on listing."""
    old, new = replaced(store)
    there = select(files.c.path).where(files.c.deleted_at.is_(None)).order_by(files.c.path)
    with store.catalog.read() as reader:
        before = reader.execute(there).scalars().all()
        assert clean(store) == {old}
        assert reader.execute(there).scalars().all() == before == sorted([old, new])
    with store.catalog.read() as later:
        assert later.execute(there).scalars().all() == [new]


def test_views_that_a_killed_run_left_behind_are_made_anew_first(store, monkeypatch) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    monkeypatch.setattr("warehouse.publish.refresh_if_stale", lambda catalog: None)
    store.publish("2", store.stage("turns", "a", [store.turn(2)]))
    assert store.sql("SELECT turn_id FROM turns") == [("turn-1",)]
    clean(store)
    assert store.sql("SELECT turn_id FROM turns") == [("turn-2",)]
