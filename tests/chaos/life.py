"""One life of a process that does a warehouse's work: `python -m tests.chaos.life ROOT URL LIFE`.

It goes on after the last step that the catalog says is done, as often as it is killed.
"""

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tests.conftest import Store
from warehouse.erase import erase
from warehouse.leases import acquire, finish, reuse
from warehouse.ledger import SourceFile
from warehouse.manifest import ModelVersion
from warehouse.schema import Partition
from warehouse.selection import Wanted
from warehouse.streams import registered
from warehouse.tables import models, runs
from warehouse.upkeep.collect import collect, due
from warehouse.upkeep.compact import compact, plan
from warehouse.upkeep.sweep import Stray, sweep, temporary, unnamed

NIGHTS = tuple(dt.date(2026, 11, day) for day in (18, 19, 20))
USERS = ("key-of-ann", "key-of-bob", "key-of-cat", None)
TTL = dt.timedelta(seconds=30)

Step = Callable[[Store, int, int], None]  # the warehouse, the step's number, and the life's


def ingest(store: Store, number: int, life: int, *, night: int, logs: dict[str, Sequence[int]]):
    """A log of each name with a conversation of each number; none: its partitions are emptied."""
    staged, replaces, sources = [], set(), []
    for log, ids in logs.items():
        own = {"content": f"step {number}", "origin_file": log}
        turns = [store.turn(i, user_key=USERS[i % 4], **own) for i in ids]
        facts = [store.facts(i, user_key=USERS[i % 4]) for i in ids]
        for table, rows in (("turns", turns), ("conversations", facts)):
            # Many small files, so that there is something to compact.
            staged += [store.stage(table, log, [row], NIGHTS[night]) for row in rows]
            replaces.add(Partition(table, NIGHTS[night], log))
        sources.append(
            SourceFile(
                name=log, log_date=NIGHTS[night], size=1, stamp="", sha256=f"{number}",
                lines=len(ids), duplicates=0, suppressed=0,
            )
        )  # fmt: skip
    publish(store, number, staged, replaces, night, sources=sources)


def mine(store: Store, number: int, life: int, *, night: int, detector: str, ids: Sequence[int]):
    """A detector's verdicts on these turns; none: it found nothing."""
    own = [{"user_key": USERS[i % 4], "model": f"step {number}"} for i in ids]
    found = {
        "signals": [store.signal(i, **own) for i, own in zip(ids, own, strict=True)],
        "dsat_turns": [store.dsat(i, **own) for i, own in zip(ids, own, strict=True)],
    }
    staged = [store.stage(t, detector, rows, NIGHTS[night]) for t, rows in found.items() if rows]
    publish(store, number, staged, {Partition(t, NIGHTS[night], detector) for t in found}, night)


def publish(
    store: Store, number: int, staged: Any, replaces: Any, night: int, **options: Any
) -> None:
    store.publish(
        f"run-{number}", *staged, night=NIGHTS[night], replaces=replaces,
        counts={"files": len(staged)}, **options,
    )  # fmt: skip


def train(store: Store, number: int, life: int, *, n: int) -> None:
    """A model of fresh turns."""
    lease = acquire(
        store.catalog, Wanted(turns=n, minimum=n), stream="default", holdout=0, ttl=TTL,
        now=at(store, life), seed=number,
    )  # fmt: skip
    register(store, number, life, lease)


def train_again(store: Store, number: int, life: int) -> None:
    """A model of the turns of the first."""
    first = select(models.c.batch_id).order_by(models.c.created_at).limit(1)
    with store.catalog.read() as connection:
        batch_id = connection.execute(first).scalar_one()
    register(store, number, life, reuse(store.catalog, batch_id, ttl=TTL, now=at(store, life)))


def register(store: Store, number: int, life: int, lease: Any) -> None:
    model = ModelVersion(
        version=f"model-{number}", parent=None, batch_id=lease.batch_id,
        created_at=store.now + dt.timedelta(minutes=number), promoted=True, manifest_sha256="ab",
    )  # fmt: skip
    finish(store.catalog, lease, model, at(store, life))


def forget(store: Store, number: int, life: int, *, user: int) -> None:
    def left_behind() -> tuple[()]:
        sweep(strays(store))  # nobody else is at work here
        return ()

    erase(store.catalog, [USERS[user]], store.now, at_work=left_behind)


def compact_all(store: Store, number: int, life: int) -> None:
    compact(store.catalog, plan(store.catalog, target=2**20), now=store.now)


def collect_all(store: Store, number: int, life: int) -> None:
    """Long after: what a model may need again stays all the same."""
    now = store.now + dt.timedelta(days=1)
    collect(store.catalog, due(store.catalog, retention=dt.timedelta(), now=now), now=now)


def at(store: Store, life: int) -> dt.datetime:
    """Each life starts when the leases of the one before it have run out."""
    return store.now + life * dt.timedelta(minutes=1)


WORK: list[Step] = [
    partial(ingest, night=0, logs={"a": range(6), "b": range(6, 8)}),
    partial(mine, night=0, detector="rules@1", ids=range(6)),
    partial(ingest, night=1, logs={"a": range(8, 12)}),
    partial(mine, night=1, detector="rules@1", ids=range(6, 10)),
    partial(train, n=3),
    partial(mine, night=1, detector="small@7", ids=range(8, 12)),
    partial(ingest, night=0, logs={"a": range(12, 15), "b": ()}),
    collect_all,
    partial(mine, night=0, detector="rules@1", ids=range(10, 13)),
    compact_all,
    partial(train, n=2),
    partial(forget, user=0),
    partial(ingest, night=2, logs={"c": (1, 2, 3, 5), "d": (6, 7)}),
    partial(mine, night=2, detector="small@7", ids=(1, 2, 3)),
    train_again,
    partial(ingest, night=1, logs={"a": (9, 10)}),
    partial(mine, night=2, detector="rules@1", ids=()),
    compact_all,
    partial(forget, user=1),
    collect_all,
]


def done(store: Store) -> int:
    """How many steps need not be done again: all up to the last that the catalog can name."""
    with store.catalog.read() as connection:
        committed = select(runs.c.run_id).where(runs.c.state == "committed")
        names = list(connection.execute(committed).scalars())
    names += [model.version for model in registered(store.catalog)]
    return max((int(name.rpartition("-")[2]) + 1 for name in names), default=0)


def live(store: Store, life: int, seen: Callable[[int], object] = lambda number: None) -> None:
    """Do what is left; `seen` is told the number of each step that is done."""
    for number in range(done(store), len(WORK)):
        WORK[number](store, number, life)
        seen(number)


def strays(store: Store) -> list[Stray]:
    """What killed lives have left on the disk, however young it is."""
    words = {"age": dt.timedelta(), "now": dt.datetime(9999, 1, 1, tzinfo=dt.UTC)}
    return [*unnamed(store.catalog, kept=(), **words), *temporary(store.catalog, **words)]


if __name__ == "__main__":
    print("ready", flush=True)
    live(Store(Path(sys.argv[1]), sys.argv[2]), int(sys.argv[3]))
