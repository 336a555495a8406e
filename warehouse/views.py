"""`views.sql` and `warehouse.duckdb`: what analysts query, generated from the catalog.

The views name every live file. They are made from scratch after each commit and swapped in one
step, so a reader has the state of one commit, whole, for as long as it stays connected.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from sqlalchemy import Connection, Select, select

from warehouse import durable
from warehouse.live import current, newest_commit
from warehouse.schema import TABLES
from warehouse.tables import batches, commits, models, runs

if TYPE_CHECKING:
    from warehouse.catalog import Catalog

DATABASE = "warehouse.duckdb"
SCRIPT = "views.sql"

_COMMENTS = {
    "turns": "Every message of every conversation, once; a system turn's text: system_prompts",
    "conversations": "What is known of each conversation without its text, by night",
    "system_prompts": "The texts of system turns, each once",
    "seed_pairs": "An answer and a better one to the same prompt",
    "signals": "What each user follow-up says of the answer before it, by the current detector",
    "dsat_turns": "Dissatisfying answers with their context and the feedback on them",
    "rejects": "Records that could not be read: why and where, never the text",
    "dsat_rate_daily": "Share of follow-ups that show dissatisfaction, by night and model",
    "runs": "What each stage did, when, and what it counted",
    "models": "Model versions and the batch that each was trained on",
    "warehouse_info": "The commit that these views show",
}

# The follow-ups of a night are a sample of what users think, and often a small one: the interval
# is Wilson's score interval at 95% (E. B. Wilson, JASA 22, 1927, p. 209), which stays inside
# [0, 1] and holds its level for rates near 0, as R. G. Newcombe found comparing seven methods
# (Statistics in Medicine 17, 1998, p. 857).
_Z = 1.959963984540054  # the 97.5% point of the normal distribution
_WILSON = f"""\
CREATE OR REPLACE MACRO wilson_centre(k, n) AS (k + {_Z**2 / 2}) / (n + {_Z**2});
CREATE OR REPLACE MACRO wilson_half(k, n) AS
    {_Z} * sqrt(k * (n - k) / n + {_Z**2 / 4}) / (n + {_Z**2});
CREATE OR REPLACE MACRO wilson_low(k, n) AS greatest(wilson_centre(k, n) - wilson_half(k, n), 0);
CREATE OR REPLACE MACRO wilson_high(k, n) AS least(wilson_centre(k, n) + wilson_half(k, n), 1);
"""
_DSAT_RATE_DAILY = """\
SELECT log_date, model, count(*) AS follow_ups, count_if(signal = 'dsat') AS dsat,
    dsat / follow_ups AS dsat_rate, wilson_low(dsat, follow_ups) AS low,
    wilson_high(dsat, follow_ups) AS high
FROM signals GROUP BY log_date, model ORDER BY log_date, model"""

# What a night holds for its context, or beside another log, is shown once.
_ONCE = {
    "turns": "FROM (\n{}\n) WHERE NOT carried",
    "system_prompts": "SELECT DISTINCT ON (prompt_hash) * FROM (\n{}\n) ORDER BY log_date",
}

_RUNS = {
    "run_id": "VARCHAR",
    "stage": "VARCHAR",
    "log_date": "DATE",
    "state": "VARCHAR",
    "started_at": "TIMESTAMPTZ",
    "ended_at": "TIMESTAMPTZ",
    "commit_id": "BIGINT",
    "counts": "JSON",
    "reason": "VARCHAR",
}
_MODELS = {
    "version": "VARCHAR",
    "parent": "VARCHAR",
    "stream": "VARCHAR",
    "batch_id": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
    "promoted": "BOOLEAN",
    "manifest_sha256": "VARCHAR",
}
_INFO = {"commit_id": "BIGINT", "committed_at": "TIMESTAMPTZ", "root": "VARCHAR"}


def refresh_views(catalog: Catalog) -> None:
    """Make `warehouse.duckdb` and `views.sql` anew for the newest commit.

    It holds the writers' lock, or of two publishers the slower could put the older state last.
    """
    with catalog.write() as connection:
        text = _script(connection, catalog.root)
        _swap_database(catalog.root / DATABASE, text)
        # Last: it is what tells that the database before it is up to date.
        durable.write_whole(catalog.root / SCRIPT, text.encode())


def refresh_if_stale(catalog: Catalog) -> None:
    """`refresh_views` where the views show another state than the catalog's."""
    with catalog.read() as connection:
        text = _script(connection, catalog.root)
    path = catalog.root / SCRIPT
    shown = path.read_text() if path.exists() else ""
    if shown != text or not (catalog.root / DATABASE).exists():
        refresh_views(catalog)


