"""All that is stored of one conversation: its records, every verdict on it, and what it trained."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter

import duckdb
import msgspec
from sqlalchemy import select

from warehouse.catalog import Catalog
from warehouse.errors import SettingsError, SourceUnavailable
from warehouse.query import connect
from warehouse.records import Category, Conversation, SignalKind, Turn
from warehouse.tables import batch_items, batches

NAMED = 10  # conversations that a message names where a prefix is not unique

_IDS = """
SELECT DISTINCT conversation_id FROM turns_all WHERE starts_with(conversation_id, $said)
ORDER BY conversation_id = $said DESC, conversation_id LIMIT $n"""
# A record that goes on with the conversation comes after the one that it goes on from.
_TURNS = """
SELECT said.*, system_prompts.content AS prompt
FROM turns_all AS said LEFT JOIN system_prompts USING (prompt_hash)
WHERE conversation_id = $id
ORDER BY source, said.log_date,
    max(turn_index) OVER (PARTITION BY source, said.log_date, origin_file, origin_offset),
    origin_file, origin_offset, turn_index"""
_VERDICTS = """
SELECT turn_id, log_date, detector, detector_version,
    (log_date, detector, detector_version) IN (
        SELECT (log_date, detector, detector_version) FROM signals WHERE conversation_id = $id
    ) AS current,
    said.signal, said.category, said.probability, said.report_threshold,
    said.trainable_threshold, dsat.trainable, dsat.untrainable_reason,
    [sign.rule FOR sign IN said.evidence] AS rules
FROM signals_all AS said LEFT JOIN (
    SELECT log_date, turn_id, detector, detector_version, trainable, untrainable_reason
    FROM dsat_turns_all WHERE conversation_id = $id
) AS dsat USING (log_date, turn_id, detector, detector_version)
WHERE said.conversation_id = $id
ORDER BY turn_id, log_date, current DESC, detector, detector_version"""
# The versions that a model's weights went into: itself, and all that were trained from it.
_TRAINED = """
WITH RECURSIVE heirs AS (
    SELECT version AS origin, version, created_at FROM models
    UNION
    SELECT heirs.origin, models.version, models.created_at
    FROM heirs JOIN models ON models.parent = heirs.version
)
SELECT turn_id, lineage.stream, batch_id, model_version, parent, promoted, trained_at,
    (SELECT list(version ORDER BY created_at, version) FROM heirs
     WHERE origin = model_version AND version <> model_version) AS later
FROM lineage WHERE turn_id IN (SELECT unnest($turns)) ORDER BY turn_id, trained_at, batch_id"""


class StoredVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a detector says of a follow-up."""

    turn_id: str
    log_date: dt.date
    detector: str
    detector_version: str
    current: bool  # readers see this one of its night
    signal: SignalKind
    category: Category
    probability: float
    report_threshold: float | None  # that it was judged by; None: not kept
    trainable_threshold: float | None
    trainable: bool | None  # None: no DSAT turn
    untrainable_reason: str | None
    rules: tuple[str, ...]  # of its evidence


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """A model version that a turn was trained into."""

    turn_id: str
    stream: str
    batch_id: str
    model_version: str
    parent: str | None
    promoted: bool
    trained_at: dt.datetime
    later: tuple[str, ...]  # versions that were trained from it, oldest first


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The turns of a conversation that one log record holds."""

    log_date: dt.date
    conversation: Conversation


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """All that is stored of one conversation."""

    conversation_id: str
    records: tuple[Record, ...]  # of one log stream after the other, in the order they came
    verdicts: tuple[StoredVerdict, ...]
    trained: tuple[Training, ...]
    leased: dict[str, str]  # turn -> the batch that a trainer holds it in


def trail(catalog: Catalog, said: str, *, now: dt.datetime) -> Trail:
    """Everything of the conversation whose id is `said`, or begins so where only one does.

    Raises SettingsError where there is none, or several; SourceUnavailable.
    """
    with asked(catalog) as connection:
        name = _the_one(connection, said)
        records = tuple(_records(connection, name))
        verdicts = connection.sql(_VERDICTS, params={"id": name}).to_arrow_table().to_pylist()
        turns = [turn.turn_id for record in records for turn in record.conversation.turns]
        trained = connection.sql(_TRAINED, params={"turns": turns}).to_arrow_table().to_pylist()
    return Trail(
        conversation_id=name,
        records=records,
        verdicts=tuple(msgspec.convert(row, StoredVerdict) for row in verdicts),
        trained=tuple(
            msgspec.convert(row | {"later": row["later"] or ()}, Training) for row in trained
        ),
        leased=leased(catalog, turns, now=now),
    )


@contextmanager
def asked(catalog: Catalog) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on the views, to read from. Raises SourceUnavailable, also where that fails."""
    with connect(catalog.root, catalog.store) as connection:
        try:
            yield connection
        except duckdb.IOException as error:
            raise SourceUnavailable(
                f"{catalog.root}: a data file cannot be read ({type(error).__name__}). "
                "`driftmine maintain --check` says which; then ask again."
            ) from error


def _the_one(connection: duckdb.DuckDBPyConnection, said: str) -> str:
    rows = connection.execute(_IDS, {"said": said, "n": NAMED + 1}).fetchall()
    found = [name for (name,) in rows] if said else []
    if not found:
        raise SettingsError(
            "No conversation has that id, nor one that begins with it. Ids stand in the view "
            'turns: driftmine sql "SELECT DISTINCT conversation_id FROM signals WHERE signal = '
            "'dsat' LIMIT 10\""
        )
    if found[0] != said and len(found) > 1:
        named = ", ".join(repr(name) for name in found[:NAMED])
        more = " and more" if len(found) > NAMED else ""
        raise SettingsError(f"Several conversations have ids that begin so: {named}{more}.")
    return str(found[0])


def _records(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[Record]:
    rows = connection.sql(_TURNS, params={"id": name}).to_arrow_table().to_pylist()
    turns = [(row["log_date"], _turn(row)) for row in rows]
    place = attrgetter("source", "origin_file", "origin_offset")
    for (log_date, _), held in groupby(turns, key=lambda of: (of[0], place(of[1]))):
        said = tuple(turn for _, turn in held)
        yield Record(log_date=log_date, conversation=Conversation(conversation_id=name, turns=said))


def _turn(row: dict[str, object]) -> Turn:
    values = {name: row[name] for name in Turn.__struct_fields__}
    return msgspec.convert(values | {"content": row["prompt"] or row["content"]}, Turn)


def leased(catalog: Catalog, turn_ids: Sequence[str], *, now: dt.datetime) -> dict[str, str]:
    """Those of the turns that a trainer holds at `now`, each with its batch."""
    rows = select(batch_items.c.turn_id, batch_items.c.batch_id).join(batches)
    held = (batches.c.state == "leased", batches.c.expires_at > now)
    with catalog.read() as connection:
        found = connection.execute(rows.where(*held, batch_items.c.turn_id.in_(turn_ids)))
        return {row.turn_id: row.batch_id for row in found}
