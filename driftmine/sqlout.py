"""Rows of a query to stdout: a table for people; CSV, JSON or Parquet for programs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection, DuckDBPyRelation
from rich.console import Console

from driftmine import render
from warehouse.catalog import Catalog
from warehouse.errors import SettingsError, SourceUnavailable
from warehouse.query import commit_at, connect, run, snapshot

Writer = Callable[[DuckDBPyRelation], None]


def opened(catalog: Catalog, as_of: str | None) -> DuckDBPyConnection:
    """A read-only connection on the views, of now or of a commit or time.

    Raises SettingsError, SnapshotGone and SourceUnavailable, as `warehouse.query` says.
    """
    if as_of is None:
        return connect(catalog.root, catalog.store)
    return snapshot(catalog, commit_at(catalog, as_of))


def answer(connection: DuckDBPyConnection, query: str, write: Writer) -> None:
    """Run `query` and write its rows.

    Raises SettingsError where DuckDB refuses it, SourceUnavailable where a data file cannot be
    read.
    """
    try:
        write(run(connection, query))
    except duckdb.DataError as error:
        # Its text quotes the value, which a user may have written.
        raise SettingsError(
            f"The query met a value that it cannot work with ({type(error).__name__}). "
            "TRY_CAST gives NULL for such values."
        ) from error
    except duckdb.IOException as error:
        raise SourceUnavailable(
            f"A data file cannot be read: {error}\nCheck the disk and ask again. Where "
            "maintenance gave the file up meanwhile, ask without --as-of, or name a newer commit."
        ) from error
    except duckdb.Error as error:
        raise SettingsError(
            f"The query was refused: {error}\nThe views and their columns: "
            'driftmine sql "SELECT * FROM duckdb_columns() WHERE NOT internal"'
        ) from error


def writer(shape: str) -> Writer:
    """The writer of that name. Raises SettingsError for an unknown one."""
    writers = {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}
    if shape not in writers:
        raise SettingsError(f"--format {shape} is unknown; known: {', '.join(writers)}.")
    if shape == "parquet" and sys.stdout.isatty():
        raise SettingsError("--format parquet writes bytes: send them to a file with `> FILE`.")
    return writers[shape]


def _table(rows: DuckDBPyRelation) -> None:
    Console(highlight=False).print(render.grid("", rows.columns, rows.fetchall()))


def _csv(rows: DuckDBPyRelation) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(rows.columns)
    out.writerows(rows.fetchall())


def _json(rows: DuckDBPyRelation) -> None:
    found = [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
    text = msgspec.json.encode({"columns": rows.columns, "rows": found}, enc_hook=str)
    sys.stdout.write(text.decode() + "\n")


def _parquet(rows: DuckDBPyRelation) -> None:
    pq.write_table(rows.to_arrow_table(), pa.PythonFile(sys.stdout.buffer, mode="w"))
