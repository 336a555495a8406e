"""WildFeedback's preference pairs: a ShareGPT dialogue and two answers to its end.

The shape of wildfeedback.json of microsoft/WildFeedback. Its labelled utterances are read by
`utterances`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ingestion.formats import sharegpt
from ingestion.formats.raw import RawPair, Refused
from ingestion.formats.reader import Reader, identity
from warehouse.records import ReasonCode


class Answer(msgspec.Struct, gc=False):
    """One of the two answers."""

    value: str


class Record(msgspec.Struct, gc=False):
    """One pair."""

    conversations: list[sharegpt.Message]
    chosen: Answer
    rejected: Answer
    id: Any = None


def extract(record: Record) -> RawPair | Refused:
    """The dialogue is the prompt of both answers."""
    if not record.conversations:
        return Refused(ReasonCode.WRONG_SHAPE, "`conversations` is empty")
    return RawPair(
        id=identity(record.id),
        prompt=[sharegpt.turn(message) for message in record.conversations],
        chosen=record.chosen.value,
        rejected=record.rejected.value,
    )


READER = Reader("wildfeedback", Record, extract)
