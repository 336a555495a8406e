"""What a format's reader takes from one record of a log, before anything is made of it."""

from __future__ import annotations

from typing import Any

import msgspec

from warehouse.records import ReasonCode


class RawTurn(msgspec.Struct, gc=False):
    """One message as its log has it; every field but the first two is normalised later."""

    role: str
    content: str
    model: Any = None
    language: Any = None
    timestamp: Any = None
    thumb: Any = None
    rating: Any = None
    regenerated: Any = None  # the user asked for another answer by a button
    edited: Any = None  # the user rewrote this turn by hand
    flagged: Any = None  # the log's own moderation calls it unsafe or toxic


class RawConversation(msgspec.Struct, gc=False):
    """One record that holds a conversation, from its first message."""

    id: str | int | None
    user: str | int | None
    turns: list[RawTurn]
    country: Any = None  # name or ISO 3166 code: tells how its phone numbers are written
    opted_out: Any = None  # the user's turns may be analysed, never trained on


class RawPair(msgspec.Struct, gc=False):
    """One record that holds an answer and a better one to the same prompt."""

    id: str | int | None
    prompt: list[RawTurn]
    chosen: str
    rejected: str
    user: str | int | None = None
    opted_out: Any = None


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Why a record could not be read."""

    reason: ReasonCode
    detail: str  # names of fields and types only, never text of the record


Raw = RawConversation | RawPair | Refused
