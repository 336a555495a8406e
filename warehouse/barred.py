"""Users who are kept out: the erased from everything, those who opted out from training."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from warehouse.tables import barred_users

if TYPE_CHECKING:
    from warehouse.catalog import Catalog


class Bar(StrEnum):
    """What a user is kept out of."""

    ERASED = "erased"  # ingestion drops every record of theirs, also in a backfill
    OPTED_OUT = "opted_out"  # analysed, never trained on


def barred(catalog: Catalog, bar: Bar) -> frozenset[str]:
    """The keys (keyed hashes) of the users who are kept out of it."""
    with catalog.read() as connection:
        return barred_by(connection, bar)


def barred_by(connection: Connection, *bars: Bar) -> frozenset[str]:
    """`barred`, within a transaction, of any of several bars."""
    rows = select(barred_users.c.user_key).where(barred_users.c.bar.in_(bars))
    return frozenset(connection.execute(rows).scalars())


def bar(connection: Connection, kind: Bar, user_keys: Collection[str]) -> None:
    """Keep more users out."""
    new = set(user_keys) - barred_by(connection, kind) if user_keys else set()
    if new:
        rows = [{"user_key": key, "bar": kind} for key in sorted(new)]
        connection.execute(insert(barred_users), rows)


def set_opted_out(catalog: Catalog, user_keys: Collection[str]) -> None:
    """Make these the users who opted out, and no others: the list decides."""
    with catalog.write() as connection:
        if barred_by(connection, Bar.OPTED_OUT) == frozenset(user_keys):
            return
        connection.execute(delete(barred_users).where(barred_users.c.bar == Bar.OPTED_OUT))
        bar(connection, Bar.OPTED_OUT, user_keys)
