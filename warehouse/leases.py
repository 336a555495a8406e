"""Leasing what a trainer learns from: every item once in a stream, and never one that is held out.

A trainer acquires a batch, trains, and finishes it with the model that came of it. One that dies
lets its lease run out, and the items are fresh again; one that comes back too late loses.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from warehouse import batch_rows, manifest
from warehouse.barred import Bar, barred_by
from warehouse.candidates import candidates
from warehouse.catalog import Catalog
from warehouse.drawing import choose
from warehouse.errors import CommitUnknown, LeaseLost, SnapshotGone
from warehouse.live import newest_commit
from warehouse.manifest import Batch, Manifest, ModelVersion
from warehouse.outcome import asked, repeated
from warehouse.records import DsatTurn, ItemKind, LineageTurn, SatTurn, SeedPair
from warehouse.schema import Partition, to_batch
from warehouse.selection import UNLIMITED, SelectionOptions, Terms, Wanted
from warehouse.sources import Item, id_of
from warehouse.staging import PartitionWriter
from warehouse.tables import batch_items, batches
from warehouse.views import refresh_if_stale


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that one trainer holds until `expires_at`."""

    batch_id: str
    stream: str
    token: str  # what proves the holder
    snapshot: int  # the newest commit when the turns were chosen
    created_at: dt.datetime
    expires_at: dt.datetime
    turns: tuple[DsatTurn, ...]
    satisfied: tuple[SatTurn, ...] = ()
    seeds: tuple[SeedPair, ...] = ()
    reuses: str | None = None  # the batch whose items it has, where they are trained on once more

    @property
    def items(self) -> dict[ItemKind, tuple[Item, ...]]:
        """All that it holds, by kind."""
        return {
            ItemKind.DSAT: self.turns,
            ItemKind.SAT: self.satisfied,
            ItemKind.SEED: self.seeds,
        }

    @property
    def size(self) -> int:
        """How many items it holds, of all kinds."""
        return sum(map(len, self.items.values()))


def acquire(
    catalog: Catalog,
    wanted: Wanted,
    *,
    stream: str,
    holdout: float,
    ttl: dt.timedelta,
    now: dt.datetime,
    seed: int,
    selection: SelectionOptions = UNLIMITED,
) -> Lease | None:
    """Lease what is wanted, or as much of it as is fresh and as the selection allows.

    None, and nothing held, if that is under `wanted.minimum` of the main kind. Fresh is what no
    batch of the stream holds or was finished with, of conversations that are not held out and users
    who are not barred. The newest nights come first, and within a night a draw by `seed`.
    """
    token = secrets.token_hex(16)
    terms = Terms(stream=stream, holdout=holdout, seed=seed, now=now, selection=selection)
    with _leasing(catalog, token) as connection:
        batch_rows.enter(connection, stream)
        batch_rows.free_expired(connection, stream, now)
        taken = batch_rows.held_ids(connection, stream, now)
        with candidates(connection, catalog, held=taken, kinds=wanted.most) as found:
            chosen = choose(found, wanted, terms)
            if not chosen.is_enough:
                return None
            items = {kind: found.read(kind, picked) for kind, picked in chosen.items.items()}
        lease = Lease(
            batch_id=batch_rows.next_id(connection, stream),
            stream=stream,
            token=token,
            snapshot=newest_commit(connection),
            created_at=now,
            expires_at=now + ttl,
            turns=items.get(ItemKind.DSAT, ()),
            satisfied=items.get(ItemKind.SAT, ()),
            seeds=items.get(ItemKind.SEED, ()),
        )
        _insert(connection, lease)
        _hold(connection, lease)
    return lease


def reuse(catalog: Catalog, batch_id: str, *, ttl: dt.timedelta, now: dt.datetime) -> Lease:
    """Lease the items of a finished batch once more: another batch, of the same items.

    As they stood when the batch was drawn, without those of users who were barred since. Nothing
    else gives a stream an item twice. Raises LeaseLost where no batch of that name is finished,
    SnapshotGone where its items are not kept any more.
    """
    token = secrets.token_hex(16)
    with _leasing(catalog, token) as connection:
        first = connection.execute(
            select(batches).where(batches.c.batch_id == batch_id, batches.c.state == "finished")
        ).one_or_none()
        if first is None:
            raise LeaseLost(
                f"batch {batch_id}: there is none of that name that was finished, so there is "
                "nothing to train on once more. The view `batches` shows those there are."
            )
        named = batch_rows.items(connection, first.reuses or batch_id)
        with candidates(connection, catalog, as_of=first.snapshot, kinds=named) as found:
            items = {kind: found.read(kind, found.dated(kind, ids)) for kind, ids in named.items()}
        if not any(items.values()):
            raise SnapshotGone(f"batch {batch_id}: nothing of it is left to train on.")
        lease = Lease(
            batch_id=batch_rows.next_id(connection, first.stream),
            stream=first.stream,
            token=token,
            snapshot=first.snapshot,
            created_at=now,
            expires_at=now + ttl,
            turns=items.get(ItemKind.DSAT, ()),
            satisfied=items.get(ItemKind.SAT, ()),
            seeds=items.get(ItemKind.SEED, ()),
            reuses=first.reuses or batch_id,
        )
        _insert(connection, lease)
    return lease


