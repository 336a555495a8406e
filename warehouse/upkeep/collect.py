"""Garbage collection: superseded files lose their bytes once nobody may need them any more."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from warehouse import discard
from warehouse.catalog import Catalog
from warehouse.records import ItemKind
from warehouse.tables import batch_items, batches, commits, files, models
from warehouse.upkeep import Progress, no_progress
from warehouse.views import refresh_if_stale

# What a batch is drawn from: with these a promoted model's batch can be read again.
DRAWN = frozenset({"dsat_turns", "system_prompts"})
# And what one is that holds SAT turns or seed pairs, beside those.
ALSO_DRAWN = frozenset({"turns", "signals", "conversations", "seed_pairs"})

# Files that lose their bytes before the catalog is told: a kill leaves no more of them untold.
_AT_ONCE = 200


class Garbage(msgspec.Struct, frozen=True, kw_only=True):
    """The files that are due, and what they would free."""

    paths: tuple[str, ...]
    bytes: int
    pinned: int  # files that are as old, and kept for a batch


def due(catalog: Catalog, *, retention: dt.timedelta, now: dt.datetime) -> Garbage:
    """What may go: superseded for as long as `retention` and kept for no batch.

    The time counts from the start of the run that superseded it. Kept are the files that a live
    lease was drawn at, and of the tables that batches are drawn from, those that a promoted
    model's was. What an erasure has rewritten is due at once.
    """
    with catalog.read() as connection:
        unseen = set(discard.unseen(connection))
        rows = _superseded(connection)
        pins = _Pins(connection, now)
    rewritten = [row for row in rows if row.path in unseen]
    rest = [row for row in rows if row.path not in unseen]
    old = [row for row in rest if now - row.committed_at >= retention]
    free = rewritten + [row for row in old if not pins.hold(row)]
    return Garbage(
        paths=tuple(row.path for row in free),
        bytes=sum(row.bytes for row in free),
        pinned=len(rewritten) + len(old) - len(free),
    )


def collect(
    catalog: Catalog,
    garbage: Garbage,
    *,
    now: dt.datetime,
    progress: Progress = no_progress,
) -> None:
    """Give up the bytes of what is due: killed in between, it is done again.

    Raises OSError where a file cannot be removed; those before it are gone and said to be.
    """
    # Views that a killed run left behind its commit may name what goes.
    refresh_if_stale(catalog)
    for start in range(0, len(garbage.paths), _AT_ONCE):
        progress(start, len(garbage.paths), "files collected")
        discard.discard(catalog, garbage.paths[start : start + _AT_ONCE], now=now)
    progress(len(garbage.paths), len(garbage.paths), "files collected")


def oldest_readable(catalog: Catalog) -> int:
    """The commit from which on every one can be read in full; 0 in an empty warehouse."""
    gone = (files.c.deleted_at.is_not(None), files.c.removed_commit != files.c.added_commit)
    with catalog.read() as connection:
        first = connection.execute(select(func.min(commits.c.commit_id))).scalar_one()
        since = connection.execute(select(func.max(files.c.removed_commit)).where(*gone))
        return int(since.scalar_one() or first or 0)


def _superseded(connection: Connection) -> list[Row[Any]]:
    names = ("path", "table_name", "bytes", "added_commit", "removed_commit")
    rows = (
        select(*(files.c[name] for name in names), commits.c.committed_at)
        .join(commits, commits.c.commit_id == files.c.removed_commit)
        .where(files.c.deleted_at.is_(None))
        .order_by(files.c.removed_commit, files.c.path)
    )
    return list(connection.execute(rows))


class _Pins:
    """The commits that batches were drawn at which may be read again."""

    def __init__(self, connection: Connection, now: dt.datetime) -> None:
        alive = (batches.c.state == "leased", batches.c.expires_at > now)
        held = select(batches.c.snapshot).where(*alive).distinct()
        promoted = select(batches.c.snapshot).join(models).where(models.c.promoted).distinct()
        # A batch that reuses another's items has none of its own.
        of = func.coalesce(batches.c.reuses, batches.c.batch_id)
        more = select(batch_items.c.batch_id).where(batch_items.c.kind != ItemKind.DSAT)
        self._leased = connection.execute(held).scalars().all()
        self._drawn = connection.execute(promoted).scalars().all()
        self._also = connection.execute(promoted.where(of.in_(more))).scalars().all()

    def hold(self, row: Row[Any]) -> bool:
        """Whether a superseded file is kept for one of them."""
        name = row.table_name
        drawn = self._drawn if name in DRAWN else self._also if name in ALSO_DRAWN else ()
        return any(row.added_commit <= at < row.removed_commit for at in (*self._leased, *drawn))
