"""What a warehouse must come to, kept in plain lists and dictionaries: the other side of a test."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from warehouse.leases import Lease

Key = tuple[str, dt.date, str]  # table, night, part
Row = tuple[str, str | None, str]  # turn or conversation, user, and what tells its run

# What a promoted model's batch can be read from again, of the tables that are modelled.
_DRAWN = ("dsat_turns",)


@dataclass
class File:
    """Rows that came together, and the commits between which they are shown."""

    key: Key
    rows: frozenset[Row]
    added: int
    removed: int | None = None
    gone: bool = False  # its bytes are given up

    def is_shown(self, as_of: int) -> bool:
        return self.added <= as_of and (self.removed is None or self.removed > as_of)


@dataclass
class Held:
    """A batch: what became of it is in `state`."""

    lease: Lease
    state: str = "leased"  # finished | released | expired | lost, with the catalog

    def is_alive(self, now: dt.datetime) -> bool:
        return self.state == "leased" and self.lease.expires_at > now

    @property
    def own_turns(self) -> dict[str, str | None]:
        """Those that it keeps others from; a batch that reuses another's keeps none."""
        return {} if self.lease.reuses else {t.turn_id: t.user_key for t in self.lease.turns}


@dataclass
class Log:
    """A line of the ledger."""

    lines: int
    duplicates: int
    suppressed: int


