"""Upkeep that is killed anywhere and run again ends as if it had never been killed."""

import datetime as dt
import shutil
from operator import attrgetter
from typing import Any

import pytest
from sqlalchemy import select

from tests.chaos.fuse import killed_everywhere
from warehouse.query import snapshot
from warehouse.tables import commits, files, generations
from warehouse.upkeep.check import wrong_books
from warehouse.upkeep.collect import collect, due
from warehouse.upkeep.compact import compact, plan
from warehouse.upkeep.sweep import sweep, temporary, unnamed

pytestmark = [pytest.mark.chaos, pytest.mark.databases]

MB = 2**20
KEPT = dt.timedelta(days=30)


def fill(store) -> None:
    """Two partitions of small files, one of which was superseded long ago."""
    store.publish("1", *(store.stage("turns", "a", [store.turn(i)]) for i in range(2)))
    store.publish(
        "2",
        *(store.stage("turns", "a", [store.turn(i)]) for i in range(2, 4)),
        *(store.stage("turns", "b", [store.turn(i)]) for i in range(4, 6)),
    )
    store.now += KEPT


def collecting(store) -> None:
    collect(store.catalog, due(store.catalog, retention=KEPT, now=store.now), now=store.now)


def compacting(store) -> None:
    compact(store.catalog, plan(store.catalog, target=MB), now=store.now)


# What is killed, and how many steps it has at least.
WORK = {"collection": (collecting, 6), "compaction": (compacting, 20)}


def data_files(store) -> int:
    return len(list(store.root.rglob("*.parquet")))


def shown(store) -> list[Any]:
    return store.sql("FROM turns ORDER BY turn_id")


def recorded(store) -> list[Any]:
    """What the catalog holds, but for the names and digests of files."""
    names = ("part", "rows", "generation", "added_commit", "removed_commit", "deleted_at")
    of_files = [files.c[name] for name in names]
    queries = [
        select(commits).order_by(commits.c.commit_id),
        select(generations).order_by(*generations.primary_key),
        select(*of_files).order_by(*of_files),
    ]
    with store.catalog.read() as connection:
        return [connection.execute(query).all() for query in queries]


def strays(store) -> list[Any]:
    """What the sweep takes, two days from now by the clock of the disk."""
    words = {
        "age": dt.timedelta(days=1),
        "now": dt.datetime.now(dt.UTC) + dt.timedelta(days=2),
    }
    return [
        *unnamed(store.catalog, kept=(), **words),
        *temporary(store.catalog, **words),
    ]


@pytest.mark.parametrize("work, least", WORK.values(), ids=WORK)
def test_upkeep_that_is_killed_at_any_step_can_be_repeated(
    tmp_path, store, databases, monkeypatch, work, least: int
) -> None:
    fill(store)
    rows = shown(store)
    store.catalog.close()

    def copy(name: object):
        """The same warehouse elsewhere; opening it makes its views anew."""
        shutil.copytree(store.root, tmp_path / str(name))
        copied = type(store)(tmp_path / str(name), databases.copy(store.url))
        copied.now = store.now
        return copied

    reference = copy("undisturbed")
    work(reference)
    record, on_disk = recorded(reference), data_files(reference)
    reference.catalog.close()
    steps = 0
    for steps, killed in killed_everywhere(copy, attrgetter("catalog"), work, monkeypatch):
        assert shown(killed) == rows, f"a reader saw another state at step {steps}"
        killed.reopen()
        with snapshot(killed.catalog, 2) as earlier:
            assert earlier.execute("FROM turns ORDER BY turn_id").fetchall() == rows
        work(killed)
        assert (shown(killed), recorded(killed)) == (rows, record), f"killed at step {steps}"
        sweep(strays(killed))
        assert data_files(killed) == on_disk, f"killed at step {steps}"
        assert not list(killed.root.rglob(".*.*")), f"killed at step {steps}"
        assert wrong_books(killed.catalog) == []
        killed.catalog.close()
        databases.drop(killed.url)
    assert steps > least, "the fuse was never lit"
