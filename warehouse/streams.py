"""What the streams of training have used, hold, and could still have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from warehouse.candidates import candidates
from warehouse.catalog import Catalog
from warehouse.manifest import ModelVersion
from warehouse.records import DsatTurn
from warehouse.tables import batch_items, batches, models


def lineage(catalog: Catalog, version: str) -> list[str]:
    """The ids of the turns that a model version was trained on, sorted; none if unknown."""
    rows = select(func.coalesce(batches.c.reuses, batches.c.batch_id)).join(models)
    with catalog.read() as connection:
        batch = connection.execute(rows.where(models.c.version == version)).scalar_one_or_none()
        return [] if batch is None else sorted(items(connection, batch))


def registered(catalog: Catalog) -> list[ModelVersion]:
    """Every model version, of all streams, oldest first."""
    columns = [models.c[name] for name in ModelVersion.__struct_fields__]
    rows = select(*columns).order_by(models.c.created_at, models.c.version)
    with catalog.read() as connection:
        return [ModelVersion(**row) for row in connection.execute(rows).mappings()]


def alive(catalog: Catalog, *, now: dt.datetime) -> set[str]:
    """The batches that a trainer holds at `now`, of all streams."""
    held = select(batches.c.batch_id).where(batches.c.state == "leased", batches.c.expires_at > now)
    with catalog.read() as connection:
        return set(connection.execute(held).scalars())


def fresh(catalog: Catalog, *, stream: str, holdout: float, now: dt.datetime) -> int:
    """How many turns `acquire` could lease at `now`."""
    with catalog.read() as connection:
        taken = held_turns(connection, stream, now)
        with candidates(connection, catalog, held=taken) as found:
            return found.count(stream, holdout)


def held(catalog: Catalog, *, stream: str, now: dt.datetime) -> tuple[int, dt.datetime | None]:
    """How many turns unfinished batches of the stream hold, and when the last of them run out."""
    open_batches = (batches.c.stream == stream, batches.c.state == "leased")
    rows = select(func.count(), func.max(batches.c.expires_at)).join_from(batches, batch_items)
    with catalog.read() as connection:
        row = connection.execute(rows.where(*open_batches, batches.c.expires_at > now)).one()
    return row[0], row[1]


def last_snapshot(catalog: Catalog, *, stream: str) -> int | None:
    """The newest commit that a finished batch of the stream was drawn at; None before the first."""
    newest = select(func.max(batches.c.snapshot)).where(
        batches.c.stream == stream, batches.c.state == "finished"
    )
    with catalog.read() as connection:
        snapshot: int | None = connection.execute(newest).scalar_one()
        return snapshot


def heldout(catalog: Catalog, *, holdout: float, n: int) -> list[DsatTurn]:
    """Up to `n` trainable turns that no stream is ever given, the same as long as they are live."""
    with catalog.read() as connection, candidates(connection, catalog) as found:
        return list(found.read(found.held_out(holdout, n=n)))


def held_turns(connection: Connection, stream: str, now: dt.datetime) -> Sequence[str]:
    """The turns that open batches of the stream hold at `now`."""
    rows = select(batch_items.c.turn_id).join(batches).where(batch_items.c.stream == stream)
    taken = (batches.c.state == "leased", batches.c.expires_at > now)
    return connection.execute(rows.where(*taken)).scalars().all()


def items(connection: Connection, batch_id: str) -> list[str]:
    """The ids of a batch's turns, sorted; none where they were given back."""
    rows = select(batch_items.c.turn_id).where(batch_items.c.batch_id == batch_id)
    return list(connection.execute(rows.order_by(batch_items.c.turn_id)).scalars())