@dataclass
class Book:
    """All that was done. Commits are counted from 1, so `times` starts with one of no commit."""

    times: list[dt.datetime]
    files: list[File] = field(default_factory=list)
    history: list[tuple[int, Key]] = field(default_factory=list)  # a line for each generation
    watermarks: dict[str, dt.date] = field(default_factory=dict)
    leases: list[Held] = field(default_factory=list)
    models: dict[str, tuple[Held, bool, int]] = field(default_factory=dict)  # promoted, erased
    erased: set[str] = field(default_factory=set)
    ledger: dict[tuple[dt.date, str], Log] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        return len(self.times) - 1

    def commit(self, now: dt.datetime) -> int:
        self.times.append(now)
        return self.newest

    def replace(self, now: dt.datetime, staged: dict[Key, list[frozenset[Row]]]) -> None:
        """Each partition gets these files, or none, in place of what it had."""
        commit = self.commit(now)
        for key, files in staged.items():
            for old in self.live(key):
                old.removed = commit
            self.files += [File(key, rows, commit) for rows in files]
            self.history.append((commit, key))

    def live(self, key: Key) -> list[File]:
        return [file for file in self.files if file.key == key and file.removed is None]

    def generations(self, table: str, night: dt.date) -> Counter[str]:
        return Counter(part for _, (t, n, part) in self.history if (t, n) == (table, night))

    def move(self, stage: str, night: dt.date) -> None:
        self.watermarks[stage] = max(night, self.watermarks.get(stage, night))

    def shown(self, table: str, as_of: int) -> list[Row] | None:
        """What readers see of a table after a commit, sorted; None: it cannot be read any more."""
        found = [f for f in self.files if f.key[0] == table and f.is_shown(as_of)]
        if any(file.gone for file in found):
            return None
        if table in ("signals", "dsat_turns"):
            found = [file for file in found if file.key in self._current(table, as_of)]
        return sorted((row for file in found for row in file.rows), key=str)

    def _current(self, table: str, as_of: int) -> set[Key]:
        """The partition of each night that was published last."""
        past = sorted(line for line in self.history if line[0] <= as_of and line[1][0] == table)
        return set({key[1]: key for _, key in past}.values())

    def newest_rows(self, as_of: int) -> dict[str, Row]:
        """By DSAT turn, the row of its newest night, of users who are not erased."""
        current = self._current("dsat_turns", as_of)
        found = [f for f in self.files if f.key in current and f.is_shown(as_of)]
        found.sort(key=lambda file: file.key[1])
        rows = {row[0]: row for file in found for row in file.rows}
        return {turn: row for turn, row in rows.items() if row[1] not in self.erased}

    def used(self, now: dt.datetime) -> dict[tuple[str, str], str]:
        """By stream and turn, the batch that was trained on it or may be: one, or none."""
        taken: dict[tuple[str, str], str] = {}
        for held in self.leases:
            if held.state == "finished" or held.is_alive(now):
                for turn, user in held.own_turns.items():
                    if user not in self.erased:
                        assert taken.get((held.lease.stream, turn)) is None, "leased twice"
                        taken[held.lease.stream, turn] = held.lease.batch_id
        return taken

    def fresh(self, stream: str, now: dt.datetime) -> dict[str, Row]:
        taken = {turn for of, turn in self.used(now) if of == stream}
        rows = self.newest_rows(self.newest)
        return {turn: row for turn, row in rows.items() if turn not in taken}

    def expire(self, stream: str, now: dt.datetime) -> None:
        for held in self.leases:
            if held.lease.stream == stream and held.state == "leased" and not held.is_alive(now):
                held.state = "expired"

    def finish(self, held: Held, version: str, promoted: bool, now: dt.datetime) -> None:
        turns = held.lease.turns
        left = [turn for turn in turns if turn.user_key not in self.erased]
        rows = frozenset((turn.turn_id, turn.user_key, version) for turn in left)
        self.replace(now, {("lineage", now.date(), held.lease.batch_id): [rows]})
        held.state = "finished"
        self.models[version] = (held, promoted, len(turns) - len(left))

    def erase(self, user: str, now: dt.datetime) -> None:
        """The user's rows were never there; the ledger counts their records as suppressed."""
        self.commit(now)
        self.erased.add(user)
        for file in [file for file in self.files if not file.gone]:
            own = frozenset(row for row in file.rows if row[1] == user)
            file.rows -= own
            if own and not file.rows:
                self.files.remove(file)
            if own and file.removed is None and file.key[0] == "conversations":
                self.ledger[file.key[1:]].suppressed += len(own)
            if own and file.removed is None and file.key[0] == "lineage":
                ((version,),) = {row[2:] for row in own}
                held, promoted, erased = self.models[version]
                self.models[version] = (held, promoted, erased + len(own))

    def compactable(self) -> set[Key]:
        live = Counter(file.key for file in self.files if file.removed is None)
        return {key for key, count in live.items() if count > 1}

    def compact(self, key: Key, now: dt.datetime) -> None:
        commit = self.commit(now)
        merged = self.live(key)
        for file in merged:
            file.removed = commit
        self.files.append(File(key, frozenset().union(*(f.rows for f in merged)), commit))

    def collect(self, retention: dt.timedelta, now: dt.datetime) -> int:
        """How many files are given up."""
        due = [file for file in self.files if self._is_due(file, retention, now)]
        for file in due:
            file.gone = True
        return len(due)

    def _is_due(self, file: File, retention: dt.timedelta, now: dt.datetime) -> bool:
        if file.removed is None or file.gone or now - self.times[file.removed] < retention:
            return False
        pins = [held.lease.snapshot for held in self.leases if held.is_alive(now)]
        if file.key[0] in _DRAWN:
            pins += [held.lease.snapshot for held, promoted, _ in self.models.values() if promoted]
        return not any(file.is_shown(at) for at in pins)

    def lose(self) -> None:
        """The catalog was made again: of leases only those that a model came of are known."""
        for held in self.leases:
            if held.state != "finished":
                held.state = "lost"


def total(files: Iterable[File]) -> dict[Key, tuple[int, int]]:
    """By partition, how many live files and rows."""
    found: dict[Key, tuple[int, int]] = {}
    for file in files:
        if file.removed is None:
            count, rows = found.get(file.key, (0, 0))
            found[file.key] = (count + 1, rows + len(file.rows))
    return found
