"""A run of the walk through any order: what it stages, and whether it may publish."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from tests.behaviours.book import Book, Key, Log, Row
from warehouse.ledger import SourceFile
from warehouse.publish import Seen, begin, erasure, publish
from warehouse.schema import Partition

if TYPE_CHECKING:
    from tests.behaviours.test_any_order import AnyOrder

NIGHTS = tuple(dt.date(2026, 11, day) for day in (18, 19, 20))
USERS = ("key-of-ann", "key-of-bob", "key-of-cat", None)

# Table -> the columns by which a row is known.
COLUMNS = {
    "turns": ("turn_id", "user_key", "content"),
    "conversations": ("conversation_id", "user_key", "content_hash"),
    "signals": ("turn_id", "user_key", "model"),
    "dsat_turns": ("turn_id", "user_key", "model"),
    "lineage": ("turn_id", "user_key", "model_version"),
}
OF = {"ingest": ("turns", "conversations"), "mine": ("signals", "dsat_turns")}
PARTS = {"ingest": ("a", "b"), "mine": ("rules@1", "small@7")}


class Run:
    """A run that has staged its files, and is about to publish them."""

    def __init__(self, machine: "AnyOrder", stage: str, night: dt.date, part: int, ids: set[int]):
        self.stage, self.night, self.part = stage, night, PARTS[stage][part]
        self.name = f"run-{machine.made}"
        book, store = machine.book, machine.store
        self.erased = set(book.erased)
        self.saw = {table: book.generations(table, night) for table in OF[stage]}
        kept = [i for i in sorted(ids) if USERS[i % 4] not in book.erased]
        self.left_out = len(ids) - len(kept)
        halves = [half for half in (kept[:2], kept[2:]) if half]
        self.rows: dict[Key, list[frozenset[Row]]] = {}
        self.staged = []
        for table in OF[stage]:
            made = [[self.row(store, table, i) for i in half] for half in halves]
            self.staged += [store.stage(table, self.part, some, night) for some in made]
            names = COLUMNS[table]
            self.rows[table, night, self.part] = [
                frozenset(tuple(getattr(row, name) for name in names) for row in some)
                for some in made
            ]
        begin(store.catalog, run_id=self.name, stage=stage, log_date=night, now=machine.now)
        nights = {
            (table, night): {Partition(table, night, p): n for p, n in saw.items()}
            for table, saw in self.saw.items()
        }
        self.seen = Seen(erasure=erasure(store.catalog), nights=nights)

    def row(self, store: Any, table: str, i: int) -> Any:
        make = {
            "turns": store.turn, "conversations": store.facts, "signals": store.signal,
            "dsat_turns": store.dsat,
        }[table]  # fmt: skip
        told = {COLUMNS[table][2]: self.name, "user_key": USERS[i % 4]}
        if table == "conversations":
            told["conversation_id"] = f"{self.night}-{i}"
        return make(i, **told)

    def wins(self, book: Book) -> bool:
        """Nothing that it saw has changed since."""
        found = {table: book.generations(table, self.night) for table in OF[self.stage]}
        return found == self.saw and book.erased == self.erased

    def log(self) -> Log:
        records = sum(len(some) for some in self.rows["conversations", self.night, self.part])
        return Log(records + self.left_out + 1, 1, self.left_out)

    def publish(self, machine: "AnyOrder", watermark: dt.date | None) -> None:
        sources = []
        if self.stage == "ingest":
            log = self.log()
            sources = [
                SourceFile(
                    name=self.part, log_date=self.night, size=1, stamp="", sha256="aa",
                    lines=log.lines, duplicates=log.duplicates, suppressed=log.suppressed,
                )
            ]  # fmt: skip
        publish(
            machine.store.catalog, run_id=self.name, staged=self.staged, seen=self.seen,
            replaces={Partition(*key) for key in self.rows}, sources=sources, counts={},
            watermark=watermark, now=machine.now,
        )  # fmt: skip
