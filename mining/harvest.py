"""Conversations in, rows of the warehouse out: the mining pipeline as plain functions."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pyarrow.compute as pc

from mining.card import Thresholds
from mining.conversations import Exchange, exchanges
from mining.detector import Detector
from mining.verdict import Untrainable, Verdict, untrainable
from warehouse.reading import columns_at
from warehouse.records import Conversation, DsatTurn, Role, Signal, SignalKind, Turn
from warehouse.schema import Partition

# Conversations handed on at once, and rows read at once: see ingestion's LIST_LINES.
LIST_CONVERSATIONS = 100
READ_ROWS = 2_000
_COLUMNS = Turn.__struct_fields__


class Harvest(msgspec.Struct, gc=False):
    """What a list of conversations held."""

    signals: list[Signal]
    dsat_turns: list[DsatTurn]


class TurnsFile(msgspec.Struct, frozen=True, gc=False):
    """A file of turns, and what else is known of its conversations. Paths start at the store."""

    path: str
    facts: tuple[str, ...]  # the conversations files of the same night and log


def read_conversations(store: Path, file: TurnsFile) -> Iterator[list[Conversation]]:
    """The conversations of a turns file, in lists of LIST_CONVERSATIONS.

    The rows of one conversation stand in a row, in order; a row group may end between them.
    """
    clusters = _clusters([store / path for path in file.facts])
    ready: list[Conversation] = []
    turns: list[Turn] = []
    for turn in _read_turns(store / file.path):
        if turns and turn.conversation_id != turns[0].conversation_id:
            ready.append(_conversation(turns, clusters))
            turns = []
            if len(ready) == LIST_CONVERSATIONS:
                yield ready
                ready = []
        turns.append(turn)
    if turns:
        ready.append(_conversation(turns, clusters))
    if ready:
        yield ready


def _clusters(paths: Sequence[Path]) -> dict[str, str]:
    """Conversation id -> cluster, of those that belong to one. A night's log has each id once."""
    names = ("conversation_id", "cluster")
    clusters: dict[str, str] = {}
    for path in paths:
        for batch in columns_at(path, "conversations", names):
            rows = batch.filter(pc.is_valid(batch["cluster"]))
            ids, found = (rows[name].to_pylist() for name in names)
            clusters.update(zip(ids, map(sys.intern, found), strict=True))
    return clusters


def _conversation(turns: Sequence[Turn], clusters: Mapping[str, str]) -> Conversation:
    first = turns[0]
    return Conversation(
        conversation_id=first.conversation_id,
        turns=tuple(turns),
        cluster=clusters.get(first.conversation_id),
    )


def _read_turns(path: Path) -> Iterator[Turn]:
    for batch in columns_at(path, "turns", _COLUMNS, rows=READ_ROWS):
        rows = batch.to_pydict()
        rows["role"] = map(Role, rows["role"])
        for values in zip(*rows.values(), strict=True):
            yield Turn(**dict(zip(_COLUMNS, values, strict=True)))


def detect(
    detector: Detector,
    conversations: Sequence[Conversation],
    opted_out: Collection[str] = (),
) -> Harvest:
    """A verdict on every follow-up, and the DSAT ones again as training sources.

    `opted_out`: keys of users who may not be trained on, beside those whose log said so.
    """
    found = [exchange for conversation in conversations for exchange in exchanges(conversation)]
    verdicts = detector.detect([exchange.follow_up for exchange in found])
    pairs = list(zip(found, verdicts, strict=True))
    return Harvest(
        signals=[_signal(exchange, verdict, detector) for exchange, verdict in pairs],
        dsat_turns=[
            _dsat_turn(exchange, verdict, detector, opted_out)
            for exchange, verdict in pairs
            if verdict.signal is SignalKind.DSAT
        ],
    )


def _signal(exchange: Exchange, verdict: Verdict, detector: Detector) -> Signal:
    turn = exchange.turn
    return Signal(
        turn_id=turn.turn_id,
        conversation_id=turn.conversation_id,
        turn_index=turn.turn_index,
        answer_turn_id=exchange.answer_turn.turn_id,
        signal=verdict.signal,
        category=verdict.category,
        probability=verdict.probability,
        evidence=verdict.evidence,
        detector=detector.name,
        detector_version=detector.version,
        model=exchange.answer_turn.model,
        user_key=turn.user_key,
        language=turn.language,
        event_ts=turn.event_ts,
        report_threshold=detector.thresholds.report,
        trainable_threshold=detector.thresholds.trainable,
    )


def _dsat_turn(
    exchange: Exchange, verdict: Verdict, detector: Detector, opted_out: Collection[str]
) -> DsatTurn:
    turn, texts = exchange.turn, exchange.follow_up
    reason = why_untrainable(exchange, verdict, detector.thresholds, opted_out)
    return DsatTurn(
        turn_id=turn.turn_id,
        conversation_id=turn.conversation_id,
        answer_turn_id=exchange.answer_turn.turn_id,
        context=exchange.context,
        answer=texts.answer,
        feedback=texts.follow_up,
        category=verdict.category,
        probability=verdict.probability,
        trainable=reason is None,
        untrainable_reason=reason,
        detector=detector.name,
        detector_version=detector.version,
        model=exchange.answer_turn.model,
        user_key=turn.user_key,
        language=turn.language,
        event_ts=turn.event_ts,
        cluster=exchange.cluster,
    )


def why_untrainable(
    exchange: Exchange, verdict: Verdict, thresholds: Thresholds, opted_out: Collection[str]
) -> Untrainable | None:
    """Why a DSAT verdict's answer should not be trained on, looked at alone; None where it may."""
    turn = exchange.turn
    return untrainable(
        verdict,
        thresholds,
        answer=exchange.follow_up.answer,
        feedback=exchange.follow_up.follow_up,
        edited=exchange.edited,
        used_tools=exchange.used_tools,
        flagged=exchange.flagged,
        opted_out=turn.opted_out or turn.user_key in opted_out,
    )


def partitions(log_date: dt.date, detector: str, version: str) -> tuple[Partition, ...]:
    """What a detector's run over one night replaces."""
    part = part_of(detector, version)
    return tuple(Partition(table, log_date, part) for table in ("signals", "dsat_turns"))


def part_of(detector: str, version: str) -> str:
    """The part of a night that a detector fills."""
    return f"{detector}@{version}"
