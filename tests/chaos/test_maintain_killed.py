"""Upkeep that is killed anywhere and run again ends as if it had never been killed."""

import datetime as dt
from typing import Any

from sqlalchemy import select

from tests.chaos.fuse import Fuse, Killed
from warehouse.catalog import Catalog
from warehouse.query import snapshot
from warehouse.tables import commits, files, generations
from warehouse.upkeep.check import damaged_files, wrong_books
from warehouse.upkeep.collect import collect, due
from warehouse.upkeep.compact import compact, plan
from warehouse.upkeep.sweep import sweep, temporary, unnamed

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


def upkeep(store) -> None:
    """As the command does it."""
    collect(store.catalog, due(store.catalog, retention=KEPT, now=store.now), now=store.now)
    compact(store.catalog, plan(store.catalog, target=MB), now=store.now)


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


def test_upkeep_that_is_killed_at_any_step_can_be_repeated(tmp_path, store, monkeypatch) -> None:
    make = type(store)
    reference = make(tmp_path / "undisturbed")
    fill(reference)
    rows = shown(reference)
    upkeep(reference)
    record = recorded(reference)
    assert shown(reference) == rows
    on_disk = len(list(reference.root.rglob("*.parquet")))
    steps = 0
    while True:
        killed = make(tmp_path / f"killed-{steps}")
        fill(killed)
        fuse = Fuse(steps + 1)
        try:
            with fuse.lit(killed.catalog, monkeypatch):
                upkeep(killed)
        except Killed:
            steps += 1
        else:
            killed.catalog.close()
            break
        assert shown(killed) == rows, f"a reader saw another state at step {steps}"
        killed.catalog.close()
        killed.catalog = Catalog.open(killed.root)
        with snapshot(killed.catalog, 2) as earlier:
            assert earlier.execute("FROM turns ORDER BY turn_id").fetchall() == rows
        upkeep(killed)
        assert (shown(killed), recorded(killed)) == (rows, record), f"killed at step {steps}"
        sweep(strays(killed))
        assert len(list(killed.root.rglob("*.parquet"))) == on_disk, f"killed at step {steps}"
        assert not list(killed.root.rglob(".*.*")), f"killed at step {steps}"
        assert [*damaged_files(killed.catalog), *wrong_books(killed.catalog)] == []
        killed.catalog.close()
    reference.catalog.close()
    assert steps > 20, "the fuse was never lit"
