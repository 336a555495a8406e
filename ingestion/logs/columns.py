"""The rows of a Parquet file, each as the JSON that it would be in a log of lines."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Generator, Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.logs.lines import Limits, Line, Pending, Span
from ingestion.logs.stored import Stored
from ingestion.logs.streams import FREE_EXPANSION
from warehouse.records import ReasonCode, Reject

MAGIC = b"PAR1"
_DEEPEST = 64  # names in the path of a column; logs of chats have fewer than 10
_BATCH_ROWS = 64  # at most: few, for text that is stored once may stand in each of them
_BATCH_BYTES = 8 << 20
_DICTIONARY_BYTES = 64 << 20  # that the rows of a batch may repeat
_READ = 1 << 20  # bytes of each column that are read at once
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
# What pyarrow raises at broken content; where the store fails, it is a SourceUnavailable.
_CORRUPT = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


def row_groups(name: str, size: int, shard_bytes: int) -> list[Span]:
    """Spans of row groups, each of about that many of the file's `size` stored bytes.

    Raises SourceUnavailable.
    """
    with Stored(name, ahead=0) as file:
        try:
            footer = _open(file).metadata
        except _CORRUPT:
            return [Span()]
    expanded = [footer.row_group(i).total_byte_size for i in range(footer.num_row_groups)]
    shard = shard_bytes * sum(expanded) / max(1, size)
    starts, held = [0], 0
    for group, taken in enumerate(expanded):
        if held and held + taken > shard:
            starts.append(group)
            held = 0
        held += taken
    return [Span(start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def read_rows(name: str, span: Span, limits: Limits) -> Iterator[Line | Reject]:
    """The rows of the span's row groups; the offset of each is its number in the file, from 0.

    Holds about one batch in memory. What cannot be read of a row group is one Reject; so is a file
    without a readable footer, and one that expands beyond all measure. Raises SourceUnavailable.
    """
    with Stored(name, ahead=0) as file:
        most = max(FREE_EXPANSION, limits.expansion * file.seek(0, os.SEEK_END))
        try:
            table = _open(file)
        except _CORRUPT as error:
            yield _missing(name, 0, type(error).__name__)
            return
        groups = [table.metadata.row_group(i) for i in range(table.metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > most:
            if span.start == 0:
                yield _swollen(name, 0, limits)
            return
        row = sum(group.num_rows for group in groups[: span.start])
        for number in range(len(groups))[span.start : span.end]:
            most -= yield from _read_group(name, table, number, row, most, limits)
            if most < 0:
                return
            row += groups[number].num_rows


def _read_group(
    name: str, table: pq.ParquetFile, number: int, row: int, most: int, limits: Limits
) -> Generator[Line | Reject, None, int]:
    """The rows of one row group, as long as they take no more than that many bytes; how many."""
    end = row + table.metadata.row_group(number).num_rows
    given: int = 0
    try:
        for batch in table.iter_batches(_batch_rows(table, number), [number], use_threads=False):
            if given + batch.nbytes > most:
                yield _swollen(name, row, limits)
                return most + 1
            records = _records(name, row, batch, limits)
            yield from records
            given += sum(len(r.data) if isinstance(r, Line) else r.length for r in records)
            row += batch.num_rows
        if row < end:
            yield _missing(name, row, "too few rows")
    except _CORRUPT as error:
        yield _missing(name, row, type(error).__name__)
    return given


def _open(file: Stored) -> pq.ParquetFile:
    """Raises one of _CORRUPT."""
    table = pq.ParquetFile(file, buffer_size=_READ, page_checksum_verification=True)
    schema, footer = table.metadata.schema, table.metadata
    if any(schema.column(i).path.count(".") > _DEEPEST for i in range(len(schema))):
        raise ValueError("columns in columns")
    for i in range(footer.num_row_groups):
        group = footer.row_group(i)
        if group.num_rows < 0 or group.total_byte_size < 0:
            raise ValueError("sizes that cannot be")
    return table


def _batch_rows(table: pq.ParquetFile, number: int) -> int:
    """How many rows to hold at once: such that neither they nor what they repeat is much."""
    # Asked of a broken chunk, `column` ends the process; reading a row raises an error first.
    next(table.iter_batches(1, [number], use_threads=False), None)
    group = table.metadata.row_group(number)
    average = group.total_byte_size // max(1, group.num_rows)
    repeated = sum(_dictionary_bytes(group.column(i)) for i in range(group.num_columns))
    fitting = min(_BATCH_BYTES // max(1, average), _DICTIONARY_BYTES // max(1, repeated))
    return int(max(1, min(_BATCH_ROWS, fitting)))


def _dictionary_bytes(column: Any) -> int:
    """About how long the values that a column chunk stores once are together."""
    if not column.has_dictionary_page:
        return 0
    stored = max(0, column.data_page_offset - column.dictionary_page_offset)
    expansion = column.total_uncompressed_size / max(1, column.total_compressed_size)
    return min(int(column.total_uncompressed_size), int(stored * expansion))


def _records(name: str, first: int, batch: pa.RecordBatch, limits: Limits) -> list[Line | Reject]:
    try:
        encoded = _encode(batch)
    except Exception:  # of one row: which one, and what it raises, depends on its types
        rows = (batch.slice(i, 1) for i in range(batch.num_rows))
        return [_record(name, first + i, row, limits) for i, row in enumerate(rows)]
    return [_line(name, first + i, data, limits) for i, data in enumerate(encoded)]


def _record(name: str, row: int, batch: pa.RecordBatch, limits: Limits) -> Line | Reject:
    """One row by itself: a value that cannot be written as JSON costs that row only."""
    try:
        return _line(name, row, _encode(batch)[0], limits)
    except UnicodeDecodeError:
        return _unreadable(name, row, batch, ReasonCode.INVALID_UTF8, "text that is no UTF-8")
    except Exception as error:
        detail = f"a value that JSON cannot hold ({type(error).__name__})"
        return _unreadable(name, row, batch, ReasonCode.WRONG_SHAPE, detail)


def _encode(batch: pa.RecordBatch) -> list[bytes]:
    """The rows as JSON: times in ISO 8601, in UTC where they have a zone; NaN as null."""
    schema = pa.schema([field.with_type(_plain(field.type)) for field in batch.schema])
    if schema != batch.schema:
        batch = batch.cast(schema, safe=False)
    kinds = str(schema)
    with warnings.catch_warnings():  # of keys that a map has twice: the last counts, as in JSON
        warnings.simplefilter("ignore")
        # With the argument it takes six times as long, so it is given only where it is needed.
        rows = batch.to_pylist(maps_as_pydicts="lossy" if "map<" in kinds else None)
    if "binary" in kinds:
        rows = [_decoded(row) for row in rows]
    return [_ENCODER.encode(row) for row in rows]


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without what Python's values cannot hold: nanoseconds, zones of their own."""
    types = pa.types
    if types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if types.is_duration(kind):
        return pa.duration("us")
    if types.is_time64(kind):
        return pa.time64("us")
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_struct(kind):
        return pa.struct(
            [kind.field(i).with_type(_plain(kind.field(i).type)) for i in range(kind.num_fields)]
        )
    if types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)))
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_plain(kind.value_type)))
    return kind


def _decoded(value: Any) -> Any:
    """The value with bytes as text: older writers do not mark text as such."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return {_decoded(key): _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value


def _line(name: str, row: int, data: bytes, limits: Limits) -> Line | Reject:
    if len(data) <= limits.line_bytes:
        return Line(row, data)
    pending = Pending(name, limits.line_bytes, row)
    pending.add(data)
    return pending.reject_long()


def _unreadable(
    name: str, row: int, batch: pa.RecordBatch, reason: ReasonCode, detail: str
) -> Reject:
    data = batch.serialize().to_pybytes()
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return Reject(
        reason=reason,
        origin_file=name,
        origin_offset=row,
        length=len(data),
        digest=digest,
        detail=detail,
    )


def _missing(name: str, row: int, why: str) -> Reject:
    detail = f"Parquet broken ({why}); the rows before were read"
    return Pending(name, 0, row).reject(ReasonCode.TRUNCATED_STREAM, detail)


def _swollen(name: str, row: int, limits: Limits) -> Reject:
    detail = f"more than {limits.expansion} bytes for each byte stored"
    return Pending(name, 0, row).reject(ReasonCode.EXPANSION_LIMIT, detail)
