"""Redaction by rules: the texts of a conversation in, the same without what must not be stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from ingestion.redact.finder import BEFORE, Finder
from ingestion.redact.options import Kind
from ingestion.redact.patterns import load_rules
from ingestion.redact.placeholders import Placeholders, masked
from ingestion.redact.regions import regions
from ingestion.redact.spans import replaced

# Times that a text is looked at anew after something was replaced in it: a word may then stand
# near enough to a number, or what overlapped stand alone. One is enough for nearly all.
_ROUNDS = 8


class Redacted(msgspec.Struct, frozen=True, gc=False):
    """The texts of a conversation, redacted, and how many things were replaced."""

    texts: list[str]
    counts: dict[str, int]  # by kind


class Redactor:
    """Replaces what the rules of some kinds find. Costly to build: once a process."""

    def __init__(self, kinds: Collection[Kind] = tuple(Kind)) -> None:
        self._finder = Finder(load_rules(kinds))

    def redact(
        self, texts: Sequence[str], *, language: str | None, country: str | None
    ) -> Redacted:
        """Redact the texts of one conversation, in its order.

        `language`: ISO 639-1; `country`: ISO 3166 code or English name. What is done to a text
        depends on it and on those before it only, so a longer state of the conversation begins
        as the shorter one did. Texts that were redacted come back as they are.
        """
        if not self._finder.may_find("\n".join(texts).encode()):
            return Redacted(list(texts), {})
        places = regions(language, country)
        placeholders = Placeholders()
        checked = Counter[str]()
        done: list[str] = []
        before = b""
        for text in texts:
            data = text.encode()
            placeholders.see(data)
            redacted, checked = self._redact(data, before, places, placeholders, checked)
            before = masked(redacted)[-BEFORE:] + b"\n"
            done.append(redacted.decode())
        return Redacted(done, dict(placeholders.counts))

    def _redact(
        self,
        text: bytes,
        before: bytes,
        places: Sequence[str],
        placeholders: Placeholders,
        checked: Counter[str],
    ) -> tuple[bytes, Counter[str]]:
        """The text redacted, and what was checked so far: as if only its result had been read."""
        for _ in range(_ROUNDS):
            now = checked.copy()
            spans = self._finder.find(masked(text), before, places, now)
            if not spans:
                break
            text = replaced(text, spans, placeholders)
        return text, now
