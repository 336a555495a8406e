"""Reading Parquet files of any shape as their table is today: in SQL, or batch by batch."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from warehouse.live import Readable
from warehouse.schema import TABLES, conform, default, field_id, shape
from warehouse.staging import StagedFile
from warehouse.store import parquet_file

_ROWS = 65_536  # of a batch, where nobody says how many

# From so many files on a night is read on its own (docs/decisions/0014-a-night-of-many-files.md).
_ALONE = 100

_SQL_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.float64(): "DOUBLE",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.string(): "VARCHAR",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
    pa.uint64(): "UBIGINT",
}


def batches(store: Path, file: StagedFile, *, rows: int) -> Iterator[pa.RecordBatch]:
    """A file's rows in its table's schema of today, at most `rows` of a row group at once.

    Raises OSError, pa.ArrowException where it cannot be read.
    """
    with parquet_file(store / file.path) as parquet:
        for group in range(parquet.num_row_groups):  # or few long rows would be as large as many
            for batch in parquet.iter_batches(rows, row_groups=[group]):
                yield conform(batch, TABLES[file.table])


def columns(store: Path, file: StagedFile, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a file, known by their names of today; one that it lacks is null."""
    yield from columns_at(store / file.path, file.table, names)


def columns_at(
    path: Path, table: str, names: Sequence[str], *, rows: int = _ROWS
) -> Iterator[pa.RecordBatch]:
    """`columns`, of the file of a table at `path`, at most `rows` at once."""
    schema = pa.schema([TABLES[table].field(name) for name in names])
    with parquet_file(path) as parquet:
        held = {field_id(field): field.name for field in parquet.schema_arrow}
        wanted = [held[id] for id in map(field_id, schema) if id in held]
        for batch in parquet.iter_batches(rows, columns=wanted):
            yield conform(batch, schema)


def query(store: Path, table: str, files: Iterable[Readable | StagedFile]) -> str:
    """SQL that reads all columns of a table from these files, each file named."""
    schema = TABLES[table]
    digest, place = shape(schema), str(store)
    nights: dict[dt.date, list[str]] = {}
    older: list[str] = []
    for file in files:
        same = nights.setdefault(file.log_date, []) if file.shape == digest else older
        same.append(f"{place}/{file.path}")
    parts = list(_of_today(schema, nights))
    if older:
        parts.append(
            f"SELECT {', '.join(map(_given, schema))}\nFROM read_parquet({_listed(older)}, "
            f"schema = {_by_id(schema)})"
        )
    if not parts:
        return empty({field.name: sql_type(field.type) for field in schema})
    return "\nUNION ALL\n".join(parts)


def _of_today(schema: pa.Schema, nights: Mapping[dt.date, Sequence[str]]) -> Iterator[str]:
    """SQL that reads files in today's shape: a query for some nights opens no others."""
    paths = [path for held in nights.values() if len(held) < _ALONE for path in held]
    if paths:  # DuckDB takes the night from the path, which it cannot where it goes by field ids
        yield (
            f"SELECT {', '.join(schema.names)}\nFROM read_parquet({_listed(paths)}, "
            "hive_partitioning = true, hive_types = {'log_date': DATE})"
        )
    for night, held in nights.items():
        if len(held) >= _ALONE:
            yield (
                f"SELECT * REPLACE (DATE '{night}' AS log_date)\n"
                f"FROM read_parquet({_listed(held)}, hive_partitioning = false)"
            )


def by_file(paths: Sequence[str], table: str, names: Sequence[str]) -> str:
    """SQL that reads some columns of files of any shape, and `filename`: the one of these paths."""
    schema = pa.schema([TABLES[table].field(name) for name in names])
    listed = ", ".join(map(literal, paths))
    return f"SELECT *, filename FROM read_parquet([{listed}], schema = {_by_id(schema)})"


def _listed(paths: Sequence[str]) -> str:
    """A list of paths as one literal: DuckDB reads it several times faster than thousands.

    Their folder is said once, for with each comment on a view its text is copied.
    """
    folder = os.path.dirname(os.path.commonprefix(paths))
    rest = [path.removeprefix(folder) for path in paths]
    mark = next(mark for mark in "\n\t|" if not any(mark in path for path in rest))
    listed = f"string_split({literal(mark.join(rest))}, {literal(mark)})"
    return f"[{literal(folder)} || path FOR path IN {listed}]"


def _given(field: pa.Field) -> str:
    """A column, with a value where it must have one and the file is older than it."""
    if field.nullable:
        return str(field.name)
    value = default(field)
    said = literal(value) if isinstance(value, str) else str(value)
    return f"coalesce({field.name}, {said}::{sql_type(field.type)}) AS {field.name}"


def _by_id(schema: pa.Schema) -> str:
    entries = [
        f"{field_id(field)}: {{name: {literal(field.name)}, "
        f"type: {literal(sql_type(field.type))}, default_value: NULL}}"
        for field in schema
    ]
    return "MAP {\n    " + ",\n    ".join(entries) + "}"


def empty(columns: Mapping[str, str]) -> str:
    """SQL for no rows of these columns."""
    typed = ", ".join(f"NULL::{kind} AS {name}" for name, kind in columns.items())
    return f"SELECT {typed} WHERE false"


def literal(value: str) -> str:
    """A text as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type."""
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = ", ".join(f'"{child.name}" {sql_type(child.type)}' for child in kind)
        return f"STRUCT({fields})"
    return _SQL_TYPES[kind]