def literal(value: str) -> str:
    """A text as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def parquet_query(connection: Connection, root: Path, table: str) -> str:
    """SQL that reads all columns of a table's current files, each file named."""
    schema = TABLES[table]
    paths = [literal(str(root / file.path)) for file in current(connection, table)]
    if not paths:
        return _empty({field.name: _type(field.type) for field in schema})
    # The night is taken from the path, so that a query for some nights opens no others.
    return (
        f"SELECT {', '.join(schema.names)}\nFROM read_parquet([\n    "
        + ",\n    ".join(paths)
        + "\n], hive_partitioning = true, hive_types = {'log_date': DATE})"
    )


def _script(connection: Connection, root: Path) -> str:
    newest = newest_commit(connection)
    at = select(commits.c.committed_at).where(commits.c.commit_id == newest)
    info = {
        "commit_id": newest,
        "committed_at": connection.execute(at).scalar_one_or_none(),
        "root": str(root),
    }
    begun = _rows(connection, select(runs).order_by(runs.c.started_at, runs.c.run_id))
    made = select(models, batches.c.stream).join(batches)
    registered = _rows(connection, made.order_by(models.c.created_at, models.c.version))
    queries = {
        **{
            table: _ONCE.get(table, "{}").format(parquet_query(connection, root, table))
            for table in TABLES
        },
        "dsat_rate_daily": _DSAT_RATE_DAILY,
        "runs": _constant(_RUNS, begun),
        "models": _constant(_MODELS, registered),
        "warehouse_info": _constant(_INFO, [info]),
    }
    header = "-- Generated by Driftmine from its catalog after every commit: edits are lost."
    return "\n".join([header, _WILSON, *(_view(name, query) for name, query in queries.items())])


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _view(name: str, query: str) -> str:
    comment = f"COMMENT ON VIEW {name} IS {literal(_COMMENTS[name])};"
    return f"CREATE OR REPLACE VIEW {name} AS\n{query};\n{comment}\n"


def _constant(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return _empty(columns)
    typed = ", ".join(f"{name}::{kind} AS {name}" for name, kind in columns.items())
    values = ",\n    ".join(f"({', '.join(_value(row[c]) for c in columns)})" for row in rows)
    return f"SELECT {typed}\nFROM (VALUES\n    {values}\n) AS row({', '.join(columns)})"


def _empty(columns: Mapping[str, str]) -> str:
    typed = ", ".join(f"NULL::{kind} AS {name}" for name, kind in columns.items())
    return f"SELECT {typed} WHERE false"


def _value(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value)
        case dt.date():
            return literal(value.isoformat())
        case dict():
            return literal(json.dumps(value))
    return literal(str(value))


_SQL_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.float64(): "DOUBLE",
    pa.int8(): "TINYINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.string(): "VARCHAR",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
    pa.uint64(): "UBIGINT",
}


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = ", ".join(f'"{child.name}" {_type(child.type)}' for child in kind)
        return f"STRUCT({fields})"
    return _SQL_TYPES[kind]


def _swap_database(path: Path, script: str) -> None:
    beside = durable.temporary(path)
    try:
        with duckdb.connect() as connection:
            # The oldest format that holds these views, so that DuckDB 1.x opens it too.
            connection.execute(f"ATTACH {literal(str(beside))} AS made (STORAGE_VERSION 'v1.2.0')")
            connection.execute("USE made")
            connection.execute(script)
            connection.execute("USE memory")
            connection.execute("DETACH made")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    # What a reader who had opened it for writing left behind belongs to the file that is gone.
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    durable.sync_folder(path.parent)
