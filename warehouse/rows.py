"""Arrow tables as records: column by column, in half the time that a dictionary a row takes."""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeVar

import pyarrow as pa

from warehouse.records import Category, DsatTurn, Message, Role, SatTurn, SeedPair

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_Record = TypeVar("_Record", DsatTurn, SatTurn, SeedPair)


def dsat_turns(table: pa.Table) -> list[DsatTurn]:
    """The rows of a table that has the columns of `dsat_turns`, in order."""
    categories = list(map(Category, table["category"].to_pylist()))
    return _records(table, DsatTurn, "context", {"category": categories})


def sat_turns(table: pa.Table) -> list[SatTurn]:
    """The rows of a table that has a column for each field, in order."""
    return _records(table, SatTurn, "context", {})


def seed_pairs(table: pa.Table) -> list[SeedPair]:
    """The rows of a table that has a column for each field but `redactions`, in order."""
    return _records(table, SeedPair, "prompt", {"redactions": [()] * table.num_rows})


def _records(
    table: pa.Table, record: type[_Record], messages: str, given: dict[str, list[Any]]
) -> list[_Record]:
    names = record.__struct_fields__
    columns = given | {messages: _contexts(table[messages].combine_chunks())}
    if "event_ts" in names:
        columns["event_ts"] = _instants(table["event_ts"])
    for name in names:
        if name not in columns:
            columns[name] = table[name].to_pylist()
    rows = zip(*(columns[name] for name in names), strict=True)
    return [record(**dict(zip(names, row, strict=True))) for row in rows]


def _contexts(column: pa.ListArray) -> list[tuple[Message, ...]]:
    messages, ends = column.flatten(), column.offsets.to_pylist()
    parts = (messages.field(name).to_pylist() for name in ("role", "content", "prompt_hash"))
    found = [
        Message(role=Role(role), content=content, prompt_hash=prompt_hash)
        for role, content, prompt_hash in zip(*parts, strict=True)
    ]
    # A slice of a longer array starts at its own first offset.
    return [
        tuple(found[start - ends[0] : end - ends[0]])
        for start, end in zip(ends, ends[1:], strict=False)
    ]


def _instants(column: pa.ChunkedArray) -> list[dt.datetime | None]:
    """UTC, whatever zone the column shows."""
    micros = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_pylist()
    return [None if us is None else _EPOCH + dt.timedelta(microseconds=us) for us in micros]
