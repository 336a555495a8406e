"""What a database's errors mean."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

_UNAVAILABLE = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
)  # fmt: skip
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's code for a lock that was waited for in vain


def is_busy(error: DBAPIError) -> bool:
    """Whether it says, in whatever language, that another writer held the catalog too long."""
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def is_unavailable(error: DBAPIError) -> bool:
    """Whether the database went away, may not be written, or its disk is full or fails."""
    if isinstance(error.orig, sqlite3.OperationalError):
        kind = error.orig.sqlite_errorcode & 0xFF  # what is above says more of it
        return kind in _UNAVAILABLE
    return error.connection_invalidated


def said(error: DBAPIError) -> str:
    """The database's own words, in one line."""
    return " ".join(str(error.orig).split())
