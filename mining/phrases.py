"""Phrase rules, matched token by token with spaCy.

A blank pipeline only splits text into tokens by the rules of its language: brackets and quotation
marks fall off, "didn't" and "didnt" are one, so that a list of plain phrases needs no
pattern per way of writing. Languages without spaces gain nothing by it: their rules are patterns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mining.folding import fold_letters
from mining.rulefile import Rule
from mining.rules import PhraseFinder


class _SpacyPhrases:
    def __init__(self, tokenize: Any, matchers: dict[str, Any]) -> None:
        self._tokenize = tokenize
        self._matchers = matchers  # of each rule, by its id
        self._last: tuple[str, Any] = ("", tokenize(""))

    def find(self, rule: Rule, text: str) -> tuple[int, int] | None:
        matches = self._matchers[rule.id](doc := self._tokens(text))
        if not matches:
            return None
        _, start, end = min(matches, key=lambda match: match[1:])
        span = doc[start:end]
        return span.start_char, span.end_char

    def _tokens(self, text: str) -> Any:
        """The rules of one language mostly look at one text in a row."""
        if text != self._last[0]:
            # The tokenizer knows "didn't", not "DIDN'T". Lower case is longer for a few letters.
            lower = text.lower()
            self._last = (text, self._tokenize(lower if len(lower) == len(text) else text))
        return self._last[1]


def load(language: str, rules: Sequence[Rule]) -> PhraseFinder:
    """The finder of one language's phrase rules; `language` is an ISO 639-1 code spaCy knows."""
    with _without_torch():
        import spacy
        from spacy.matcher import PhraseMatcher

    tokenize = spacy.blank(language).make_doc
    matchers = {}
    for rule in rules:
        docs = [tokenize(fold_letters(phrase)) for phrase in rule.phrases]
        matchers[rule.id] = PhraseMatcher(docs[0].vocab, attr="NORM")
        matchers[rule.id].add(rule.id, docs)
    return _SpacyPhrases(tokenize, matchers)


@contextmanager
def _without_torch() -> Iterator[None]:
    """spaCy loads torch wherever it is installed: a second and 150 MB that phrases never use."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]
