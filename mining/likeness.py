"""How much a follow-up says again what its user has asked before."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
from rapidfuzz import fuzz, utils

from mining.conversations import FollowUp

# Characters of a text that are compared with earlier turns, and how many of those turns: the
# cost of a follow-up is bounded. Beyond, a text is a document and not a request said again.
COMPARED_CHARS = 400
COMPARED_TURNS = 4
SHORTEST_COMPARED = 6  # shorter texts are alike by chance: "shorter" and "short one"
REPEATED = 0.9  # edit similarity from which a text is the earlier one again
REPHRASED = 0.8  # similarity of the word sets from which it is the earlier one in other words
REPHRASED_WORDS = 3  # of both texts at least
ECHOED = 0.75  # share of the shorter text's content words from which one holds the other
ECHOED_WORDS = 3
ECHOED_EARLIER = 5  # of a message further back: one topic shares three words by itself

# Scripts that are written without spaces: two characters beside each other stand for a word.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
# Common English words that two requests share by chance; other languages' are let be.
_COMMON = frozenset(
    "a an and are be can could do does for how i in is it me my not of on or please some that the"
    " this to was what when where which who why will with would you your".split()
)


class Likeness(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Similarity to a user's messages before, each in [0, 1]."""

    repeated: float = 0.0  # edit similarity to the request that was answered
    rephrased: float = 0.0  # of the word sets
    echoed: float = 0.0  # content words shared, of the text that has fewer
    earlier: float = 0.0  # the highest of the three, scaled by its bar, to a message before that
    shares: bool = True  # a content word with any of them; short texts are not looked through


NONE = Likeness()


def likeness(follow_up: FollowUp) -> Likeness:
    """Compare a follow-up with the request before it and with COMPARED_TURNS - 1 before that."""
    text = _comparable(follow_up.follow_up)
    if len(text) < SHORTEST_COMPARED:
        return NONE
    words = _Words.of(text)
    last = _alike(text, words, follow_up.user)
    before, shares = 0.0, last.words > 0
    for message in follow_up.earlier[-COMPARED_TURNS + 1 :]:
        alike = _alike(text, words, message)
        shares = shares or alike.words > 0
        before = max(before, alike.repeated / REPEATED, alike.rephrased / REPHRASED)
        if alike.words >= ECHOED_EARLIER * ECHOED:
            before = max(before, alike.echoed(ECHOED_EARLIER) / ECHOED)
    return Likeness(
        repeated=last.repeated,
        rephrased=last.rephrased,
        echoed=last.echoed(ECHOED_WORDS),
        earlier=min(before, 1.0),
        shares=shares,
    )


class _Alike(NamedTuple):
    repeated: float
    rephrased: float
    words: int  # content words that both texts hold
    fewer: int  # content words of the text that has fewer

    def echoed(self, fewest: int) -> float:
        return self.words / self.fewer if self.fewer >= fewest else 0.0


class _Words(NamedTuple):
    """The content words of a text."""

    whole: frozenset[str]
    pairs: frozenset[str]  # of neighbours, in scripts that are written without spaces

    @classmethod
    def of(cls, text: str) -> _Words:
        whole = frozenset(text.split()) - _COMMON
        if text.isascii() or not _UNSPACED.search(text):
            return cls(whole, frozenset())
        runs = [word for word in whole if _UNSPACED.search(word)]
        return cls(
            whole.difference(runs),
            frozenset(run[at : at + 2] for run in runs for at in range(len(run) - 1)),
        )

    def compare(self, other: str) -> tuple[int, int]:
        """Words shared with `other`, and the words of the text that has fewer.

        Pairs are looked up in it as it stands: to take it apart would cost more than all else.
        """
        theirs = frozenset(other.split()) - _COMMON
        shared = len(self.whole & theirs)
        count = len(theirs)
        if self.pairs:
            shared += sum(pair in other for pair in self.pairs)
            count = max(count, len(other) - other.count(" "))
        return shared, min(len(self.whole) + len(self.pairs), count)


def _alike(text: str, words: _Words, message: str) -> _Alike:
    other = _comparable(message)
    shared, fewer = words.compare(other)
    if len(other) < SHORTEST_COMPARED:
        return _Alike(0.0, 0.0, shared, 0)
    rephrased = 0.0
    if min(text.count(" "), other.count(" ")) >= REPHRASED_WORDS - 1:
        rephrased = fuzz.token_sort_ratio(text, other) / 100
    return _Alike(fuzz.ratio(text, other) / 100, rephrased, shared, fewer)


def _comparable(text: str) -> str:
    return utils.default_process(text[:COMPARED_CHARS])
