"""ShareGPT: {"conversations": [{"from": "human", "value": "..."}]}; older dumps say `items`."""

from __future__ import annotations

from typing import Any

import msgspec

from ingestion.formats.raw import RawConversation, RawTurn, Refused
from ingestion.formats.reader import Reader, decode, identity
from warehouse.records import ReasonCode


class Message(msgspec.Struct, gc=False):
    """One message. `value` is kept as it is, Markdown or HTML."""

    sender: str = msgspec.field(name="from")
    value: str | None = None


class Record(msgspec.Struct, gc=False):
    """One record. The format has no user; exports of some tools add a model and a language."""

    conversations: list[Message] | None = None
    items: msgspec.Raw = msgspec.Raw()
    id: Any = None
    model: Any = None
    language: Any = None


_ITEMS = msgspec.json.Decoder(list[Message])


def extract(record: Record) -> RawConversation | Refused:
    """What the warehouse keeps of a record."""
    messages = record.conversations
    if messages is None:
        if not record.items:
            return Refused(ReasonCode.WRONG_SHAPE, "Object missing required field `conversations`")
        messages = decode(_ITEMS, record.items)
    return RawConversation(
        id=identity(record.id),
        user=None,
        turns=[turn(message, record.model, record.language) for message in messages],
    )


def turn(message: Message, model: Any = None, language: Any = None) -> RawTurn:
    """A message of the ShareGPT shape."""
    return RawTurn(message.sender, message.value or "", model, language)


READER = Reader("sharegpt", Record, extract)
