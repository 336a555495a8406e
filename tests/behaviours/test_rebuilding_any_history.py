"""Whatever happened to a warehouse, its catalog can be made again, row for row."""

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from warehouse import discard, manifest, reading
from warehouse.catalog import Catalog
from warehouse.leases import acquire, finish, release, reuse
from warehouse.ledger import SourceFile
from warehouse.live import live
from warehouse.manifest import Manifest, ModelVersion, Rewritten
from warehouse.publish import begin, fail
from warehouse.query import connect, refresh_if_stale
from warehouse.rebuild import rebuild
from warehouse.schema import Partition
from warehouse.selection import Wanted
from warehouse.staging import PartitionWriter, StagedFile
from warehouse.tables import (
    barred_users,
    batch_items,
    batches,
    commits,
    files,
    generations,
    models,
    runs,
    sources,
    streams,
    watermarks,
)  # fmt: skip

HOUR = dt.timedelta(hours=1)
NIGHTS = (dt.date(2026, 11, 19), dt.date(2026, 11, 20))
USERS = ("ann", "bob", None)


class History:
    """A warehouse that things happen to, one an hour."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.steps = 0
        self.open: list[Any] = []
        self.done: list[str] = []

    @property
    def now(self) -> dt.datetime:
        return self.store.now + self.steps * HOUR

    def publish(self, a: int, b: int) -> None:
        """Two files of DSAT turns, or the night emptied; with its log, or as a backfill."""
        store, night = self.store, NIGHTS[a % 2]
        partition = Partition("dsat_turns", night, f"rules@{b % 2}")
        rows = [
            [store.dsat(10 * (a % 2) + i, user_key=USERS[i % 3]) for i in some]
            for some in (range(b), range(b, 2 * b))
        ]
        staged = [store.stage("dsat_turns", partition.part, some, night) for some in rows if some]
        log = SourceFile(
            name=f"log-{b}", log_date=night, size=b, stamp="", sha256=f"{a}", lines=b,
            duplicates=0, suppressed=0, reading=f"{a}{b}",
        )  # fmt: skip
        store.publish(
            f"run-{self.steps}", *staged, night=night, replaces={partition}, sources=[log],
            counts={"dsat": 2 * b}, watermark=None if b == 1 else night,
        )  # fmt: skip

    def fail(self, a: int, b: int) -> None:
        run = f"failed-{self.steps}"
        begin(self.store.catalog, run_id=run, stage="mine", log_date=NIGHTS[0], now=self.now)
        if a:
            fail(self.store.catalog, run_id=run, reason="disk full", now=self.now)

    def lease(self, a: int, b: int) -> None:
        lease = acquire(
            self.store.catalog, Wanted(turns=b + 1), stream=f"stream-{a % 2}", holdout=0,
            ttl=(1 + 9 * b) * HOUR, now=self.now, seed=a,
        )  # fmt: skip
        self.open += [lease] if lease else []

    def reuse(self, a: int, b: int) -> None:
        if self.done:
            batch = self.done[a % len(self.done)]
            with self.store.catalog.read() as connection:
                row = connection.execute(select(batches).where(batches.c.batch_id == batch)).one()
                of = select(batch_items).where(batch_items.c.batch_id == (row.reuses or batch))
                if not connection.execute(of).all():
                    return
            self.open.append(reuse(self.store.catalog, batch, ttl=9 * HOUR, now=self.now))

    def release(self, a: int, b: int) -> None:
        if self.open:
            release(self.store.catalog, self.open.pop(a % len(self.open)))

    def finish(self, a: int, b: int) -> None:
        alive = [lease for lease in self.open if lease.expires_at > self.now]
        if alive:
            lease = alive[a % len(alive)]
            self.open.remove(lease)
            model = ModelVersion(
                version=f"v{self.steps}", parent=None, batch_id=lease.batch_id,
                created_at=self.now, promoted=b > 0, manifest_sha256="ab",
            )  # fmt: skip
            finish(self.store.catalog, lease, model, self.now)
            self.done.append(lease.batch_id)

    def promote(self, a: int, b: int) -> None:
        """A detector, that has mined some nights or none."""
        catalog = self.store.catalog
        with catalog.write() as connection:
            change = Manifest(
                commit_id=manifest.next_id(connection), kind="detector",
                subject=f"rules@{b % 2}", committed_at=self.now,
            )  # fmt: skip
            manifest.commit(connection, catalog.store, change)
        refresh_if_stale(catalog)

    def erase(self, a: int, b: int) -> None:
        """Every file of a user's written anew, in whatever snapshot, and the old bytes gone."""
        user, catalog = ("ann", "bob")[a % 2], self.store.catalog
        with catalog.write() as connection:
            there = select(files).where(files.c.deleted_at.is_(None))
            changes = [
                change
                for row in connection.execute(there).all()
                if (change := self._without(row, user)) is not None
            ]
            gone = {t.turn_id for lease in self.open for t in lease.turns if t.user_key == user}
            gone |= {f"turn-{i}" for i in range(20) if USERS[i % 10 % 3] == user}
            connection.execute(delete(batch_items).where(batch_items.c.turn_id.in_(gone)))
            flagged = {row.version: 1 for row in connection.execute(select(models)).all()}
            self._commit(connection, "erase", rewritten=changes, flagged=flagged, erased=[user])
        refresh_if_stale(catalog)
        with catalog.read() as connection:
            unseen = discard.unseen(connection)
        discard.discard(catalog, unseen, now=self.now)

    def _without(self, row: Any, user: str) -> Rewritten | None:
        names = StagedFile.__struct_fields__
        file = StagedFile(**{n: row._mapping["table_name" if n == "table" else n] for n in names})
        (batch,) = list(reading.batches(self.store.root, file, rows=1000)) or [None]
        if batch is None or user not in batch["user_key"].to_pylist():
            return None
        keep = [key != user for key in batch["user_key"].to_pylist()]
        anew = self._write(file.partition, [batch.filter(keep)]) if any(keep) else None
        return Rewritten(path=file.path, anew=anew)

    def compact(self, a: int, b: int) -> None:
        """All files of a partition as one."""
        partition = Partition("dsat_turns", NIGHTS[a % 2], f"rules@{b % 2}")
        with self.store.catalog.write() as connection:
            held = [
                file
                for file in live(connection, "dsat_turns", partition.log_date)
                if file.partition == partition
            ]
            if len(held) > 1:
                rows = [r for f in held for r in reading.batches(self.store.root, f, rows=1000)]
                whole = self._write(partition, rows)
                paths = [file.path for file in held]
                self._commit(connection, "compact", staged=[whole], compacted=paths)
        refresh_if_stale(self.store.catalog)

    def collect(self, a: int, b: int) -> None:
        """The bytes of superseded files are given up."""
        old = select(files.c.path).where(files.c.removed_commit.is_not(None))
        with self.store.catalog.read() as connection:
            paths = connection.execute(old.where(files.c.deleted_at.is_(None))).scalars().all()
        discard.discard(self.store.catalog, paths[: a + 1], now=self.now)

    def _write(self, partition: Partition, rows: list[Any]) -> StagedFile:
        writer = PartitionWriter(self.store.root, partition)
        for batch in rows:
            writer.write(batch)
        return writer.close()

    def _commit(self, connection: Any, kind: Any, **changes: Any) -> None:
        change = Manifest(
            commit_id=manifest.next_id(connection), kind=kind, subject=kind,
            committed_at=self.now, **changes,
        )  # fmt: skip
        manifest.commit(connection, self.store.root, change)


