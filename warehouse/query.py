"""Reading the warehouse: live files, generations, and SQL over the views."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from sqlalchemy import Connection, func, select

from warehouse import ledger, live, reading
from warehouse.catalog import Catalog
from warehouse.errors import SettingsError, SnapshotGone, SourceUnavailable
from warehouse.live import LiveFile
from warehouse.reading import literal
from warehouse.schema import Partition
from warehouse.staging import StagedFile
from warehouse.store import show_store
from warehouse.tables import commits, runs, watermarks
from warehouse.views import DATABASE, refresh_if_stale, refresh_views, script

__all__ = [
    "LiveFile",
    "NightCounts",
    "clustered",
    "commit_at",
    "connect",
    "detector_parts",
    "detectors",
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
    "snapshot",
    "stale_dates",
    "watermark",
]


_DIGITS = 18  # of a commit's id, at most: the catalog's databases count no further

# {} stands for the rows of some files.
_TURNS = "SELECT count(*) FROM ({}) WHERE NOT carried"
_CLUSTERED = "SELECT count(cluster) FROM ({})"
_REDACTED = """
SELECT thing.kind, sum(thing.count)::BIGINT AS n
FROM (SELECT unnest(redactions) AS thing FROM ({})) GROUP BY ALL"""
_REASONS = "SELECT reason, count(*) AS n FROM ({}) GROUP BY ALL ORDER BY n DESC, reason"


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
        near_duplicates=clustered(catalog.store, of["conversations"]),
        turns=_count(catalog.store, "turns", of["turns"], _TURNS),
        seed_pairs=rows["seed_pairs"],
        rejected=rows["rejects"],
        rejected_by_reason=dict(scan(catalog.store, "rejects", of["rejects"], _REASONS)),
        duplicates=ledgered["duplicates"],
        suppressed=ledgered["suppressed"],
        redacted=redactions(catalog.store, [*of["conversations"], *of["seed_pairs"]]),
    )


def redactions(store: Path, files: Iterable[StagedFile]) -> dict[str, int]:
    """Kind -> how much was replaced in files of conversations and seed pairs, most first."""
    found: Counter[str] = Counter()
    held = list(files)
    for table in ("conversations", "seed_pairs"):
        rows = scan(store, table, [file for file in held if file.table == table], _REDACTED)
        found.update(dict(rows))
    return dict(sorted(found.items(), key=lambda kind: (-kind[1], kind[0])))


def clustered(store: Path, files: Iterable[StagedFile]) -> int:
    """How many conversations of the files belong to a cluster of near duplicates."""
    return _count(store, "conversations", files, _CLUSTERED)


def _count(store: Path, table: str, files: Iterable[StagedFile], sql: str) -> int:
    return sum(n for (n,) in scan(store, table, files, sql))


def scan(store: Path, table: str, files: Iterable[StagedFile], sql: str) -> list[Any]:
    """The rows of a query whose {} stands for a table's files; none where there are no files."""
    held = list(files)
    if not held:
        return []
    with duckdb.connect() as connection:
        show_store(connection, store)
        return connection.execute(sql.format(reading.query(store, table, held))).fetchall()


def log_dates(catalog: Catalog, table: str) -> list[dt.date]:
    """The nights that the table was published for, also where nothing was found, in order."""
    with catalog.read() as connection:
        return list(live.heads(connection, table))


def stale_dates(catalog: Catalog, detector: str | None = None) -> list[dt.date]:
    """The nights whose turns are newer than their signals, or that have none, in order.

    For a `detector` ("name@version"): newer than its own signals and than those that are shown; and
    the nights that show what nobody promoted, and it has not mined.
    """
    with catalog.read() as connection:
        turns = live.heads(connection, "turns")
        mined = live.heads(connection, "signals")
        if detector is not None:
            mined = _heads_for(connection, detector)
    return [log_date for log_date, head in turns.items() if head > mined.get(log_date, 0)]


def _heads_for(connection: Connection, detector: str) -> dict[dt.date, int]:
    heads = live.part_heads(connection, "signals")
    official = {detector, *live.promotions(connection)}
    found: dict[dt.date, int] = {}
    for night, part in live.detectors(connection, "signals").items():
        own = heads.get((night, detector), 0)
        found[night] = max(own, heads[night, part] if part in official else 0)
    return found


def detectors(catalog: Catalog, table: str) -> dict[dt.date, str]:
    """The part ("name@version") of each night of signals or dsat_turns that readers see."""
    with catalog.read() as connection:
        return live.detectors(connection, table)


