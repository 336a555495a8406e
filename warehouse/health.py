"""What can be wrong with a warehouse, asked of its catalog."""

from __future__ import annotations

import datetime as dt

import msgspec
from sqlalchemy import func, select

from warehouse import views
from warehouse.catalog import Catalog
from warehouse.live import newest_commit
from warehouse.manifest import FOLDER
from warehouse.store import sizes
from warehouse.tables import batches, commits, files, runs


class BadRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that failed or was killed, and that no later one has made good."""

    run_id: str
    stage: str
    log_date: dt.date
    started_at: dt.datetime
    reason: str  # "" of one that was killed


def damaged_files(catalog: Catalog) -> list[str]:
    """Paths of live files that are missing or not of the size that was published."""
    shown = select(files.c.path, files.c.bytes).where(files.c.removed_commit.is_(None))
    with catalog.read() as connection:
        known = {row.path: row.bytes for row in connection.execute(shown.order_by(files.c.path))}
    found = sizes(catalog.store, list(known))
    return [path for path, size in known.items() if found[path] != size]


def missing_manifests(catalog: Catalog) -> list[str]:
    """Names of manifests of commits that are not there: without them no catalog is made again."""
    there = {path.name for path in (catalog.store / FOLDER).glob("*.json")}
    with catalog.read() as connection:
        known = connection.execute(select(commits.c.commit_id).order_by(commits.c.commit_id))
        names = [f"{commit_id:010d}.json" for commit_id in known.scalars()]
    return [name for name in names if name not in there]


def views_are_fresh(catalog: Catalog) -> bool:
    """Whether the views show the newest commit."""
    with catalog.read() as connection:
        text = views.script(connection, catalog)
    path = catalog.root / views.SCRIPT
    return path.exists() and path.read_text() == text and (catalog.root / views.DATABASE).exists()


def bad_runs(catalog: Catalog, *, since: dt.datetime, silent: dt.datetime) -> list[BadRun]:
    """Runs that failed after `since`, or began after it, before `silent`, and never ended.

    Not those whose stage has published their night since.
    """
    newest = (
        select(runs.c.stage, runs.c.log_date, func.max(runs.c.ended_at).label("at"))
        .where(runs.c.state == "committed")
        .group_by(runs.c.stage, runs.c.log_date)
        .subquery()
    )
    same = (newest.c.stage == runs.c.stage) & (newest.c.log_date == runs.c.log_date)
    failed = (runs.c.state == "failed") | (
        (runs.c.state == "running") & (runs.c.started_at < silent)
    )
    rows = (
        select(*[runs.c[name] for name in BadRun.__struct_fields__])
        .outerjoin(newest, same)
        .where(failed, runs.c.started_at >= since)
        .where(newest.c.at.is_(None) | (newest.c.at < runs.c.started_at))
        .order_by(runs.c.started_at, runs.c.run_id)
    )
    with catalog.read() as connection:
        found = connection.execute(rows).mappings()
        return [BadRun(**{**row, "reason": row["reason"] or ""}) for row in found]


def open_leases(catalog: Catalog, *, now: dt.datetime) -> list[tuple[str, dt.datetime]]:
    """The batches that trainers hold at `now`, and until when."""
    rows = select(batches.c.batch_id, batches.c.expires_at).where(
        batches.c.state == "leased", batches.c.expires_at > now
    )
    with catalog.read() as connection:
        found = connection.execute(rows.order_by(batches.c.expires_at))
        return [(row.batch_id, row.expires_at) for row in found]


def committed_last(catalog: Catalog) -> dt.datetime | None:
    """When the newest commit was made; None before the first."""
    with catalog.read() as connection:
        of_newest = commits.c.commit_id == newest_commit(connection)
        row = select(commits.c.committed_at).where(of_newest)
        at: dt.datetime | None = connection.execute(row).scalar_one_or_none()
        return at


def largest_night(catalog: Catalog) -> int:
    """Bytes of the live files of the night that has most; 0 in an empty warehouse."""
    shown = files.c.removed_commit.is_(None)
    sums = select(func.sum(files.c.bytes).label("n")).where(shown).group_by(files.c.log_date)
    with catalog.read() as connection:
        found = connection.execute(select(func.max(sums.subquery().c.n))).scalar_one()
        return int(found or 0)
