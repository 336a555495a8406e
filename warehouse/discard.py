"""Giving up the bytes of files that a commit has named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select, update

from warehouse.catalog import Catalog
from warehouse.store import remove
from warehouse.tables import files


def unseen(connection: Connection) -> list[str]:
    """Paths of files whose bytes are there although no snapshot shows them, now or ever.

    What an erasure has rewritten: nothing may keep it, and whoever finds it discards it.
    """
    gone = (files.c.removed_commit == files.c.added_commit, files.c.deleted_at.is_(None))
    rows = select(files.c.path).where(*gone).order_by(files.c.path)
    return list(connection.execute(rows).scalars())


def discard(catalog: Catalog, paths: Iterable[str], *, now: dt.datetime) -> None:
    """Remove the bytes, then say so in the catalog: killed in between, it is done again.

    Raises OSError where a file cannot be removed; those before it are gone and said to be.
    """
    done: list[str] = []
    try:
        for path in paths:
            remove(catalog.store / path)
            done.append(path)
    finally:
        if done:
            gone = update(files).where(files.c.path == bindparam("old")).values(deleted_at=now)
            with catalog.write() as connection:
                connection.execute(gone, [{"old": path} for path in done])
