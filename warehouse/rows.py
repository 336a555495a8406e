"""Arrow tables as records: column by column, in half the time that a dictionary a row takes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from warehouse.records import Category, DsatTurn, Message, Role

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIELDS = DsatTurn.__struct_fields__


def dsat_turns(table: pa.Table) -> list[DsatTurn]:
    """The rows of a table that has the columns of `dsat_turns`, in order."""
    columns: dict[str, list[Any]] = {
        name: table[name].to_pylist() for name in _FIELDS if name not in ("context", "event_ts")
    }
    columns["context"] = _contexts(table["context"].combine_chunks())
    columns["event_ts"] = _instants(table["event_ts"])
    columns["category"] = list(map(Category, columns["category"]))
    rows = zip(*(columns[name] for name in _FIELDS), strict=True)
    return [DsatTurn(**dict(zip(_FIELDS, row, strict=True))) for row in rows]


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
