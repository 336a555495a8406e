"""Everything that is done to a warehouse, in any order: checked against a book after each step."""

import datetime as dt
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from tests.behaviours.book import Book, Held, Row, total
from tests.behaviours.runs import COLUMNS, NIGHTS, OF, USERS, Run
from warehouse import reading, views
from warehouse.barred import Bar, barred
from warehouse.erase import erase
from warehouse.errors import CommitConflict, CorruptStaging, LeaseLost, SnapshotGone
from warehouse.leases import acquire, finish, release, reuse
from warehouse.live import current_readable, live
from warehouse.manifest import ModelVersion
from warehouse.query import newest_commit, night_counts, snapshot
from warehouse.rebuild import rebuild
from warehouse.selection import Wanted
from warehouse.streams import registered
from warehouse.tables import batch_items, batches, files, watermarks
from warehouse.upkeep.collect import collect, due
from warehouse.upkeep.compact import compact, plan

HOUR = dt.timedelta(hours=1)
MB = 2**20

nights = st.sampled_from(NIGHTS)
stages = st.sampled_from(sorted(OF))
parts = st.integers(0, 1)
rows = st.sets(st.integers(0, 7), max_size=5)
which = st.integers(0, 20)

# What a walk that proves anything comes by.
HAPPENINGS = ("conflict", "finish", "finish of a reused batch", "zombie", "snapshot gone",
              "erasure of a turn in use", "file kept for a batch", "compaction")  # fmt: skip


