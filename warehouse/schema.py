"""Explicit Arrow schemas of the tables, and rows to batches.

Every column carries a Parquet field id that is never used twice, so that columns can be added,
renamed, widened and dropped while files of the older shape are live: what a file calls a column
is forgotten, its id decides. A field that is added to a list's struct must come last there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import pyarrow as pa

_TS = pa.timestamp("us", tz="UTC")


def _field(field_id: int, name: str, kind: pa.DataType, *, null: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=null, metadata={"PARQUET:field_id": str(field_id)})


_MESSAGE = pa.struct(
    [
        _field(101, "role", pa.string()),
        _field(102, "content", pa.string()),
        _field(103, "prompt_hash", pa.string(), null=True),
    ]
)
_REDACTION = pa.struct([_field(121, "kind", pa.string()), _field(122, "count", pa.int32())])
_EVIDENCE = pa.struct(
    [
        _field(111, "rule", pa.string()),
        _field(112, "start", pa.int32()),
        _field(113, "end", pa.int32()),
        _field(114, "weight", pa.float64()),
    ]
)

# The partition column stands in the file too, so that a file explains itself without its path.
_LOG_DATE = _field(1, "log_date", pa.date32())

TURNS = pa.schema(
    [
        _LOG_DATE,
        _field(2, "turn_id", pa.string()),
        _field(3, "conversation_id", pa.string()),
        _field(4, "turn_index", pa.int32()),
        _field(5, "role", pa.string()),
        _field(6, "content", pa.string()),
        _field(18, "prompt_hash", pa.string(), null=True),
        _field(7, "model", pa.string(), null=True),
        _field(8, "user_key", pa.string(), null=True),
        _field(9, "language", pa.string(), null=True),
        _field(10, "event_ts", _TS, null=True),
        _field(11, "thumb", pa.int8(), null=True),
        _field(12, "rating", pa.float64(), null=True),
        _field(13, "regenerated", pa.bool_(), null=True),
        _field(19, "edited", pa.bool_(), null=True),
        _field(22, "flagged", pa.bool_(), null=True),
        _field(20, "opted_out", pa.bool_()),
        _field(21, "carried", pa.bool_()),
        _field(14, "source", pa.string()),
        _field(15, "origin_file", pa.string()),
        _field(16, "origin_offset", pa.int64()),
        _field(17, "chain", pa.uint64()),
    ]
)

CONVERSATIONS = pa.schema(
    [
        _LOG_DATE,
        _field(2, "conversation_id", pa.string()),
        _field(3, "source", pa.string()),
        _field(4, "messages", pa.int32()),
        _field(5, "user_key", pa.string(), null=True),
        _field(6, "language", pa.string(), null=True),
        _field(7, "opted_out", pa.bool_()),
        _field(8, "started_at", _TS, null=True),
        _field(9, "ended_at", _TS, null=True),
        _field(10, "redactions", pa.list_(_field(11, "element", _REDACTION))),
        _field(12, "content_hash", pa.string()),
        _field(13, "sketch", pa.list_(_field(14, "element", pa.uint64()))),
        _field(15, "cluster", pa.string(), null=True),
        _field(16, "chain", pa.uint64()),
        _field(17, "origin_file", pa.string()),
        _field(18, "origin_offset", pa.int64()),
    ]
)

SYSTEM_PROMPTS = pa.schema(
    [_LOG_DATE, _field(2, "prompt_hash", pa.string()), _field(3, "content", pa.string())]
)

SEED_PAIRS = pa.schema(
    [
        _LOG_DATE,
        _field(2, "pair_id", pa.string()),
        _field(3, "conversation_id", pa.string(), null=True),
        _field(4, "prompt", pa.list_(_field(5, "element", _MESSAGE))),
        _field(6, "chosen", pa.string()),
        _field(7, "rejected", pa.string()),
        _field(8, "user_key", pa.string(), null=True),
        _field(9, "opted_out", pa.bool_()),
        _field(10, "redactions", pa.list_(_field(11, "element", _REDACTION))),
        _field(12, "source", pa.string()),
        _field(13, "origin_file", pa.string()),
        _field(14, "origin_offset", pa.int64()),
    ]
)

SIGNALS = pa.schema(
    [
        _LOG_DATE,
        _field(2, "turn_id", pa.string()),
        _field(3, "conversation_id", pa.string()),
        _field(4, "turn_index", pa.int32()),
        _field(5, "answer_turn_id", pa.string()),
        _field(6, "signal", pa.string()),
        _field(7, "category", pa.string()),
        _field(8, "probability", pa.float64()),
        _field(9, "evidence", pa.list_(_field(10, "element", _EVIDENCE))),
        _field(11, "detector", pa.string()),
        _field(12, "detector_version", pa.string()),
        _field(13, "model", pa.string(), null=True),
        _field(14, "user_key", pa.string(), null=True),
        _field(15, "language", pa.string(), null=True),
        _field(16, "event_ts", _TS, null=True),
        _field(17, "report_threshold", pa.float64(), null=True),
        _field(18, "trainable_threshold", pa.float64(), null=True),
    ]
)

DSAT_TURNS = pa.schema(
    [
        _LOG_DATE,
        _field(2, "turn_id", pa.string()),
        _field(3, "conversation_id", pa.string()),
        _field(4, "answer_turn_id", pa.string()),
        _field(5, "context", pa.list_(_field(6, "element", _MESSAGE))),
        _field(7, "answer", pa.string()),
        _field(8, "feedback", pa.string()),
        _field(9, "category", pa.string()),
        _field(10, "probability", pa.float64()),
        _field(11, "trainable", pa.bool_()),
        _field(12, "untrainable_reason", pa.string(), null=True),
        _field(13, "detector", pa.string()),
        _field(14, "detector_version", pa.string()),
        _field(15, "model", pa.string(), null=True),
        _field(16, "user_key", pa.string(), null=True),
        _field(17, "language", pa.string(), null=True),
        _field(18, "event_ts", _TS, null=True),
        _field(19, "cluster", pa.string(), null=True),
    ]
)

REJECTS = pa.schema(
    [
        _LOG_DATE,
        _field(2, "reason", pa.string()),
        _field(3, "origin_file", pa.string()),
        _field(4, "origin_offset", pa.int64()),
        _field(5, "length", pa.int64()),
        _field(6, "digest", pa.string()),
        _field(7, "detail", pa.string()),
    ]
)

LINEAGE = pa.schema(
    [
        _LOG_DATE,
        _field(2, "turn_id", pa.string()),
        _field(3, "batch_id", pa.string()),
        _field(4, "stream", pa.string()),
        _field(5, "model_version", pa.string()),
        _field(6, "user_key", pa.string(), null=True),
        _field(7, "kind", pa.string(), null=True),
    ]
)

# A warehouse table: its name is the folder's, the view's and the catalog's.
TABLES: dict[str, pa.Schema] = {
    "turns": TURNS,
    "conversations": CONVERSATIONS,
    "system_prompts": SYSTEM_PROMPTS,
    "seed_pairs": SEED_PAIRS,
    "signals": SIGNALS,
    "dsat_turns": DSAT_TURNS,
    "rejects": REJECTS,
    "lineage": LINEAGE,
}

_ID = b"PARQUET:field_id"


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """The unit of replacement: one night of one table, from one origin.

    `part` keeps apart what a night holds side by side: the log file for all that is ingested,
    "name@version" of the detector for signals and DSAT turns, the batch for lineage. So a late
    log adds to its night and a new detector stands beside the old one, and each is replaced alone.
    """

    table: str
    log_date: dt.date
    part: str


def to_batch(table: str, log_date: dt.date, rows: Iterable[Any]) -> pa.RecordBatch:
    """Rows (structs of `warehouse.records`) -> one RecordBatch in the table's schema.

    Raises pa.ArrowInvalid where a row does not fit: a defect of the caller, never of the data.
    """
    schema = TABLES[table]
    rows = list(rows)
    columns = [pa.repeat(pa.scalar(log_date, pa.date32()), len(rows))]
    for field in list(schema)[1:]:
        values: list[Any] = list(map(attrgetter(field.name), rows))
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            names = [child.name for child in field.type.value_type]
            values = [[{n: getattr(v, n) for n in names} for v in row] for row in values]
        columns.append(pa.array(values, type=field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def field_id(field: pa.Field) -> int:
    """The Parquet field id of a column."""
    return int(field.metadata[_ID])


def shape(schema: pa.Schema) -> str:
    """32 hex that tell one schema from another: ids, names and types, down to the innermost."""
    digest = hashlib.blake2b(schema.to_string(show_schema_metadata=False).encode(), digest_size=16)
    return digest.hexdigest()


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Rows as a file of any shape holds them -> a table's schema of today, or a part of it.

    Columns are known by their ids; one that the file lacks is null or, where that may not be, its
    type's zero. Raises pa.ArrowInvalid where a value does not fit the type of today.
    """
    if batch.schema.equals(schema, check_metadata=False):
        return batch
    held = {field_id(field): batch.column(i) for i, field in enumerate(batch.schema)}
    columns = []
    for field in schema:
        column = held.get(field_id(field))
        if column is None:
            column = pa.nulls(batch.num_rows, field.type)
        columns.append(_filled(column.cast(field.type), field))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _filled(column: pa.Array, field: pa.Field) -> pa.Array:
    """Without nulls where the field has none."""
    if field.nullable or not column.null_count:
        return column
    return column.fill_null(default(field))


def default(field: pa.Field) -> Any:
    """What a column that takes no null holds for files that are older than it."""
    if pa.types.is_string(field.type):
        return ""
    if pa.types.is_boolean(field.type):
        return False
    if pa.types.is_list(field.type):
        return []
    return 0
