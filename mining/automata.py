"""RE2, set up once for all modules: case does not matter, and time is linear in the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import re2

# Bytes. A set that outgrows RE2's default of 8 MiB is thrown away and built again in use: 25 us
# a follow-up in place of 2.
SET_MEMORY = 64 << 20
PATTERN_MEMORY = 8 << 20


class Automaton:
    """Patterns matched in one pass: which of them a text holds, by their index, unordered.

    Raises re2.error where RE2 cannot read a pattern.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._set = re2.Set.SearchSet(_options(SET_MEMORY))
        for pattern in patterns:
            self._set.Add(pattern)
        self._set.Compile()
        self._empty = not patterns

    def matches(self, text: str) -> list[int]:
        """Cheaper than a search: no places are looked for."""
        return [] if self._empty else list(self._set.Match(text) or ())


def compiled(pattern: str) -> Any:
    """One pattern, for the places of its matches. Raises re2.error."""
    return re2.compile(pattern, _options(PATTERN_MEMORY))


def either(patterns: Iterable[str]) -> str:
    """A pattern of any of them; of none, one that matches nothing."""
    return "|".join(f"(?:{pattern})" for pattern in patterns) or r"[^\x00-\x{10FFFF}]"


def _options(memory: int) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = memory
    return options