def recorded(catalog: Catalog) -> dict[str, list[str]]:
    """All that a catalog says and manifests can say again, row for row."""
    finished = batches.c.state == "finished"
    done = select(batches.c.batch_id).where(finished)
    queries = {
        "commits": select(commits),
        "runs": select(runs).where(runs.c.state == "committed"),
        "generations": select(generations),
        "files": select(
            *[c for c in files.c if c.name != "deleted_at"], files.c.deleted_at.is_(None)
        ),
        "sources": select(sources),
        "barred_users": select(barred_users),
        "watermarks": select(watermarks),
        "streams": select(streams).where(
            streams.c.stream.in_(select(batches.c.stream).where(finished))
        ),
        "batches": select(*[c for c in batches.c if c.name not in ("token", "expires_at")]).where(
            finished
        ),
        "batch_items": select(batch_items).where(batch_items.c.batch_id.in_(done)),
        "models": select(models),
    }
    with catalog.read() as connection:
        return {
            name: sorted(map(repr, connection.execute(query).all()))
            for name, query in queries.items()
        }


def shown(root: Path) -> list[list[tuple]]:
    """What analysts see, without batches that nobody finished."""
    with connect(root) as connection:
        return [
            connection.execute(query).fetchall()
            for query in (
                "SELECT * FROM dsat_turns ORDER BY ALL",
                "SELECT * FROM lineage ORDER BY ALL",
                "SELECT * FROM models ORDER BY ALL",
                "SELECT * FROM runs WHERE state = 'committed' ORDER BY ALL",
                "SELECT batch_id, turns FROM batches WHERE state = 'finished' ORDER BY ALL",
                "SELECT * FROM warehouse_info",
            )
        ]


HAPPENINGS = ("publish", "fail", "lease", "reuse", "release", "finish", "erase", "compact",
              "collect", "promote")  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 3), st.integers(0, 3)),
    min_size=3,
    max_size=14,
)


@pytest.mark.chaos
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_a_catalog_made_again_is_the_old_one(store, steps) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(type(store)(Path(folder) / "root"))
        history.publish(0, 3)
        for happening, a, b in steps:
            history.steps += 1
            getattr(history, happening)(a, b)
        root, catalog = history.store.root, history.store.catalog
        before, seen = recorded(catalog), shown(root)
        catalog.close()
        for file in root.glob("catalog.db*"):
            file.unlink()
        assert rebuild(root, now=history.now).commits == len(before["commits"])
        again = Catalog.open(root)
        assert recorded(again) == before
        assert shown(root) == seen
        again.close()
