"""Which files are live, by one connection's view of the catalog."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Connection, func, select

from warehouse.schema import Partition
from warehouse.staging import StagedFile
from warehouse.tables import commits, files, partitions

# Tables whose parts are detectors. They stand side by side, and readers see one of them a night.
DETECTED = frozenset({"signals", "dsat_turns"})


class LiveFile(StagedFile, frozen=True, kw_only=True):
    """A published file that no later publish has replaced."""

    generation: int  # of its partition
    commit_id: int  # that added it


_COLUMNS = [
    files.c.table_name.label("table"),
    files.c.added_commit.label("commit_id"),
    *(files.c[name] for name in LiveFile.__struct_fields__ if name not in ("table", "commit_id")),
]


def live(connection: Connection, table: str, log_date: dt.date | None = None) -> list[LiveFile]:
    """The live files of a table, of every part, by log_date and part."""
    rows = (
        select(*_COLUMNS)
        .where(files.c.table_name == table, files.c.removed_commit.is_(None))
        .order_by(files.c.log_date, files.c.part, files.c.path)
    )
    if log_date is not None:
        rows = rows.where(files.c.log_date == log_date)
    return [LiveFile(**row) for row in connection.execute(rows).mappings()]


def current(connection: Connection, table: str) -> list[LiveFile]:
    """The live files that readers see: of a detected table, one detector's a night.

    The current detector of a night is the one that was published last for it, and so also where
    it found nothing.
    """
    found = live(connection, table)
    if table not in DETECTED:
        return found
    rows = (
        select(partitions.c.log_date, partitions.c.part)
        .where(partitions.c.table_name == table)
        .order_by(partitions.c.head, partitions.c.part)
    )
    newest = {row.log_date: row.part for row in connection.execute(rows)}
    return [file for file in found if newest[file.log_date] == file.part]


def generations(connection: Connection, table: str, log_date: dt.date) -> dict[Partition, int]:
    """How often each partition of one night was replaced; one that is absent counts as 0."""
    rows = select(partitions.c.part, partitions.c.generation).where(
        partitions.c.table_name == table, partitions.c.log_date == log_date
    )
    found = connection.execute(rows.order_by(partitions.c.part))
    return {Partition(table, log_date, row.part): row.generation for row in found}


def heads(connection: Connection, table: str) -> dict[dt.date, int]:
    """The nights that a table was published for, in order, each with its newest commit."""
    rows = (
        select(partitions.c.log_date, func.max(partitions.c.head).label("head"))
        .where(partitions.c.table_name == table)
        .group_by(partitions.c.log_date)
        .order_by(partitions.c.log_date)
    )
    return {row.log_date: row.head for row in connection.execute(rows)}


def newest_commit(connection: Connection, table: str | None = None) -> int:
    """The id of the newest commit, of all or of those that published a table; 0: none yet."""
    if table is not None:
        return max(heads(connection, table).values(), default=0)
    newest = select(func.coalesce(func.max(commits.c.commit_id), 0))
    return int(connection.execute(newest).scalar_one())
