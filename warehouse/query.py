"""Reading the warehouse: live files, generations, and SQL over the views."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from sqlalchemy import select

from warehouse import ledger, live
from warehouse.catalog import Catalog
from warehouse.errors import SourceUnavailable
from warehouse.live import LiveFile
from warehouse.schema import Partition
from warehouse.staging import StagedFile
from warehouse.tables import runs, watermarks
from warehouse.views import DATABASE, literal, refresh_if_stale, refresh_views

__all__ = [
    "LiveFile",
    "NightCounts",
    "clustered",
    "connect",
    "generations",
    "head_run",
    "live_files",
    "log_dates",
    "newest_commit",
    "night_counts",
    "redactions",
    "refresh_if_stale",
    "refresh_views",
    "run",
    "scan",
    "stale_dates",
    "watermark",
]


_TURNS = "SELECT count(*) FROM read_parquet(?) WHERE NOT carried"
_CLUSTERED = "SELECT count(cluster) FROM read_parquet(?)"
_REDACTED = """
SELECT thing.kind, sum(thing.count)::BIGINT AS n
FROM (SELECT unnest(redactions) AS thing FROM read_parquet(?, union_by_name = true))
GROUP BY ALL ORDER BY n DESC, 1"""
_REASONS = "SELECT reason, count(*) AS n FROM read_parquet(?) GROUP BY ALL ORDER BY n DESC, reason"


class NightCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a night's logs hold.

    lines_in = conversations + seed_pairs + rejected + duplicates + suppressed.
    """

    log_date: dt.date
    lines_in: int
    conversations: int
    near_duplicates: int  # conversations among them that belong to a cluster
    turns: int  # that no earlier record shows
    seed_pairs: int
    rejected: int
    rejected_by_reason: dict[str, int]  # most frequent first
    duplicates: int
    suppressed: int
    redacted: dict[str, int]  # kind -> how many were replaced, most frequent first


def live_files(catalog: Catalog, table: str, *, log_date: dt.date | None = None) -> list[LiveFile]:
    """The live files of a table, of every part, by log_date and part."""
    with catalog.read() as connection:
        return live.live(connection, table, log_date)


def generations(catalog: Catalog, table: str, log_date: dt.date) -> dict[Partition, int]:
    """How often each partition of one night was replaced; one that is absent counts as 0.

    What a run sees here at its start is what its publish `expects` of the night.
    """
    with catalog.read() as connection:
        return live.generations(connection, table, log_date)


def night_counts(catalog: Catalog, log_date: dt.date) -> NightCounts:
    """Count a night as it stands now, of all runs that added to it; all 0 where none did."""
    with catalog.read() as connection:
        ledgered = ledger.totals(connection, log_date)
        of = {
            table: live.live(connection, table, log_date)
            for table in ("conversations", "turns", "seed_pairs", "rejects")
        }
    rows = {table: sum(file.rows for file in found) for table, found in of.items()}
    return NightCounts(
        log_date=log_date,
        lines_in=ledgered["lines"],
        conversations=rows["conversations"],
        near_duplicates=clustered(catalog.root, of["conversations"]),
        turns=_count(catalog.root, of["turns"], _TURNS),
        seed_pairs=rows["seed_pairs"],
        rejected=rows["rejects"],
        rejected_by_reason=dict(scan(catalog.root, of["rejects"], _REASONS)),
        duplicates=ledgered["duplicates"],
        suppressed=ledgered["suppressed"],
        redacted=redactions(catalog.root, [*of["conversations"], *of["seed_pairs"]]),
    )


def redactions(root: Path, files: Iterable[StagedFile]) -> dict[str, int]:
    """Kind -> how much was replaced in files of conversations and seed pairs, most first."""
    return dict(scan(root, files, _REDACTED))


def clustered(root: Path, files: Iterable[StagedFile]) -> int:
    """How many conversations of the files belong to a cluster of near duplicates."""
    return _count(root, files, _CLUSTERED)


def _count(root: Path, files: Iterable[StagedFile], sql: str) -> int:
    return sum(n for (n,) in scan(root, files, sql))


def scan(root: Path, files: Iterable[StagedFile], sql: str) -> list[Any]:
    """The rows of a query whose `?` stands for Parquet files; none where there are no files."""
    paths = [str(root / file.path) for file in files]
    if not paths:
        return []
    with duckdb.connect() as connection:
        return connection.execute(sql, [paths]).fetchall()


def log_dates(catalog: Catalog, table: str) -> list[dt.date]:
    """The nights that the table was published for, also where nothing was found, in order."""
    with catalog.read() as connection:
        return list(live.heads(connection, table))


def stale_dates(catalog: Catalog) -> list[dt.date]:
    """The nights whose turns are newer than their signals, or that have none, in order."""
    with catalog.read() as connection:
        mined = live.heads(connection, "signals")
        turns = live.heads(connection, "turns")
    return [log_date for log_date, head in turns.items() if head > mined.get(log_date, 0)]


def head_run(catalog: Catalog, table: str, log_date: dt.date) -> tuple[int, str]:
    """The commit that published a night of the table last, and its run's id; 0, "": none yet."""
    with catalog.read() as connection:
        head = live.heads(connection, table).get(log_date, 0)
        run = select(runs.c.run_id).where(runs.c.commit_id == head)
        return head, connection.execute(run).scalar_one_or_none() or ""


def newest_commit(catalog: Catalog, table: str | None = None) -> int:
    """The id of the newest commit, of all or of those that published a table; 0: none yet."""
    with catalog.read() as connection:
        return live.newest_commit(connection, table)


def watermark(catalog: Catalog, stage: str) -> dt.date | None:
    """The newest night that the stage has published; None before the first."""
    with catalog.read() as connection:
        row = select(watermarks.c.log_date).where(watermarks.c.stage == stage)
        return connection.execute(row).scalar_one_or_none()


def connect(root: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection on the views, in UTC, that reaches no file outside the data.

    It shows the state of one commit until it is closed. COPY can still write beside the data
    files: a query that somebody typed goes through `run`. Raises SourceUnavailable.
    """
    root = root.resolve()
    if not (root / DATABASE).exists():
        raise SourceUnavailable(f"{root}: no warehouse here yet. Make one with `driftmine init`.")
    # Attached and not opened: within one process DuckDB shares what it opened by path, and would
    # go on showing the file that was swapped away.
    connection = duckdb.connect()
    connection.execute(f"ATTACH {literal(str(root / DATABASE))} AS warehouse (READ_ONLY)")
    connection.execute("USE warehouse")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_directories = [{literal(str(root / 'data'))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def run(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """One query that somebody typed, as a relation to fetch from.

    As a table function's argument the text can only be one SELECT (or FROM, WITH, VALUES,
    DESCRIBE, SHOW, SUMMARIZE), whose WITH clause changes nothing: no COPY over a data file.
    Raises duckdb.Error on any other text, and on a query that is wrong.
    """
    return connection.sql("FROM query(?)", params=[sql])
