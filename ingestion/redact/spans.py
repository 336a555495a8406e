"""What is to be replaced in a text, and the text with it replaced. Spans count bytes of UTF-8."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from ingestion.redact.placeholders import Placeholders


class Span(msgspec.Struct, frozen=True, gc=False):
    """One thing to replace: [start, end)."""

    start: int
    end: int
    kind: str
    value: str  # normalised: equal values are one thing


def apart(spans: Iterable[Span]) -> list[Span]:
    """In order of place, those that overlap none that was given before them."""
    kept: list[Span] = []
    for span in spans:
        at = bisect_left(kept, span.start, key=_start)
        free_before = at == 0 or kept[at - 1].end <= span.start
        if free_before and (at == len(kept) or span.end <= kept[at].start):
            kept.insert(at, span)
    return kept


def _start(span: Span) -> int:
    return span.start


def replaced(text: bytes, spans: Sequence[Span], placeholders: Placeholders) -> bytes:
    """`text` with placeholders for `spans`, in order."""
    pieces: list[bytes] = []
    at = 0
    for span in spans:
        pieces += text[at : span.start], placeholders.name(span.kind, span.value).encode()
        at = span.end
    return b"".join((*pieces, text[at:]))
