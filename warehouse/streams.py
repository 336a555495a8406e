"""What the streams of training have used, hold, and could still have."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import func, select

from warehouse import batch_rows
from warehouse.candidates import candidates
from warehouse.catalog import Catalog
from warehouse.manifest import ModelVersion
from warehouse.records import DsatTurn, ItemKind, SatTurn
from warehouse.selection import UNLIMITED, SelectionOptions, Terms
from warehouse.tables import batch_items, batches, models


def lineage(catalog: Catalog, version: str) -> list[str]:
    """The ids of all that a model version was trained on, sorted; none if unknown."""
    rows = select(func.coalesce(batches.c.reuses, batches.c.batch_id)).join(models)
    with catalog.read() as connection:
        batch = connection.execute(rows.where(models.c.version == version)).scalar_one_or_none()
        held = batch_rows.items(connection, batch) if batch is not None else {}
        return sorted(id for ids in held.values() for id in ids)


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


def fresh(
    catalog: Catalog,
    *,
    stream: str,
    holdout: float,
    now: dt.datetime,
    seed: int = 0,
    selection: SelectionOptions = UNLIMITED,
    kind: ItemKind = ItemKind.DSAT,
) -> int:
    """How many items of a kind `acquire` would lease at `now` if any number were wanted.

    That is, of the unused ones as many as the selection lets into one batch. Of a smaller number
    `acquire`, given the same seed and selection, leases all.
    """
    terms = Terms(stream=stream, holdout=holdout, seed=seed, now=now, selection=selection)
    with catalog.read() as connection:
        taken = batch_rows.held_ids(connection, stream, now)
        with candidates(connection, catalog, held=taken, kinds=(kind,)) as found:
            return len(found.draw(kind, terms))


def held(catalog: Catalog, *, stream: str, now: dt.datetime) -> tuple[int, dt.datetime | None]:
    """How many DSAT turns open batches of the stream hold, and when the last of them run out."""
    open_batches = (batches.c.stream == stream, batches.c.state == "leased")
    turns = batch_items.c.kind == ItemKind.DSAT
    rows = select(func.count(), func.max(batches.c.expires_at)).join_from(batches, batch_items)
    with catalog.read() as connection:
        row = connection.execute(rows.where(*open_batches, turns, batches.c.expires_at > now)).one()
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
        return list(found.read(ItemKind.DSAT, found.held_out(ItemKind.DSAT, holdout, n=n)))


def heldout_satisfied(catalog: Catalog, *, holdout: float, n: int) -> list[SatTurn]:
    """Up to `n` SAT turns that no stream is ever given: answers that a policy should not lose.

    The same as long as they are live; of near-duplicates one.
    """
    kind = ItemKind.SAT
    with (
        catalog.read() as connection,
        candidates(connection, catalog, kinds=[kind]) as found,
    ):
        return list(found.read(kind, found.held_out(kind, holdout, n=n)))
