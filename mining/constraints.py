"""What a request asks for beside its subject, and whether a follow-up says it again.

"in 5 lines", "without eggs", "as a table", "in Python": said a second time, and no question
asked, such words mean that the answer did not keep to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from mining.automata import Automaton, compiled, either
from mining.folding import fold, fold_letters
from mining.scripts import Script

REQUEST_CHARS = 400  # that are looked through in each message
RESTATED_CHARS = 160  # a longer follow-up says too much for two words to tell
QUESTION = ("?", "？", "؟")

# Words that "in", "for" and their like are followed by whatever is asked.
_EMPTY = frozenset(
    "the this that these those them they you your him her his its one ones some any all and are"
    " general case fact order other another example now free more mind much many way work please"
    " sure what when where which time people someone something anything everything".split()
)


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words that structural signs look for, as patterns."""

    constraints: tuple[str, ...] = ()  # what a request asks for: its group 1, else all of it
    exclusions: tuple[str, ...] = ()  # what it does not want: their group 1
    languages: dict[Script, tuple[str, ...]] = {}  # asking for a language, by its script


class Constraints:
    """The vocabulary of all files, compiled."""

    def __init__(self, vocabularies: Sequence[Vocabulary]) -> None:
        wanted = [fold_letters(p) for v in vocabularies for p in v.constraints]
        unwanted = [fold_letters(p) for v in vocabularies for p in v.exclusions]
        # "without nuts" before "nuts": what comes first is taken.
        self._places = compiled(either([*unwanted, *wanted]))
        self._unwanted_groups = compiled(either(unwanted)).groups
        self._any = Automaton([*unwanted, *wanted])
        names = [
            (script, fold_letters(pattern))
            for vocabulary in vocabularies
            for script, patterns in vocabulary.languages.items()
            for pattern in patterns
        ]
        self._scripts = [script for script, _ in names]
        self._languages = Automaton([pattern for _, pattern in names])

    def restated(self, follow_up: str, requests: Iterable[str]) -> bool:
        """Whether a short follow-up that asks nothing names a constraint of one of `requests`."""
        if len(follow_up) > RESTATED_CHARS or follow_up.rstrip().endswith(QUESTION):
            return False
        said = self._found(follow_up)
        return bool(said) and any(said & self._found(text[:REQUEST_CHARS]) for text in requests)

    def languages(self, text: str) -> frozenset[Script]:
        """The scripts of the languages that a text asks for."""
        folded, _ = fold(text[:RESTATED_CHARS])
        return frozenset(self._scripts[at] for at in self._languages.matches(folded))

    def _found(self, text: str) -> frozenset[str]:
        folded, _ = fold(text)
        if not self._any.matches(folded):
            return frozenset()
        return frozenset(map(self._named, self._places.finditer(folded))) - _EMPTY

    def _named(self, match: Any) -> str:
        """What a match names; a minus before what is not wanted."""
        group = match.lastindex or 0
        named = str(match.group(group)).lower()
        return f"-{named}" if 0 < group <= self._unwanted_groups else named
