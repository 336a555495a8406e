"""WildChat rows: WildChat-1M, WildChat-4.8M and the first edition.

Fields: the dataset cards of allenai/WildChat-1M and allenai/WildChat-4.8M. Of the moderation a
message's `toxic` is taken, else its entry in `openai_moderation`; `detoxify_moderation` has scores
and no verdict, and is passed over.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ingestion.formats.moderation import flags
from ingestion.formats.raw import RawConversation, RawTurn
from ingestion.formats.reader import Reader, identity


class Message(msgspec.Struct, gc=False):
    """One message. `timestamp` is set on the model's messages, the rest on the user's: what a
    user said has the time of the answer that follows.
    """

    role: str
    content: str | None = None
    language: Any = None
    timestamp: Any = None
    hashed_ip: Any = None
    country: Any = None
    toxic: Any = None


class Record(msgspec.Struct, gc=False):
    """One row. `timestamp` is that of the last turn; WildChat's first edition says
    conversation_id where the later ones say conversation_hash.
    """

    conversation: list[Message]
    conversation_hash: Any = None
    conversation_id: Any = None
    model: Any = None
    language: Any = None
    timestamp: Any = None
    hashed_ip: Any = None
    country: Any = None
    openai_moderation: Any = None


def extract(record: Record) -> RawConversation:
    """What the warehouse keeps of a row. The user is the hashed address of the requests."""
    messages = record.conversation
    moderated = flags(record.openai_moderation, len(messages))
    told = zip(messages, _times(record), moderated, strict=True)
    return RawConversation(
        id=identity(record.conversation_hash, record.conversation_id),
        user=identity(record.hashed_ip, *[message.hashed_ip for message in messages]),
        turns=[
            RawTurn(
                role=message.role,
                content=message.content or "",
                model=record.model,
                language=message.language or record.language,
                timestamp=moment,
                flagged=flagged if message.toxic is None else message.toxic,
            )
            for message, moment, flagged in told
        ],
        country=record.country or next((m.country for m in messages if m.country), None),
    )


def _times(record: Record) -> list[Any]:
    """Of each message its own time, else that of the next one that has any, else the row's."""
    times, following = [], record.timestamp
    for message in reversed(record.conversation):
        following = message.timestamp or following
        times.append(following)
    return times[::-1]


READER = Reader("wildchat", Record, extract)
