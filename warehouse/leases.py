"""Leasing DSAT turns to a trainer: every turn once in a stream, and never one that is held out.

A trainer acquires a batch, trains, and finishes it with the model that came of it. One that dies
lets its lease run out, and the turns are fresh again; one that comes back too late loses.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import msgspec
import pyarrow as pa
from sqlalchemy import Connection, Update, delete, func, insert, select, update

from warehouse.barred import Bar, barred_by
from warehouse.catalog import Catalog
from warehouse.errors import LeaseLost
from warehouse.live import newest_commit
from warehouse.records import DsatTurn, Message
from warehouse.tables import add_commit, batch_items, batches, models, streams
from warehouse.views import parquet_query, refresh_if_stale

# A night's newest verdict on a turn counts. `place` spreads conversations over [0, 1), the same
# on every machine and for ever: those below the holdout share are never trained on, whatever the
# stream. By conversation, for its turns share most of their text.
_SETUP = f"""
CREATE MACRO place(conversation_id) AS ('0x' || left(md5(conversation_id), 13))::BIGINT / {2**52};
CREATE VIEW trainable AS
    SELECT turn_id, max(log_date) AS log_date, any_value(conversation_id) AS conversation_id
    FROM dsat_turns ANTI JOIN barred USING (user_key)
    GROUP BY turn_id HAVING arg_max(trainable, log_date);
"""
_FRESH = """
SELECT turn_id, log_date FROM trainable ANTI JOIN held USING (turn_id)
WHERE place(conversation_id) >= $holdout"""
_DRAW = f"""
SELECT turn_id FROM ({_FRESH})
ORDER BY log_date DESC, md5($seed || ':' || turn_id), turn_id LIMIT $n"""
_HELD_OUT = """
SELECT turn_id FROM trainable WHERE place(conversation_id) < $holdout
ORDER BY md5(turn_id), turn_id LIMIT $n"""
_READ = """
SELECT DISTINCT ON (position) dsat_turns.*
FROM dsat_turns JOIN chosen USING (turn_id) ORDER BY position, log_date DESC"""
_PROMPTS = """
SELECT DISTINCT ON (prompt_hash) prompt_hash, content
FROM system_prompts SEMI JOIN wanted USING (prompt_hash)"""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of DSAT turns that one trainer holds until `expires_at`."""

    batch_id: str
    stream: str
    token: str  # what proves the holder
    snapshot: int  # the newest commit when the turns were chosen
    expires_at: dt.datetime
    turns: tuple[DsatTurn, ...]


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A model that came of a batch, promoted or not."""

    version: str
    parent: str | None
    batch_id: str
    created_at: dt.datetime
    promoted: bool
    manifest_sha256: str  # of the manifest in the model's folder


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
    held out (`place`) and users who are not barred. The newest nights come first, and within a
    night a draw by `seed`.
    """
    with catalog.write() as connection:
        _lock(connection, stream)
        _free_expired(connection, stream, now)
        used = _used(connection, stream, now)
        with _candidates(connection, catalog, used) as candidates:
            drawn = {"holdout": holdout, "seed": str(seed), "n": n}
            chosen = candidates.execute(_DRAW, drawn).fetchall()
            if len(chosen) < max(minimum, 1):
                return None
            turns = _read(candidates, chosen)
        made = select(func.count()).select_from(batches).where(batches.c.stream == stream)
        lease = Lease(
            batch_id=f"{stream}-{connection.execute(made).scalar_one() + 1:06d}",
            stream=stream,
            token=secrets.token_hex(16),
            snapshot=newest_commit(connection),
            expires_at=now + ttl,
            turns=turns,
        )
        _insert(connection, lease, now)
    return lease


def release(catalog: Catalog, lease: Lease) -> None:
    """Give the turns back unused. A lease that is held no more has none to give."""
    with catalog.write() as connection:
        if connection.execute(_held(lease).values(state="released")).rowcount == 1:
            connection.execute(delete(batch_items).where(batch_items.c.batch_id == lease.batch_id))


def finish(catalog: Catalog, lease: Lease, model: ModelVersion, now: dt.datetime) -> None:
    """Close the batch for good and register its model, both or neither.

    Raises LeaseLost where the lease ran out, was released or was finished before.
    """
    if model.batch_id != lease.batch_id:
        raise ValueError(f"the model is of batch {model.batch_id}, not of {lease.batch_id}")
    held = _held(lease).where(batches.c.expires_at > now)
    with catalog.write() as connection:
        if connection.execute(held.values(state="finished")).rowcount != 1:
            raise LeaseLost(
                f"batch {lease.batch_id}: the lease ran out at {lease.expires_at:%F %R} UTC or was "
                "closed before. No model was registered; run again, with a longer lease if this "
                "one was too short."
            )
        connection.execute(insert(models).values(msgspec.structs.asdict(model)))
        add_commit(connection, "model", model.version, now)
    refresh_if_stale(catalog)


