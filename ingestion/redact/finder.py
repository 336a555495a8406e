"""Where in a text the rules find something.

Texts are UTF-8 bytes here and spans count bytes, as RE2 does. One RE2 set tells in one pass which
rules can match at all; only those look for spans, and only what they find is checked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import re2

from ingestion.redact import folding
from ingestion.redact.checks import named
from ingestion.redact.options import Kind
from ingestion.redact.patterns import Rule
from ingestion.redact.spans import Span, apart
from warehouse.errors import SettingsError

# Bytes before and after a candidate in which a word counts that says what it is.
BEFORE = 48
AFTER = 24

# Candidates of one rule in one conversation that are checked. One with more is a table: from there
# on what looks like one counts as one, so the cost is bounded and nothing leaks.
CHECKED = 2_000

_CUTS = 3  # words cut from the end of a candidate that does not check

# Bytes for automata: a set that outgrows RE2's default of 8 MiB is thrown away in use.
_SET_MEMORY = 64 << 20
_RULE_MEMORY = 8 << 20

# What makes a number part of something longer, right before it and right after it. Asterisks,
# underscores and two tildes are Markdown's emphasis, unless a word or a number stands before them.
_GLUED_BEFORE = (
    r"[0-9A-Za-z_][\-./\\]|[0-9A-Za-z)\]][*_]{1,3}|\b[0-9]{1,2},|[0-9]:"
    r"|[\-/\\$^+%@]|(?:^|[^~])~|[€£¥₹]\s?"
)
_GLUED_AFTER = (
    r"^(?:[0-9A-Za-z_%@]|\s?[€£¥₹元円원]|\.[0-9]|,[0-9]{1,2}(?:[^0-9]|$)|[\-/_][0-9A-Za-z])"
)

# Groups of a card, of which the last three would be a phone.
_FOURS = re.compile(rb"\d{4} \d{4} \d{4}\b")

_RANK = {kind.value: rank for rank, kind in enumerate(Kind)}


class Finder:
    """All rules, compiled."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [_CompiledRule(rule) for rule in rules]
        self._set = re2.Set.SearchSet(_options(_SET_MEMORY))
        for pattern in (*(rule.pattern for rule in rules), folding.WIDE):
            self._set.Add(pattern)
        self._set.Compile()
        self._wide = len(rules)
        self._row = _compiled(folding.ROW, "folding.ROW")

    def may_find(self, text: bytes) -> bool:
        """Whether any rule matches, before any check: one pass over the text."""
        return bool(self._hits(self._apart(text)))

    def find(
        self, text: bytes, before: bytes, regions: Sequence[str], checked: Counter[str]
    ) -> list[Span]:
        """Spans of `text`, in order and apart; what stood `before` it is context only.

        Candidates that are checked are counted in `checked`, by rule.
        """
        text, before = self._apart(text), folding.unmarked(before)
        hits = self._hits(text)
        if self._wide not in hits:
            return self._found(text, hits, before, regions, checked)
        narrow = folding.Narrow(text)
        text = self._apart(narrow.text)
        spans = self._found(text, self._hits(text), before, regions, checked)
        return [narrow.widened(span) for span in spans]

    def _apart(self, text: bytes) -> bytes:
        text = folding.unmarked(text)
        # Before the set sees it: groups that may begin at any number have too many states for it.
        return folding.one_by_one(text) if self._row.search(text) else text

    def _hits(self, text: bytes) -> Sequence[int]:
        return self._set.Match(text) or ()

    def _found(
        self,
        text: bytes,
        hits: Sequence[int],
        before: bytes,
        regions: Sequence[str],
        checked: Counter[str],
    ) -> list[Span]:
        spans = (
            span
            for hit in hits
            if hit != self._wide
            for span in self._rules[hit].find(text, before, regions, checked)
        )
        return apart(sorted(spans, key=_precedence))


class _CompiledRule:
    """One rule, compiled."""

    def __init__(self, rule: Rule) -> None:
        self._id = rule.id
        self._kind = rule.kind.value
        self._pattern = _compiled(rule.pattern, rule.id)
        self._group = 1 if self._pattern.groups else 0
        self._check = named(rule.check)
        self._context: Any = _compiled(_words(rule.context), rule.id) if rule.context else None
        self._countries = frozenset(rule.countries)
        denied = (*rule.unless, _GLUED_BEFORE) if rule.alone else rule.unless
        self._denied_before = _compiled(f"(?i)(?:{'|'.join(denied)})$", rule.id) if denied else None
        self._denied_after = _compiled(_GLUED_AFTER, rule.id) if rule.alone else None
        self._refused = _compiled(f"^(?:{'|'.join(rule.refuse)})", rule.id) if rule.refuse else None
        self._cuts = _CUTS if rule.cut else 0

    def find(
        self, text: bytes, before: bytes, regions: Sequence[str], checked: Counter[str]
    ) -> Iterator[Span]:
        """Spans of `text`, in order."""
        shift = start = len(before)
        text = before + text
        needs_word = self._context is not None and self._countries.isdisjoint(regions)
        if needs_word and not self._context.search(text):
            return
        while match := self._pattern.search(text, start):
            begin, end = match.span(self._group)
            start = match.end()
            near, after = text[max(0, begin - BEFORE) : begin], text[end : end + AFTER]
            if self._denied_before is not None and self._denied_before.search(near):
                continue
            if needs_word and not self._context.search(near + b"\0" + after):
                continue
            value = text[begin:end]
            if self._refused is not None and self._refused.search(value + after):
                continue
            checked[self._id] += 1
            found = (
                self._checked(value, after, regions)
                if checked[self._id] <= CHECKED
                else (value, value.decode())
            )
            if found:
                kept, normalised = found
                start = begin + len(kept)
                yield Span(begin - shift, start - shift, self._kind, normalised)
            elif self._cuts and b" " in value and not _FOURS.match(value):
                # It may begin with a number too many: 2 415-555-0123.
                start = begin + value.index(b" ") + 1

    def _checked(
        self, value: bytes, after: bytes, regions: Sequence[str]
    ) -> tuple[bytes, str] | None:
        """The part of `value`, from its start, that is one, and its normalised form."""
        for _ in range(self._cuts + 1):
            glued = self._denied_after is not None and self._denied_after.search(after)
            normalised = None if glued else self._check(value.decode(), regions)
            if normalised is not None:
                return value, normalised
            value, gap, cut = value.rpartition(b" ")
            after = gap + cut
            if not value:
                break
        return None


def _compiled(pattern: str, rule_id: str) -> Any:
    try:
        return re2.compile(pattern, _options(_RULE_MEMORY))
    except re2.error as error:
        raise SettingsError(
            f"rule {rule_id}: RE2 cannot read its pattern ({error}). RE2 has no lookaround and no "
            "back-references; rewrite the pattern."
        ) from error


def _options(memory: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    return options


def _words(patterns: Sequence[str]) -> str:
    """Any of them; as whole words where they begin in ASCII, the only letters that \\b knows."""
    whole = (
        rf"\b(?:{p})(?:$|[^A-Za-z0-9])" if p[0].isascii() and p[0].isalpha() else p
        for p in patterns
    )
    return "(?i)" + "|".join(whole)


def _precedence(span: Span) -> tuple[int, int, int]:
    """Of spans that overlap: the one whose kind comes first in Kind, then the longest."""
    return _RANK[span.kind], span.start - span.end, span.start
