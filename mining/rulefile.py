"""The shape of a lexicon file: rules, structural signs and the words that signs look for."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mining.constraints import Vocabulary
from mining.conversations import FollowUp
from mining.scripts import Script
from warehouse.records import Category

HEAD_CHARS = 80


class Scope(StrEnum):
    """Where in a text a rule counts."""

    HEAD = "head"  # the first 80 characters
    SHORT = "short"  # the whole of a text of at most `short_chars`
    EDGES = "edges"  # the first 400 and the last 200 characters (mining.quotation)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of a lexicon file."""

    id: str  # name and version: "explicit_complaint_v2"
    category: Category
    scope: Scope
    short_chars: int = 40  # of scope "short"
    weight: float  # log-odds that the follow-up is DSAT, given a hit, over the base
    source: str  # of the weight: bench/rule_weights.py counts it again
    prior: str = ""  # id of the rule that lends its weight while hits are few
    continues: bool = False  # asks for the rest, which an answer that was cut off owes
    patterns: tuple[str, ...] = ()  # RE2, any of them; case and accents do not matter
    phrases: tuple[str, ...] = ()  # any of them, token by token; instead of patterns
    positive: tuple[str, ...]  # texts that must hit
    negative: tuple[str, ...]  # texts that must not

    def field(self, text: str) -> str:
        """The part of a text in which the rule counts: its beginning, all of it or nothing."""
        if self.scope is Scope.HEAD:
            return text[:HEAD_CHARS]
        if self.scope is Scope.SHORT and len(text) > self.short_chars:
            return ""
        return text


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A follow-up that a sign is tested on; what is left out stands for something plain."""

    follow_up: str = "ok"
    user: str = "What is the capital of Australia?"
    answer: str = "It is Sydney."
    earlier: tuple[str, ...] = ()
    thumb: int | None = None
    rating: float | None = None
    regenerated: bool | None = None

    def built(self) -> FollowUp:
        """As a detector is given it."""
        return FollowUp(**msgspec.structs.asdict(self))


class Sign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A structural sign: it has a weight, and its test is code (`mining.heuristics`)."""

    id: str
    category: Category
    weight: float
    source: str
    prior: str = ""  # as a rule's
    positive: tuple[Example, ...]
    negative: tuple[Example, ...]


class LexiconFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the lexicon."""

    language: str  # ISO 639-1; "any" where no words are matched
    scripts: frozenset[Script] = frozenset((Script.LATIN,))  # others' texts are not looked through
    rules: tuple[Rule, ...] = ()
    refusals: tuple[Rule, ...] = ()  # read in the answer: that it declines the request
    signs: tuple[Sign, ...] = ()
    vocabulary: Vocabulary = Vocabulary()
