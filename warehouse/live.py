"""Which files are live, by one connection's view of the catalog, now or at an earlier commit."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from warehouse.errors import SnapshotGone
from warehouse.schema import Partition
from warehouse.staging import StagedFile
from warehouse.tables import commits, files
from warehouse.tables import generations as history

# Tables whose parts are detectors. They stand side by side, and readers see one of them a night.
DETECTED = frozenset({"signals", "dsat_turns"})


class LiveFile(StagedFile, frozen=True, kw_only=True):
    """A published file that no later publish has replaced."""

    generation: int  # of its partition
    commit_id: int  # that added it


class Readable(NamedTuple):
    """As much of a published file as it takes to read it. A view may have tens of thousands."""

    log_date: dt.date
    part: str
    path: str
    shape: str | None


_File = TypeVar("_File", LiveFile, Readable)

COLUMNS = [
    files.c.table_name.label("table"),
    files.c.added_commit.label("commit_id"),
    *(files.c[name] for name in LiveFile.__struct_fields__ if name not in ("table", "commit_id")),
]


def live(
    connection: Connection,
    table: str,
    log_date: dt.date | None = None,
    *,
    as_of: int | None = None,
) -> list[LiveFile]:
    """The live files of a table, of every part, by log_date and part.

    `as_of`: those that were live after that commit. Raises SnapshotGone where one of them is not
    on the disk any more.
    """
    rows = select(*COLUMNS, files.c.deleted_at).where(files.c.table_name == table, shown(as_of))
    if log_date is not None:
        rows = rows.where(files.c.log_date == log_date)
    found = connection.execute(rows.order_by(files.c.log_date, files.c.part, files.c.path))
    return [_live(dict(row), as_of) for row in found.mappings()]


def readable(connection: Connection, table: str, *, as_of: int | None = None) -> list[Readable]:
    """`live`, with less of each file."""
    columns = (files.c[name] for name in Readable._fields)
    rows = select(*columns, files.c.deleted_at).where(files.c.table_name == table, shown(as_of))
    found = connection.execute(rows.order_by(files.c.log_date, files.c.part, files.c.path)).all()
    for *_, path, _, deleted_at in found:
        _refuse_gone(path, deleted_at, as_of)
    return [Readable(*row[:-1]) for row in found]


def _live(row: dict[str, Any], as_of: int | None) -> LiveFile:
    _refuse_gone(row["path"], row.pop("deleted_at"), as_of)
    return LiveFile(**row)


def _refuse_gone(path: str, deleted_at: dt.datetime | None, as_of: int | None) -> None:
    if deleted_at is not None:
        raise SnapshotGone(
            f"commit {as_of} cannot be read any more: {path} was superseded and its bytes were "
            "given up. Name a newer commit; how long superseded files are kept is [warehouse] "
            "retention_days."
        )


def shown(as_of: int | None) -> ColumnElement[bool]:
    """Of the table `files`: those that readers see, now or after a commit."""
    if as_of is None:
        return files.c.removed_commit.is_(None)
    stays = files.c.removed_commit.is_(None) | (files.c.removed_commit > as_of)
    return (files.c.added_commit <= as_of) & stays


def current(connection: Connection, table: str) -> list[LiveFile]:
    """The live files that readers see: of a detected table, one detector's a night.

    It hides what others say of the night, also where it found nothing.
    """
    return _of_current(connection, table, live(connection, table), None)


def current_readable(
    connection: Connection, table: str, *, as_of: int | None = None
) -> list[Readable]:
    """`current`, now or after a commit, with less of each file."""
    return _of_current(connection, table, readable(connection, table, as_of=as_of), as_of)


def _of_current(
    connection: Connection, table: str, found: list[_File], as_of: int | None
) -> list[_File]:
    if table not in DETECTED:
        return found
    newest = detectors(connection, table, as_of=as_of)
    return [file for file in found if newest[file.log_date] == file.part]


def detectors(
    connection: Connection, table: str, *, as_of: int | None = None
) -> dict[dt.date, str]:
    """The part of each night of a detected table that readers see, now or after a commit.

    Of the parts that were published for a night the one that was promoted last; of none that was,
    the one that was published last.
    """
    last = func.max(history.c.commit_id).label("last")
    rows = select(history.c.log_date, history.c.part, last).where(history.c.table_name == table)
    if as_of is not None:
        rows = rows.where(history.c.commit_id <= as_of)
    found = connection.execute(rows.group_by(history.c.log_date, history.c.part)).all()
    ranks = promotions(connection, as_of=as_of)
    # The best of a night comes last, and stays.
    found = sorted(found, key=lambda row: (ranks.get(row.part, 0), row.last, row.part))
    best = {row.log_date: row.part for row in found}
    return {night: best[night] for night in sorted(best)}


def promotions(connection: Connection, *, as_of: int | None = None) -> dict[str, int]:
    """Every detector that was ever promoted -> the commit that did so last."""
    newest = func.max(commits.c.commit_id).label("newest")
    rows = select(commits.c.subject, newest).where(commits.c.kind == "detector")
    if as_of is not None:
        rows = rows.where(commits.c.commit_id <= as_of)
    found = connection.execute(rows.group_by(commits.c.subject))
    return {row.subject: row.newest for row in found}


def detector_parts(connection: Connection) -> list[str]:
    """Every detector ("name@version") that has mined a night, sorted."""
    rows = select(history.c.part).where(history.c.table_name == "signals").distinct()
    return sorted(connection.execute(rows).scalars())


def head_of(connection: Connection, partition: Partition) -> int:
    """The commit that published a partition last; 0: none yet."""
    rows = select(func.coalesce(func.max(history.c.commit_id), 0)).where(
        history.c.table_name == partition.table,
        history.c.log_date == partition.log_date,
        history.c.part == partition.part,
    )
    return int(connection.execute(rows).scalar_one())


def part_heads(connection: Connection, table: str) -> dict[tuple[dt.date, str], int]:
    """The partitions of a table, each with the commit that published it last."""
    rows = (
        select(history.c.log_date, history.c.part, func.max(history.c.commit_id).label("head"))
        .where(history.c.table_name == table)
        .group_by(history.c.log_date, history.c.part)
    )
    return {(row.log_date, row.part): row.head for row in connection.execute(rows)}


# Made once: to build a statement costs several times what SQLite takes for it.
_NEWEST = select(func.coalesce(func.max(commits.c.commit_id), 0))
_NEWEST_OF_KIND = _NEWEST.where(commits.c.kind == bindparam("of_kind"))
_GENERATIONS = (
    select(history.c.log_date, history.c.part, func.max(history.c.generation).label("generation"))
    .where(
        history.c.table_name == bindparam("of_table"),
        history.c.log_date.between(bindparam("first"), bindparam("last")),
    )
    .group_by(history.c.log_date, history.c.part)
    .order_by(history.c.log_date, history.c.part)
)


def generations(connection: Connection, table: str, *log_dates: dt.date) -> dict[Partition, int]:
    """How often each partition of these nights was replaced; one that is absent counts as 0."""
    of = {"of_table": table, "first": min(log_dates), "last": max(log_dates)}
    return {
        Partition(table, row.log_date, row.part): row.generation
        for row in connection.execute(_GENERATIONS, of)
        if row.log_date in log_dates
    }


def heads(connection: Connection, table: str) -> dict[dt.date, int]:
    """The nights that a table was published for, in order, each with its newest commit."""
    rows = (
        select(history.c.log_date, func.max(history.c.commit_id).label("head"))
        .where(history.c.table_name == table)
        .group_by(history.c.log_date)
        .order_by(history.c.log_date)
    )
    return {row.log_date: row.head for row in connection.execute(rows)}


def newest_commit(
    connection: Connection, table: str | None = None, *, kind: str | None = None
) -> int:
    """The newest commit's id, of all, of those that published a table or are of a kind; 0: none."""
    if table is not None:
        return max(heads(connection, table).values(), default=0)
    if kind is not None:
        return int(connection.execute(_NEWEST_OF_KIND, {"of_kind": kind}).scalar_one())
    return int(connection.execute(_NEWEST).scalar_one())
