"""The ledger: which logs are published, for which nights, and what was counted in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from warehouse.tables import runs, sources

if TYPE_CHECKING:
    from warehouse.catalog import Catalog


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A log file that a run has read to its end, and what one night has of it."""

    name: str  # absolute path or URL: a log of the same name replaces it
    log_date: dt.date
    size: int  # bytes, as stored
    stamp: str  # etag, else the time of its last change: another stamp, another look at it
    sha256: str  # of the bytes as stored
    lines: int  # not blank
    duplicates: int  # left out, for their conversations are held elsewhere
    suppressed: int  # left out, for their users are erased
    reading: str = ""  # digest of all that its rows depend on; "": not known


def published(catalog: Catalog) -> list[SourceFile]:
    """The logs that are published, by night and name; one that spans nights is there for each."""
    with catalog.read() as connection:
        return _published(connection)


def _published(connection: Connection) -> list[SourceFile]:
    columns = [sources.c[name] for name in SourceFile.__struct_fields__]
    rows = select(*columns).order_by(sources.c.log_date, sources.c.name)
    return [SourceFile(**row) for row in connection.execute(rows).mappings()]


def suppressing(
    connection: Connection, records: Mapping[tuple[dt.date, str], int]
) -> list[SourceFile]:
    """The rows of logs of which so many published records, by night and name, are suppressed."""
    return [
        msgspec.structs.replace(log, suppressed=log.suppressed + records[log.log_date, log.name])
        for log in _published(connection)
        if (log.log_date, log.name) in records
    ]


def read_for(catalog: Catalog) -> dict[tuple[dt.date, str], dt.date]:
    """By night and name of a published log: the night of the run that read it.

    Another one where each record counts to the night that it says.
    """
    rows = select(sources.c.log_date, sources.c.name, runs.c.log_date.label("night")).join(runs)
    with catalog.read() as connection:
        return {(row.log_date, row.name): row.night for row in connection.execute(rows)}


def record(connection: Connection, run_id: str, found: Collection[SourceFile]) -> None:
    """Put a run's logs into the ledger, in place of the former ones of their names and nights."""
    if not found:
        return
    rows = [msgspec.structs.asdict(source) | {"run_id": run_id} for source in found]
    connection.execute(delete(sources).where(*_IS_NAMED), [_named(source) for source in found])
    connection.execute(insert(sources), rows)


def amend(connection: Connection, changed: Collection[SourceFile]) -> None:
    """Put other counts in the rows of logs, which stay those of the runs that read them."""
    if changed:
        rows = [msgspec.structs.asdict(source) | _named(source) for source in changed]
        connection.execute(update(sources).where(*_IS_NAMED), rows)


_IS_NAMED = (
    sources.c.log_date == bindparam("of_night"),
    sources.c.name == bindparam("of_name"),
)


def _named(source: SourceFile) -> dict[str, Any]:
    return {"of_night": source.log_date, "of_name": source.name}


def totals(connection: Connection, log_date: dt.date) -> dict[str, int]:
    """A night's sums over its logs: lines, duplicates, suppressed."""
    names = ("lines", "duplicates", "suppressed")
    sums = [func.coalesce(func.sum(sources.c[name]), 0) for name in names]
    row = connection.execute(select(*sums).where(sources.c.log_date == log_date)).one()
    return dict(zip(names, map(int, row), strict=True))
