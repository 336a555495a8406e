"""Where every line of a run went, read back from the staged files and not from counters."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import CorruptStaging, QualityLimit
from warehouse.query import clustered, redactions, scan
from warehouse.records import ReasonCode
from warehouse.staging import StagedFile

# Every record that is read is a row of one of these, unless its user is suppressed.
RECORDS = ("conversations", "seed_pairs", "rejects")

# A log, as one night has it.
Place = tuple[dt.date, str]

# Files that a message names; the rest are a number.
_NAMED_FILES = 5


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rejects of one reason, and where the first of them stands."""

    reason: str
    count: int
    file: str
    offset: int  # byte, in the decompressed file; or row
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """lines_in = conversations + seed_pairs + duplicates + suppressed + the sum of rejected."""

    lines_in: int
    conversations: int
    turns: int  # those that are carried included
    seed_pairs: int
    duplicates: int
    suppressed: int
    rejected: tuple[Rejected, ...]  # most frequent first
    redacted: Mapping[str, int]  # kind -> how many were replaced, most frequent first
    near_duplicates: int  # conversations that belong to a cluster of them
    places: Mapping[Place, int]  # lines of each log, night by night
    suppressed_by_place: Mapping[Place, int]

    @property
    def total_rejected(self) -> int:
        """Lines that became Rejects."""
        return sum(reason.count for reason in self.rejected)


def records_by_place(files: Iterable[StagedFile]) -> Counter[Place]:
    """How many records the files hold, by night and log."""
    records: Counter[Place] = Counter()
    for file in files:
        if file.table in RECORDS:
            records[file.log_date, file.part] += file.rows
    return records


def take(
    store: Path,
    files: Sequence[StagedFile],
    *,
    lines_in: int,
    duplicates: Mapping[Place, int],
    suppressed: Mapping[Place, int],
) -> Account:
    """The account of a run's files. Raises CorruptStaging where it does not add up."""
    rows: Counter[str] = Counter()
    for file in files:
        rows[file.table] += file.rows
    places = records_by_place(files) + Counter(duplicates) + Counter(suppressed)
    account = Account(
        lines_in=lines_in,
        conversations=rows["conversations"],
        turns=rows["turns"],
        seed_pairs=rows["seed_pairs"],
        duplicates=sum(duplicates.values()),
        suppressed=sum(suppressed.values()),
        rejected=_rejected(store, files),
        redacted=redactions(store, _of(("conversations", "seed_pairs"), files)),
        near_duplicates=clustered(store, _of(("conversations",), files)),
        places=places,
        suppressed_by_place=suppressed,
    )
    if lines_in != sum(places.values()):
        raise CorruptStaging(
            f"{lines_in} lines were read, but {account.conversations} conversations, "
            f"{account.seed_pairs} pairs, {account.duplicates} duplicates, {account.suppressed} "
            f"suppressed and {account.total_rejected} rejects came of them. Nothing was "
            "published; run again."
        )
    return account


def _rejected(store: Path, files: Iterable[StagedFile]) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(*row) for row in scan(store, "rejects", _of(("rejects",), files), _REJECTED)
    )


def _of(tables: Collection[str], files: Iterable[StagedFile]) -> list[StagedFile]:
    return [file for file in files if file.table in tables]


_REJECTED = """
SELECT reason, count(*) AS n, first(origin_file ORDER BY origin_file, origin_offset),
       first(origin_offset ORDER BY origin_file, origin_offset),
       first(detail ORDER BY origin_file, origin_offset)
FROM ({}) GROUP BY reason ORDER BY n DESC, reason
"""


def check_quality(account: Account, files: Sequence[StagedFile], max_reject_share: float) -> None:
    """Raise QualityLimit where more than that share of the lines was rejected."""
    rejected = account.total_rejected
    if rejected <= max_reject_share * account.lines_in:
        return
    reasons = "\n".join(
        f"  {reason.count} x {reason.reason}, first in {reason.file} at byte {reason.offset}: "
        f"{reason.detail}"
        for reason in account.rejected
    )
    raise QualityLimit(
        f"{rejected} of {account.lines_in} lines were rejected, over the limit of "
        f"{max_reject_share:.0%} ([ingestion] max_reject_share):\n{reasons}\n"
        f"Rejected lines by file: {_by_file(files)}. Nothing was published. {_advice(account)} "
        "or raise the limit; run again."
    )


def _advice(account: Account) -> str:
    if any(reason.reason == ReasonCode.ID_CLASH for reason in account.rejected):
        return (
            "Where ids are numbered afresh each night, set [ingestion] id_scope; give logs of "
            "two products a [ingestion] source each, mend the logs,"
        )
    return "Mend the logs, set [ingestion] format if the shape was taken for another,"


def _by_file(files: Iterable[StagedFile]) -> str:
    counts: Counter[str] = Counter()
    for file in _of(("rejects",), files):
        counts[file.part] += file.rows
    named = [f"{name} {rows}" for name, rows in counts.most_common(_NAMED_FILES)]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} more files" if more else "")