def lineage(catalog: Catalog, version: str) -> list[str]:
    """The ids of the turns that a model version was trained on, sorted; none if unknown."""
    rows = select(batch_items.c.turn_id).where(models.c.version == version)
    rows = rows.join(models, models.c.batch_id == batch_items.c.batch_id)
    with catalog.read() as connection:
        return list(connection.execute(rows.order_by(batch_items.c.turn_id)).scalars())


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
    with (
        catalog.read() as connection,
        _candidates(connection, catalog, _used(connection, stream, now)) as candidates,
    ):
        query = f"SELECT count(*) FROM ({_FRESH})"
        (count,) = candidates.execute(query, {"holdout": holdout}).fetchall()[0]
        return int(count)


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
    with (
        catalog.read() as connection,
        _candidates(connection, catalog, used=()) as candidates,
    ):
        chosen = candidates.execute(_HELD_OUT, {"holdout": holdout, "n": n}).fetchall()
        return list(_read(candidates, chosen))


def _used(connection: Connection, stream: str, now: dt.datetime) -> Sequence[str]:
    """The turns that batches of the stream were finished with, or hold at `now`."""
    rows = select(batch_items.c.turn_id).join(batches).where(batch_items.c.stream == stream)
    taken = (batches.c.state == "finished") | (batches.c.expires_at > now)
    return connection.execute(rows.where(taken)).scalars().all()


@contextmanager
def _candidates(
    connection: Connection, catalog: Catalog, used: Sequence[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB over the current DSAT turns, beside the turns and users that are not to be had."""
    barred = barred_by(connection, *Bar)
    with duckdb.connect() as candidates:
        candidates.execute("SET TimeZone = 'UTC'")
        candidates.register("held", _column("turn_id", used))
        candidates.register("barred", _column("user_key", sorted(barred)))
        for table in ("dsat_turns", "system_prompts"):
            query = parquet_query(connection, catalog.root, table)
            candidates.execute(f"CREATE VIEW {table} AS {query}")
        candidates.execute(_SETUP)
        yield candidates


def _column(name: str, values: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.string())})


def _read(
    candidates: duckdb.DuckDBPyConnection, chosen: Sequence[tuple[str]]
) -> tuple[DsatTurn, ...]:
    """The turns themselves, in the order of `chosen`: texts are read for no others."""
    ids = pa.array([turn_id for (turn_id,) in chosen], pa.string())
    candidates.register("chosen", pa.table({"turn_id": ids, "position": range(len(ids))}))
    rows = candidates.sql(_READ).to_arrow_table().to_pylist()
    turns = [msgspec.convert(row, DsatTurn) for row in rows]
    return tuple(_with_prompts(candidates, turns))


def _with_prompts(
    candidates: duckdb.DuckDBPyConnection, turns: Sequence[DsatTurn]
) -> Iterator[DsatTurn]:
    """The turns with the texts of their system prompts back in place."""
    hashes = {message.prompt_hash for turn in turns for message in turn.context}
    candidates.register("wanted", _column("prompt_hash", sorted(filter(None, hashes))))
    texts = dict(candidates.sql(_PROMPTS).fetchall())
    for turn in turns:
        context = [
            Message(role=message.role, content=texts[message.prompt_hash])
            if message.prompt_hash in texts
            else message
            for message in turn.context
        ]
        yield msgspec.structs.replace(turn, context=tuple(context))


def _lock(connection: Connection, stream: str) -> None:
    row = select(streams).where(streams.c.stream == stream).with_for_update()
    if connection.execute(row).one_or_none() is None:
        connection.execute(insert(streams).values(stream=stream))


def _free_expired(connection: Connection, stream: str, now: dt.datetime) -> None:
    expired = update(batches).where(
        batches.c.stream == stream, batches.c.state == "leased", batches.c.expires_at <= now
    )
    freed = expired.values(state="expired").returning(batches.c.batch_id)
    ids = connection.execute(freed).scalars().all()
    connection.execute(delete(batch_items).where(batch_items.c.batch_id.in_(ids)))


def _insert(connection: Connection, lease: Lease, now: dt.datetime) -> None:
    names = ("batch_id", "stream", "token", "snapshot", "expires_at")
    row = {name: getattr(lease, name) for name in names}
    connection.execute(insert(batches).values(row | {"state": "leased", "created_at": now}))
    items = [
        {"stream": lease.stream, "batch_id": lease.batch_id, "turn_id": turn.turn_id}
        for turn in lease.turns
    ]
    connection.execute(insert(batch_items), items)


def _held(lease: Lease) -> Update:
    return update(batches).where(
        batches.c.batch_id == lease.batch_id,
        batches.c.token == lease.token,
        batches.c.state == "leased",
    )
