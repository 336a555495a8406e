"""LMSYS-Chat-1M rows (fields: the dataset card of lmsys/lmsys-chat-1m)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ingestion.formats.moderation import flags
from ingestion.formats.raw import RawConversation, RawTurn
from ingestion.formats.reader import Reader, identity


class Message(msgspec.Struct, gc=False):
    """One message."""

    role: str
    content: str | None = None


class Record(msgspec.Struct, gc=False):
    """One row. It says nothing of the user, nor when anything was said."""

    conversation: list[Message]
    conversation_id: Any = None
    model: Any = None
    language: Any = None
    openai_moderation: Any = None


class Shape(msgspec.Struct, gc=False):
    """What tells a row from one of WildChat's first edition, which has a time and toxicity."""

    conversation_id: str
    timestamp: UnsetType = UNSET
    toxic: UnsetType = UNSET
    detoxify_moderation: UnsetType = UNSET
    conversation_hash: UnsetType = UNSET


def extract(record: Record) -> RawConversation:
    """What the warehouse keeps of a row."""
    moderated = flags(record.openai_moderation, len(record.conversation))
    return RawConversation(
        id=identity(record.conversation_id),
        user=None,
        turns=[
            RawTurn(
                message.role, message.content or "", record.model, record.language, flagged=flagged
            )
            for message, flagged in zip(record.conversation, moderated, strict=True)
        ],
    )


READER = Reader("lmsys", Record, extract, shape=Shape)
