"""What a log's own moderation says of its messages."""

from __future__ import annotations

from typing import Any


def flags(moderation: Any, count: int) -> list[Any]:
    """`flagged` of each of `count` messages, as OpenAI's moderation API words it; else Nones.

    Of another number of verdicts it is not known which message each is of: one that is flagged
    flags them all.
    """
    if not isinstance(moderation, list):
        return [None] * count
    said = [entry.get("flagged") if isinstance(entry, dict) else None for entry in moderation]
    if len(said) == count:
        return said
    return [True if any(flag is True for flag in said) else None] * count
