"""The rows of batches in the catalog: what they hold, and until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from warehouse.records import ItemKind
from warehouse.tables import batch_items, batches, streams


def enter(connection: Connection, stream: str) -> None:
    """Know the stream. The writers' lock keeps others out of it."""
    if connection.execute(select(streams).where(streams.c.stream == stream)).first() is None:
        connection.execute(insert(streams).values(stream=stream))


def next_id(connection: Connection, stream: str) -> str:
    """By the greatest number and not by how many: a catalog made again lacks unfinished ones."""
    known = select(batches.c.batch_id).where(batches.c.stream == stream)
    numbers = [int(found.rpartition("-")[2]) for found in connection.execute(known).scalars()]
    return f"{stream}-{max(numbers, default=0) + 1:06d}"


def free_expired(connection: Connection, stream: str, now: dt.datetime) -> None:
    """End the leases of the stream that ran out, and give their items back."""
    expired = update(batches).where(
        batches.c.stream == stream, batches.c.state == "leased", batches.c.expires_at <= now
    )
    freed = expired.values(state="expired").returning(batches.c.batch_id)
    ids = connection.execute(freed).scalars().all()
    connection.execute(delete(batch_items).where(batch_items.c.batch_id.in_(ids)))


def hold(connection: Connection, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Items (stream, id, batch, kind): handed to the driver as they are, for they are many."""
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    connection.exec_driver_sql(
        f"INSERT INTO {batch_items.name} (stream, turn_id, batch_id, kind) "
        f"VALUES ({mark}, {mark}, {mark}, {mark})",
        list(rows),
    )


def held_ids(connection: Connection, stream: str, now: dt.datetime) -> Sequence[str]:
    """The items that open batches of the stream hold at `now`."""
    rows = select(batch_items.c.turn_id).join(batches).where(batch_items.c.stream == stream)
    taken = (batches.c.state == "leased", batches.c.expires_at > now)
    return connection.execute(rows.where(*taken)).scalars().all()


def items(connection: Connection, batch_id: str) -> dict[ItemKind, list[str]]:
    """The ids of a batch's items by kind, sorted; none where they were given back."""
    rows = select(batch_items.c.kind, batch_items.c.turn_id).where(
        batch_items.c.batch_id == batch_id
    )
    found: dict[ItemKind, list[str]] = {}
    for kind, turn_id in connection.execute(rows.order_by(batch_items.c.turn_id)):
        found.setdefault(ItemKind(kind), []).append(turn_id)
    return found
