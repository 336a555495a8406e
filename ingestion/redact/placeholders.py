"""What stands in a text for what was taken out of it: [EMAIL_1]."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

# Whatever looks like a placeholder stays as it is, whoever wrote it.
_PLACEHOLDER = re.compile(rb"\[([A-Z][A-Z_]{1,30})_([1-9][0-9]{0,5})\]")


def masked(text: bytes) -> bytes:
    """The same bytes with NUL for every placeholder, in which no rule finds anything."""
    if b"[" not in text:
        return text
    return _PLACEHOLDER.sub(lambda match: bytes(len(match[0])), text)


class Placeholders:
    """The placeholders of one conversation: the same value, the same number.

    Numbers count from 1, kind by kind, in the order in which values are asked for. A number
    that stands in a text already is not given again.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # replacements by kind
        self._names: dict[tuple[str, str], str] = {}
        self._last: Counter[str] = Counter()
        self._taken: defaultdict[str, set[int]] = defaultdict(set)

    def see(self, text: bytes) -> None:
        """Take note of the placeholders that a text brings with it."""
        if b"[" in text:
            for kind, number in _PLACEHOLDER.findall(text):
                self._taken[kind.decode()].add(int(number))

    def name(self, kind: str, value: str) -> str:
        """The placeholder of a value, counted as used once more."""
        self.counts[kind] += 1
        known = self._names.get((kind, value))
        if known is None:
            known = self._names[kind, value] = f"[{kind}_{self._next(kind)}]"
        return known

    def _next(self, kind: str) -> int:
        number = self._last[kind] + 1
        while number in self._taken[kind]:
            number += 1
        self._last[kind] = number
        return number