def detector_parts(catalog: Catalog) -> list[str]:
    """Every detector ("name@version") that has mined a night, sorted."""
    with catalog.read() as connection:
        return live.detector_parts(connection)


def head_run(catalog: Catalog, partition: Partition) -> tuple[int, str]:
    """The commit that published a partition last, and its run's id; 0, "": none yet."""
    with catalog.read() as connection:
        head = live.head_of(connection, partition)
        run = select(runs.c.run_id).where(runs.c.commit_id == head)
        return head, connection.execute(run).scalar_one_or_none() or ""


def newest_commit(catalog: Catalog, table: str | None = None, *, kind: str | None = None) -> int:
    """The newest commit's id, of all, of those that published a table or are of a kind; 0: none."""
    with catalog.read() as connection:
        return live.newest_commit(connection, table, kind=kind)


def watermark(catalog: Catalog, stage: str) -> dt.date | None:
    """The newest night that the stage has published; None before the first."""
    with catalog.read() as connection:
        row = select(watermarks.c.log_date).where(watermarks.c.stage == stage)
        return connection.execute(row).scalar_one_or_none()


def connect(root: Path, store: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only connection on the views, in UTC, that reaches no file outside the data.

    It shows the state of one commit until it is closed. `store`: of the data files, where it is
    not the root. COPY can still write beside the data files: a query that somebody typed goes
    through `run`. Raises SourceUnavailable.
    """
    root = root.resolve()
    if not (root / DATABASE).exists():
        raise SourceUnavailable(f"{root}: no warehouse here yet. Make one with `driftmine init`.")
    # Attached and not opened: within one process DuckDB shares what it opened by path, and would
    # go on showing the file that was swapped away.
    connection = duckdb.connect()
    connection.execute(f"ATTACH {literal(str(root / DATABASE))} AS warehouse (READ_ONLY)")
    connection.execute("USE warehouse")
    show_store(connection, store or root)
    _confine(connection, store or root)
    return connection


def snapshot(catalog: Catalog, commit_id: int) -> duckdb.DuckDBPyConnection:
    """`connect`, on the views as they were after a commit.

    Raises SnapshotGone where there never was one of that id, or its files are not kept any more.
    """
    with catalog.read() as state:
        if state.execute(select(commits).where(commits.c.commit_id == commit_id)).first() is None:
            raise SnapshotGone(
                f"{catalog.root}: there is no commit {commit_id}; the newest is "
                f"{live.newest_commit(state)}. Name a commit that the view `runs` shows, or a time."
            )
        text = script(state, catalog, as_of=commit_id)
    connection = duckdb.connect()
    show_store(connection, catalog.store)
    connection.execute(text)
    _confine(connection, catalog.store)
    return connection


def _confine(connection: duckdb.DuckDBPyConnection, store: Path) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_directories = [{literal(str(store / 'data'))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def commit_at(catalog: Catalog, said: str) -> int:
    """The commit that `said` means: its id, or the newest at a date or time (ISO 8601, UTC).

    A date alone means its end. Raises SettingsError where it is neither, SnapshotGone where the
    warehouse is younger than that.
    """
    if said.isdecimal() and len(said) <= _DIGITS:
        return int(said)
    newest = select(func.max(commits.c.commit_id)).where(commits.c.committed_at <= _instant(said))
    with catalog.read() as connection:
        found: int | None = connection.execute(newest).scalar_one()
    if found is None:
        raise SnapshotGone(f"{catalog.root}: nothing was published by {said}. Name a later time.")
    return found


def _instant(said: str) -> dt.datetime:
    try:
        try:
            day = dt.date.fromisoformat(said)
        except ValueError:
            at = dt.datetime.fromisoformat(said)
            return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
        return dt.datetime.combine(day, dt.time.max, dt.UTC)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"--as-of {said}: neither a commit nor a time. Write a commit's id, YYYY-MM-DD or "
            "YYYY-MM-DDTHH:MM (UTC)."
        ) from None


def run(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """One query that somebody typed, as a relation to fetch from.

    As a table function's argument the text can only be one SELECT (or FROM, WITH, VALUES,
    DESCRIBE, SHOW, SUMMARIZE), whose WITH clause changes nothing: no COPY over a data file.
    Raises duckdb.Error on any other text, and on a query that is wrong.
    """
    return connection.sql("FROM query(?)", params=[sql])