class AnyOrder(RuleBasedStateMachine):
    """A warehouse and the book that is kept of it. A minute passes with each step."""

    new_store: Any  # makes a warehouse in a folder
    new_database: Any  # makes an empty one for a catalog
    happened: Counter[str]  # in all examples, how often

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="any-order-"))
        self.store = type(self).new_store(self.folder / "root")
        self.now = self.store.now
        self.book = Book([self.now])
        self.made = 0
        self.at_work: list[Run] = []
        # Two nights, or most of what follows would find nothing to do.
        for night in NIGHTS[:2]:
            for stage in OF:
                self.made += 1
                self.end(Run(self, stage, night, 0, set(range(6))), night)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "book"):
            return
        self.happened["step"] += 1
        self.made += 1
        self.now += HOUR / 60
        book, catalog = self.book, self.store.catalog
        with catalog.read() as connection:
            counted = select(
                files.c.table_name, files.c.log_date, files.c.part, func.count(),
                func.sum(files.c.rows),
            ).where(files.c.removed_commit.is_(None))  # fmt: skip
            found = connection.execute(counted.group_by(*list(counted.selected_columns)[:3]))
            assert {tuple(row[:3]): tuple(row[3:]) for row in found} == total(book.files)
            marks = connection.execute(select(watermarks.c.stage, watermarks.c.log_date))
            assert dict(map(tuple, marks)) == book.watermarks
            held = select(batch_items.c.stream, batch_items.c.turn_id, batches.c.batch_id).where(
                (batches.c.state == "finished")
                | ((batches.c.state == "leased") & (batches.c.expires_at > self.now))
            )
            found = connection.execute(held.join_from(batch_items, batches))
            assert {tuple(row[:2]): row[2] for row in found} == book.used(self.now)
        assert newest_commit(catalog) == book.newest
        assert barred(catalog, Bar.ERASED) == book.erased
        known = {m.version: (m.batch_id, m.promoted, m.erased_turns) for m in registered(catalog)}
        assert known == {
            version: (held.lease.batch_id, promoted, erased)
            for version, (held, promoted, erased) in book.models.items()
        }

    @rule(stage=stages, night=nights, part=parts, ids=rows, is_backfill=st.booleans())
    def publishes(self, stage, night, part, ids, is_backfill) -> None:
        run = Run(self, stage, night, part, ids)
        self.end(run, None if is_backfill else night)

    @rule(stage=stages, night=nights, part=parts, ids=rows)
    def begins(self, stage, night, part, ids) -> None:
        self.at_work.append(Run(self, stage, night, part, ids))

    @precondition(lambda self: self.at_work)
    @rule(n=which)
    def ends(self, n: int) -> None:
        self.try_to_end(self.at_work.pop(n % len(self.at_work)))

    @rule(stage=stages, night=nights, part=parts, ids=rows)
    def is_overtaken(self, stage, night, part, ids) -> None:
        slow = Run(self, stage, night, part, ids)
        self.made += 1
        self.publishes(stage, night, 1 - part, ids, True)
        self.try_to_end(slow)

    def try_to_end(self, run: Run) -> None:
        if run.wins(self.book):
            self.end(run, run.night)
            return
        self.happened["conflict"] += 1
        # An erasure has removed those of its files that held the user.
        with pytest.raises((CommitConflict, CorruptStaging)):
            run.publish(self, run.night)

    def end(self, run: Run, watermark: dt.date | None) -> None:
        run.publish(self, watermark)
        self.book.replace(self.now, run.rows)
        if watermark:
            self.book.move(run.stage, watermark)
        if run.stage == "ingest":
            self.book.ledger[run.night, run.part] = run.log()

    @rule(stream=st.sampled_from(["main", "side"]), n=st.integers(1, 4))
    def acquires(self, stream: str, n: int) -> None:
        fresh = self.book.fresh(stream, self.now)
        lease = acquire(
            self.store.catalog, Wanted(turns=n), stream=stream, holdout=0, ttl=2 * HOUR,
            now=self.now, seed=n,
        )  # fmt: skip
        if fresh:  # else nothing happens, and what ran out stays as it was
            self.book.expire(stream, self.now)
        assert len(lease.turns if lease else ()) == min(n, len(fresh))
        if lease:
            assert all(fresh[t.turn_id] == (t.turn_id, t.user_key, t.model) for t in lease.turns)
            assert lease.snapshot == self.book.newest
            self.book.leases.append(Held(lease))

    def lease(self, n: int) -> Held:
        return self.book.leases[n % len(self.book.leases)]

    @precondition(lambda self: self.book.leases)
    @rule(n=which, promoted=st.booleans())
    def finishes(self, n: int, promoted: bool) -> None:
        held, version = self.lease(n), f"v{self.made}"
        model = ModelVersion(
            version=version, parent=None, batch_id=held.lease.batch_id, created_at=self.now,
            promoted=promoted, manifest_sha256="ab",
        )  # fmt: skip
        if held.is_alive(self.now):
            finish(self.store.catalog, held.lease, model, self.now)
            self.happened["finish of a reused batch" if held.lease.reuses else "finish"] += 1
            self.book.finish(held, version, promoted, self.now)
        else:
            self.happened["zombie"] += 1
            with pytest.raises(LeaseLost):
                finish(self.store.catalog, held.lease, model, self.now)

    @rule(n=st.integers(1, 2), promoted=st.booleans())
    def trains(self, n: int, promoted: bool) -> None:
        known = len(self.book.leases)
        self.acquires("main", n)
        if len(self.book.leases) > known:
            self.finishes(known, promoted)

    @precondition(lambda self: self.book.leases)
    @rule(n=which)
    def releases(self, n: int) -> None:
        held = self.lease(n)
        release(self.store.catalog, held.lease)
        if held.state == "leased":
            held.state = "released"

    @precondition(lambda self: self.book.leases)
    @rule(n=which)
    def reuses(self, n: int) -> None:
        self.reuse(self.lease(n))

    @precondition(lambda self: self.book.models)
    @rule(n=which)
    def trains_again(self, n: int) -> None:
        known, trained = len(self.book.leases), list(self.book.models.values())
        self.reuse(trained[n % len(trained)][0])
        if len(self.book.leases) > known:
            self.finishes(known, False)

    def reuse(self, first: Held) -> None:
        words = {"ttl": 2 * HOUR, "now": self.now}
        if first.state != "finished":
            if first.state != "lost":  # its name may be another's by now
                with pytest.raises(LeaseLost):
                    reuse(self.store.catalog, first.lease.batch_id, **words)
            return
        left = {t.turn_id for t in first.lease.turns if t.user_key not in self.book.erased}
        if self.book.shown("dsat_turns", first.lease.snapshot) is None or not left:
            with pytest.raises(SnapshotGone):
                reuse(self.store.catalog, first.lease.batch_id, **words)
            return
        lease = reuse(self.store.catalog, first.lease.batch_id, **words)
        assert {turn.turn_id for turn in lease.turns} == left
        self.book.leases.append(Held(lease))

    @rule(hours=st.integers(1, 3))
    def time_passes(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(user=st.sampled_from(USERS[:3]))
    def erases(self, user: str) -> None:
        report = erase(self.store.catalog, [user], self.now)
        assert (report.commit_id is None) == (user in self.book.erased)
        if user not in self.book.erased:
            self.happened["erasure of a turn in use"] += any(
                turn.user_key == user for held in self.book.leases for turn in held.lease.turns
            )
            self.book.erase(user, self.now)

    @rule()
    def compacts(self) -> None:
        groups = plan(self.store.catalog, target=MB)
        keys = [(p.table, p.log_date, p.part) for p in (group.partition for group in groups)]
        assert set(keys) == self.book.compactable()
        compact(self.store.catalog, groups, now=self.now)
        for key in keys:
            self.happened["compaction"] += 1
            self.book.compact(key, self.now)

    @rule(hours=st.sampled_from([0, 1, 4]))
    def collects(self, hours: int) -> None:
        garbage = due(self.store.catalog, retention=hours * HOUR, now=self.now)
        collect(self.store.catalog, garbage, now=self.now)
        self.happened["file kept for a batch"] += garbage.pinned
        assert len(garbage.paths) == self.book.collect(hours * HOUR, self.now)

    @rule()
    def starts_again(self) -> None:
        self.store.reopen()

    @precondition(lambda self: self.book.newest)
    @rule()
    def loses_the_catalog(self) -> None:
        self.store.catalog.close()
        for file in self.store.root.glob("catalog.db*"):
            file.unlink()
        self.store.url = type(self).new_database()
        rebuilt = rebuild(self.store.root, self.store.url, now=self.now)
        assert rebuilt is not None and rebuilt.commits == self.book.newest
        self.store.reopen()
        self.book.lose()
        self.at_work = []

    @precondition(lambda self: self.book.newest)
    @rule(n=which)
    def looks_back(self, n: int) -> None:
        commit = 1 + n % self.book.newest
        for table in COLUMNS:
            expected = self.book.shown(table, commit)
            if expected is None:
                self.happened["snapshot gone"] += 1
                with self.store.catalog.read() as connection, pytest.raises(SnapshotGone):
                    live(connection, table, as_of=commit)
            else:
                assert sorted(self.read(table, commit), key=str) == expected

    def read(self, table: str, commit: int) -> Iterator[Row]:
        with self.store.catalog.read() as connection:
            found = current_readable(connection, table, as_of=commit)
        for file in found:
            path = self.store.catalog.store / file.path
            for batch in reading.columns_at(path, table, COLUMNS[table]):
                yield from zip(*batch.to_pydict().values(), strict=True)

    def teardown(self) -> None:
        if hasattr(self, "book"):
            try:
                if sys.exc_info()[0] is None:  # else the step's own says more
                    self.closes()
            finally:
                self.store.catalog.close()
                shutil.rmtree(self.folder)

    def closes(self) -> None:
        """The views of now and of a commit, each night's counts, and the bytes on the disk."""
        book, catalog = self.book, self.store.catalog
        views.refresh_if_stale(catalog)
        assert self.store.sql("SELECT commit_id FROM warehouse_info") == [(book.newest,)]
        for table, columns in COLUMNS.items():
            query = f"SELECT {', '.join(columns)} FROM {table}"
            assert sorted(self.store.sql(query), key=str) == book.shown(table, book.newest)
        for night in NIGHTS:
            logs = [log for (of, _), log in book.ledger.items() if of == night]
            counts = night_counts(catalog, night)
            assert counts.lines_in == sum(log.lines for log in logs)
            kept = counts.conversations + counts.duplicates + counts.suppressed
            assert counts.lines_in == kept
        if book.newest:
            self.looks_at_a_snapshot(1 + self.made % book.newest)

    def looks_at_a_snapshot(self, commit: int) -> None:
        expected = {table: self.book.shown(table, commit) for table in COLUMNS}
        if None in expected.values():
            with pytest.raises(SnapshotGone):
                snapshot(self.store.catalog, commit)
            return
        with snapshot(self.store.catalog, commit) as earlier:
            for table, columns in COLUMNS.items():
                found = earlier.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
                assert sorted(found, key=str) == expected[table]


@pytest.mark.chaos
@pytest.mark.timeout(900)
@pytest.mark.databases
def test_any_order_of_work_agrees_with_the_book(databases, new_store, monkeypatch) -> None:
    # Views are a tenth of a second each: they are looked at in the end of an example.
    for module in ("publish", "leases", "erase", "upkeep.compact", "upkeep.collect"):
        monkeypatch.setattr(f"warehouse.{module}.refresh_if_stale", lambda catalog: None)
    is_sqlite = databases.new() == ""
    AnyOrder.new_store = staticmethod(lambda root: new_store(root, databases.new()))
    AnyOrder.new_database = staticmethod(databases.empty)
    AnyOrder.happened = Counter()
    examples, least = (64, 2000) if is_sqlite else (10, 300)
    # Not shrunk, which takes minutes: forty steps can be read.
    said = settings(
        max_examples=examples, stateful_step_count=40, derandomize=True, database=None,
        deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(AnyOrder, settings=said)
    assert AnyOrder.happened["step"] >= least
    if is_sqlite:
        missed = [name for name in HAPPENINGS if not AnyOrder.happened[name]]
        assert not missed, "the walk is too short, or one-sided"
