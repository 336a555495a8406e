"""Leasing DSAT turns to a trainer: every turn once in a stream, and never one that is held out.

A trainer acquires a batch, trains, and finishes it with the model that came of it. One that dies
lets its lease run out, and the turns are fresh again; one that comes back too late loses.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from warehouse import manifest
from warehouse.barred import Bar, barred_by
from warehouse.candidates import candidates
from warehouse.catalog import Catalog
from warehouse.errors import CommitUnknown, LeaseLost, SnapshotGone
from warehouse.live import newest_commit
from warehouse.manifest import Batch, Manifest, ModelVersion
from warehouse.outcome import asked, repeated
from warehouse.records import DsatTurn, LineageTurn
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter
from warehouse.streams import held_turns, items
from warehouse.tables import batch_items, batches, streams
from warehouse.views import refresh_if_stale


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of DSAT turns that one trainer holds until `expires_at`."""

    batch_id: str
    stream: str
    token: str  # what proves the holder
    snapshot: int  # the newest commit when the turns were chosen
    created_at: dt.datetime
    expires_at: dt.datetime
    turns: tuple[DsatTurn, ...]
    reuses: str | None = None  # the batch whose turns it has, where they are trained on once more


def acquire(
    catalog: Catalog,
    *,
    stream: str,
    n: int,
    minimum: int,
    holdout: float,
    ttl: dt.timedelta,
    now: dt.datetime,
    seed: int,
) -> Lease | None:
    """Lease up to `n` fresh trainable turns; None, and nothing held, if under `minimum` are left.

    Fresh is what no batch of the stream holds or was finished with, of conversations that are not
    held out and users who are not barred. The newest nights come first, and within a night a draw
    by `seed`.
    """
    token = secrets.token_hex(16)
    with _leasing(catalog, token) as connection:
        _enter(connection, stream)
        _free_expired(connection, stream, now)
        taken = held_turns(connection, stream, now)
        with candidates(connection, catalog, held=taken) as found:
            chosen = found.draw(stream, holdout, n=n, seed=seed)
            if len(chosen) < max(minimum, 1):
                return None
            turns = found.read(chosen)
        lease = Lease(
            batch_id=_next_id(connection, stream),
            stream=stream,
            token=token,
            snapshot=newest_commit(connection),
            created_at=now,
            expires_at=now + ttl,
            turns=turns,
        )
        _insert(connection, lease)
        _hold(connection, lease)
    return lease


def reuse(catalog: Catalog, batch_id: str, *, ttl: dt.timedelta, now: dt.datetime) -> Lease:
    """Lease the turns of a finished batch once more: another batch, of the same turns.

    As they stood when the batch was drawn, without those of users who were barred since. Nothing
    else gives a stream a turn twice. Raises LeaseLost where no batch of that name is finished,
    SnapshotGone where its turns are not kept any more.
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
        with candidates(connection, catalog, as_of=first.snapshot) as found:
            turns = found.read(found.dated(items(connection, first.reuses or batch_id)))
        if not turns:
            raise SnapshotGone(f"batch {batch_id}: none of its turns is left to train on.")
        lease = Lease(
            batch_id=_next_id(connection, first.stream),
            stream=first.stream,
            token=token,
            snapshot=first.snapshot,
            created_at=now,
            expires_at=now + ttl,
            turns=turns,
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


def _hold(connection: Connection, lease: Lease) -> None:
    """Make its turns those of the batch: handed to the driver as they are, for they are many."""
    rows = [(lease.stream, turn.turn_id, lease.batch_id) for turn in lease.turns]
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    connection.exec_driver_sql(
        f"INSERT INTO {batch_items.name} (stream, turn_id, batch_id) "
        f"VALUES ({mark}, {mark}, {mark})",
        rows,
    )


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
    """Give the turns back unused. A lease that is held no more has none to give."""
    released = update(batches).where(*_is_held(lease)).values(state="released")
    with catalog.write() as connection:
        if connection.execute(released).rowcount == 1:
            connection.execute(delete(batch_items).where(batch_items.c.batch_id == lease.batch_id))


def finish(catalog: Catalog, lease: Lease, model: ModelVersion, now: dt.datetime) -> None:
    """Close the batch for good and register its model and lineage, all or nothing.

    Turns of users who were erased meanwhile are counted in the model's row, and nowhere else.
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
            model=msgspec.structs.replace(model, erased_turns=len(lease.turns) - len(rows)),
        )
        manifest.commit(connection, catalog.store, change)


def _lineage_rows(connection: Connection, lease: Lease, model: ModelVersion) -> list[LineageTurn]:
    """The batch's turns, without those whose users were erased while it was trained on."""
    left = set(items(connection, lease.reuses or lease.batch_id))
    erased = barred_by(connection, Bar.ERASED)
    return [
        LineageTurn(
            turn_id=turn.turn_id,
            batch_id=lease.batch_id,
            stream=lease.stream,
            model_version=model.version,
            user_key=turn.user_key,
        )
        for turn in lease.turns
        if turn.turn_id in left and turn.user_key not in erased
    ]


def _enter(connection: Connection, stream: str) -> None:
    """Know the stream. The writers' lock keeps others out of it."""
    if connection.execute(select(streams).where(streams.c.stream == stream)).first() is None:
        connection.execute(insert(streams).values(stream=stream))


def _next_id(connection: Connection, stream: str) -> str:
    """By the greatest number and not by how many: a catalog made again lacks unfinished ones."""
    known = select(batches.c.batch_id).where(batches.c.stream == stream)
    numbers = [int(found.rpartition("-")[2]) for found in connection.execute(known).scalars()]
    return f"{stream}-{max(numbers, default=0) + 1:06d}"


def _free_expired(connection: Connection, stream: str, now: dt.datetime) -> None:
    expired = update(batches).where(
        batches.c.stream == stream, batches.c.state == "leased", batches.c.expires_at <= now
    )
    freed = expired.values(state="expired").returning(batches.c.batch_id)
    ids = connection.execute(freed).scalars().all()
    connection.execute(delete(batch_items).where(batch_items.c.batch_id.in_(ids)))


def _insert(connection: Connection, lease: Lease) -> None:
    names = ("batch_id", "stream", "token", "snapshot", "created_at", "expires_at", "reuses")
    row = {name: getattr(lease, name) for name in names}
    connection.execute(insert(batches).values(row | {"state": "leased"}))


def _is_held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        batches.c.batch_id == lease.batch_id,
        batches.c.token == lease.token,
        batches.c.state == "leased",
    )


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"batch {lease.batch_id}: the lease ran out at {lease.expires_at:%F %R} UTC or was closed "
        "before. No model was registered; run again, with a longer lease if this one was too short."
    )