@contextmanager
def _leasing(catalog: Catalog, token: str) -> Iterator[Connection]:
    """A write that makes the batch of a token: made, if it is there, whatever was answered."""
    try:
        with catalog.write() as connection:
            yield connection
    except CommitUnknown as unknown:
        if asked(catalog, unknown, partial(_state, token=token)) != "leased":
            raise


def _state(connection: Connection, *, token: str) -> str | None:
    state = select(batches.c.state).where(batches.c.token == token)
    return connection.execute(state).scalar_one_or_none()


@repeated
def heartbeat(catalog: Catalog, lease: Lease, *, ttl: dt.timedelta, now: dt.datetime) -> Lease:
    """Hold the batch for another `ttl` from now. Raises LeaseLost where it is held no more."""
    longer = update(batches).where(*_is_held(lease), batches.c.expires_at > now)
    with catalog.write() as connection:
        if connection.execute(longer.values(expires_at=now + ttl)).rowcount != 1:
            raise _lost(lease)
    return msgspec.structs.replace(lease, expires_at=now + ttl)


@repeated
def release(catalog: Catalog, lease: Lease) -> None:
    """Give the items back unused. A lease that is held no more has none to give."""
    released = update(batches).where(*_is_held(lease)).values(state="released")
    with catalog.write() as connection:
        if connection.execute(released).rowcount == 1:
            connection.execute(delete(batch_items).where(batch_items.c.batch_id == lease.batch_id))


def finish(catalog: Catalog, lease: Lease, model: ModelVersion, now: dt.datetime) -> None:
    """Close the batch for good and register its model and lineage, all or nothing.

    Items of users who were erased meanwhile are counted in the model's row, and nowhere else.
    Raises LeaseLost where the lease ran out, was released or was finished before, CommitUnknown
    where the database is gone, and with it the word whether the model is registered.
    """
    if model.batch_id != lease.batch_id:
        raise ValueError(f"the model is of batch {model.batch_id}, not of {lease.batch_id}")
    try:
        _finish(catalog, lease, model, now)
    except CommitUnknown as unknown:
        if asked(catalog, unknown, partial(_state, token=lease.token)) != "finished":
            _finish(catalog, lease, model, now)  # hours of training are worth a second attempt
    refresh_if_stale(catalog)


def _finish(catalog: Catalog, lease: Lease, model: ModelVersion, now: dt.datetime) -> None:
    done = update(batches).where(*_is_held(lease), batches.c.expires_at > now)
    with catalog.write() as connection:
        if connection.execute(done.values(state="finished")).rowcount != 1:
            raise _lost(lease)
        rows = _lineage_rows(connection, lease, model)
        partition = Partition("lineage", now.date(), lease.batch_id)
        writer = PartitionWriter(catalog.store, partition)
        writer.write(to_batch("lineage", now.date(), rows))
        batch = {name: getattr(lease, name) for name in Batch.__struct_fields__}
        change = Manifest(
            commit_id=manifest.next_id(connection),
            kind="model",
            subject=model.version,
            committed_at=now,
            replaces=[partition],
            staged=[writer.close()],
            batch=Batch(**batch),
            model=msgspec.structs.replace(model, erased_turns=lease.size - len(rows)),
        )
        manifest.commit(connection, catalog.store, change)


def _lineage_rows(connection: Connection, lease: Lease, model: ModelVersion) -> list[LineageTurn]:
    """The batch's items, without those whose users were erased while it was trained on."""
    left = batch_rows.items(connection, lease.reuses or lease.batch_id)
    erased = barred_by(connection, Bar.ERASED)
    return [
        LineageTurn(
            turn_id=id_of(item),
            batch_id=lease.batch_id,
            stream=lease.stream,
            model_version=model.version,
            user_key=item.user_key,
            kind=kind,
        )
        for kind, held in lease.items.items()
        for ids in [set(left.get(kind, ()))]
        for item in held
        if id_of(item) in ids and item.user_key not in erased
    ]


def _insert(connection: Connection, lease: Lease) -> None:
    names = ("batch_id", "stream", "token", "snapshot", "created_at", "expires_at", "reuses")
    row = {name: getattr(lease, name) for name in names}
    connection.execute(insert(batches).values(row | {"state": "leased"}))


def _hold(connection: Connection, lease: Lease) -> None:
    held = [
        (lease.stream, id_of(item), lease.batch_id, kind)
        for kind, items in lease.items.items()
        for item in items
    ]
    batch_rows.hold(connection, held)


def _is_held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        batches.c.batch_id == lease.batch_id,
        batches.c.token == lease.token,
        batches.c.state == "leased",
    )


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"batch {lease.batch_id}: its lease ran out or was closed before. No model was registered; "
        "run again, with a longer [training] lease_hours if it was too short."
    )
