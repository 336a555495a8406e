"""What a detector would say of a night, without publishing anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from mining.compare import Judged
from mining.detector import Detector
from mining.harvest import Harvest, TurnsFile, detect, read_conversations
from mining.limits import Limits, Taught, excess, near


def rejudge(
    store: Path,
    log_date: dt.date,
    files: Sequence[TurnsFile],
    detector: Detector,
    *,
    limits: Limits,
    opted_out: Collection[str],
) -> Iterator[Judged]:
    """One verdict on every follow-up of a night's turns files, as mining it would publish."""
    judged: list[Judged] = []
    trainable: list[Taught] = []
    for file in files:
        for conversations in read_conversations(store, file):
            found = detect(detector, conversations, opted_out)
            taught = list(_taught(found))
            trainable += taught
            judged += _judged(log_date, found, {turn.turn_id for turn in taught})
    gone = excess(trainable, limits)
    for one in judged:
        yield msgspec.structs.replace(one, trainable=False) if one.turn_id in gone else one


def _taught(found: Harvest) -> Iterator[Taught]:
    for turn in found.dsat_turns:
        if turn.trainable:
            yield Taught(
                turn_id=turn.turn_id,
                probability=turn.probability,
                user_key=turn.user_key,
                prompts=near(turn.context, turn.cluster),
            )


def _judged(log_date: dt.date, found: Harvest, trainable: Collection[str]) -> Iterator[Judged]:
    for signal in found.signals:
        yield Judged(
            log_date=log_date,
            turn_id=signal.turn_id,
            conversation_id=signal.conversation_id,
            answer_turn_id=signal.answer_turn_id,
            category=signal.category,
            probability=signal.probability,
            trainable=signal.turn_id in trainable,
            model=signal.model,
            language=signal.language,
        )
