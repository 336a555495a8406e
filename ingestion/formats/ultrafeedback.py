"""UltraFeedback-binarized: two dialogues that differ in their last answer, as a seed pair.

Fields: the dataset card of HuggingFaceH4/ultrafeedback_binarized.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ingestion.formats.raw import RawPair, RawTurn, Refused
from ingestion.formats.reader import Reader, identity
from warehouse.records import ReasonCode


class Message(msgspec.Struct, gc=False):
    """One message."""

    role: str
    content: str


class Record(msgspec.Struct, gc=False):
    """One row. `prompt`, `messages` and the scores repeat or explain the two dialogues."""

    chosen: list[Message]
    rejected: list[Message]
    prompt_id: Any = None


def extract(record: Record) -> RawPair | Refused:
    """The two last answers and what was said before them."""
    chosen, rejected = record.chosen, record.rejected
    if len(chosen) < 2 or len(rejected) < 2:
        return Refused(ReasonCode.WRONG_SHAPE, "`chosen` or `rejected` has no answer or no prompt")
    if chosen[:-1] != rejected[:-1]:
        return Refused(ReasonCode.WRONG_SHAPE, "`chosen` and `rejected` answer different prompts")
    if {chosen[-1].role, rejected[-1].role} != {"assistant"}:
        return Refused(ReasonCode.WRONG_SHAPE, "`chosen` or `rejected` ends with no answer")
    return RawPair(
        id=identity(record.prompt_id),
        prompt=[RawTurn(message.role, message.content) for message in chosen[:-1]],
        chosen=chosen[-1].content,
        rejected=rejected[-1].content,
    )


READER = Reader("ultrafeedback", Record, extract)
