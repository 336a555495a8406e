"""Scores of tracing tools that are a user's own: a thumb, or a rating on some scale.

Tools keep them among the scores of evaluators, told apart by their names alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from ingestion import normalize

# A word of the score's name that says: the user gave it, by a button.
_BUTTON = re.compile(r"(^|_)(feedback|user_score|thumbs?|liked?|dislike|upvote|downvote)(_|$)")
_RATING = re.compile(r"(^|_)(ratings?|stars?|csat|user_satisfaction)(_|$)")
_DOWN = re.compile(r"(^|_)(thumbs?_down|dislike|downvote)(_|$)")
_SIDES = (-1, 0, 1)  # of a button; true and false are 1 and 0
_BETWEEN_WORDS = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")


class Feedback(msgspec.Struct, frozen=True, gc=False):
    """What the user said of an answer by a button; None where nothing."""

    thumb: int | None = None  # 1 or -1
    rating: float | None = None  # on the scale of its source


def feedback(scores: Iterable[tuple[object, object]]) -> Feedback:
    """The user's own among (name, value); of several of one kind, the last.

    Under a name of buttons 1 and true are a thumb up, 0, -1 and false a thumb down, and other
    numbers a rating; under a name of ratings every number is one.
    """
    thumb: int | None = None
    rating: float | None = None
    for name, value in scores:
        words = _BETWEEN_WORDS.sub("_", name).lower() if isinstance(name, str) else ""
        button = _BUTTON.search(words)
        if button and (pressed := _thumb(words, value)) is not None:
            thumb = pressed
        elif _RATING.search(words) or (button and value not in _SIDES):
            number = normalize.rating(value)
            rating = rating if number is None else number
    return Feedback(thumb, rating)


def _thumb(words: str, value: object) -> int | None:
    if value in _SIDES:
        known: int | None = 1 if value == 1 else -1
    else:
        known = normalize.thumb(value)
    if known is None or not _DOWN.search(words):
        return known
    return -1 if known == 1 else None  # the button for a thumb down, not pressed, says nothing
