"""A publish that is killed anywhere and run again ends as if it had never been killed."""

import subprocess
import sys
import textwrap
from typing import Any

import pytest
from sqlalchemy import select

from tests.chaos.fuse import Fuse, Killed, killed_everywhere
from warehouse.ledger import SourceFile
from warehouse.publish import Seen
from warehouse.query import connect
from warehouse.schema import Partition
from warehouse.tables import commits, generations, runs, sources, watermarks

pytestmark = [pytest.mark.chaos, pytest.mark.databases]


def first(store) -> None:
    """The state before: what the publish under test replaces, and what it must leave alone."""
    store.publish(
        "first",
        store.stage("turns", "a", [store.turn(1)]),
        store.stage("turns", "b", [store.turn(2)]),
        store.stage("turns", "c", [store.turn(3)]),
    )


def second(store) -> None:
    """The publish under test: one partition replaced, one emptied, one added."""
    replaced = store.stage("turns", "a", [store.turn(4), store.turn(5)])
    emptied = store.stage("turns", "b", []).partition
    added = store.stage("signals", "rules@1", [store.signal(6)])
    untouched = Partition("turns", store.night, "c")
    store.publish(
        "second", replaced, added,
        replaces={replaced.partition, emptied, added.partition},
        seen=Seen(
            erasure=0,
            nights={
                ("turns", store.night): {replaced.partition: 1, emptied: 1, untouched: 1},
                ("signals", store.night): {},
            },
        ),
        sources=[
            SourceFile(
                name="a", log_date=store.night, size=1, stamp="", sha256="aa",
                lines=2, duplicates=0, suppressed=0,
            )
        ],
        counts={"turns": 2},
    )  # fmt: skip


def shown(store) -> list[Any]:
    """What a reader sees, by a fresh connection."""
    with connect(store.root) as connection:
        return [
            connection.execute(f"FROM {view} ORDER BY ALL").fetchall()
            for view in ("turns", "signals", "runs")
        ] + connection.execute("SELECT commit_id FROM warehouse_info").fetchall()


def recorded(store) -> list[Any]:
    """What the catalog holds, but for the names of files."""
    queries = [
        select(table).order_by(*table.primary_key)
        for table in (commits, runs, sources, watermarks, generations)
    ]
    with store.catalog.read() as connection:
        return [connection.execute(query).all() for query in queries]


def test_a_publish_that_is_killed_at_any_step_can_be_repeated(
    tmp_path, store, databases, monkeypatch
) -> None:
    make = type(store)
    reference = make(tmp_path / "undisturbed", databases.new())
    first(reference)
    before = shown(reference)
    second(reference)
    after, record = shown(reference), recorded(reference)
    reference.catalog.close()

    def prepared(step: int):
        store = make(tmp_path / f"killed-{step}", databases.new())
        first(store)
        return store

    steps = 0
    for steps, killed in killed_everywhere(prepared, lambda s: s.catalog, second, monkeypatch):
        assert shown(killed)[:2] in (before[:2], after[:2]), f"half a state at step {steps}"
        killed.reopen()
        second(killed)
        assert (shown(killed), recorded(killed)) == (after, record), f"killed at step {steps}"
        killed.catalog.close()
    assert steps > 20, "the fuse was never lit"


def test_views_that_a_killed_publish_left_behind_are_healed_by_opening(store, monkeypatch) -> None:
    first(store)
    monkeypatch.setattr("warehouse.publish.refresh_if_stale", Fuse(1).step)
    with pytest.raises(Killed):
        second(store)
    monkeypatch.undo()
    assert shown(store)[-1] == (1,)
    store.reopen()
    assert shown(store)[-1] == (2,)
    assert len(store.sql("FROM turns")) == 3


DYING = textwrap.dedent(
    """
    import datetime as dt, os, signal, sys
    from pathlib import Path
    from sqlalchemy import event
    from warehouse import durable, publish as p, views
    from warehouse.catalog import Catalog
    from warehouse.schema import Partition, to_batch
    from warehouse.staging import PartitionWriter

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    root, url, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    night, now = dt.date(2026, 11, 20), dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)
    catalog = Catalog.open(root, url)
    writer = PartitionWriter(root, Partition("turns", night, "a"))
    writer.write(to_batch("turns", night, []))
    staged = writer.close()
    p.begin(catalog, run_id="second", stage="mine", log_date=night, now=now)
    if moment == "before the commit":
        event.listen(catalog._engine, "commit", die)
    elif moment == "after the commit":
        p.refresh_if_stale = die
    elif moment == "before the views are swapped":
        os.replace = lambda _, path: path.name.startswith("0000") or die()
    elif moment == "between the two swaps":
        durable.write_whole = lambda path, data: path.name.startswith("0000") or die()
    p.publish(catalog, run_id="second", staged=[staged], replaces=[staged.partition],
              counts={}, now=now, seen=p.Seen(erasure=0))
    """
)
MOMENTS = {
    "before the commit": 1,
    "after the commit": 0,
    "before the views are swapped": 0,
    "between the two swaps": 0,
}


@pytest.mark.parametrize("moment, turns", MOMENTS.items(), ids=MOMENTS)
def test_a_process_that_is_killed_leaves_all_or_nothing(store, moment: str, turns: int) -> None:
    store.publish("first", store.stage("turns", "a", [store.turn(1)]))
    store.catalog.close()
    arguments = [str(store.root), store.url, moment]
    dead = subprocess.run([sys.executable, "-c", DYING, *arguments], timeout=60)
    assert dead.returncode == -9
    store.reopen()
    assert len(store.sql("FROM turns")) == turns
    store.publish("second", store.stage("turns", "a", []))
    assert store.sql("FROM turns") == []
    assert store.sql("SELECT commit_id FROM warehouse_info") == [(2,)]
