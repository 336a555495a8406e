"""What words and structure say of a follow-up, before any learned model.

Two kinds of sign: rules that hit in the text, with a span, and structural signs that no word
betrays (a request asked again, a refusal before it, an error pasted after code), with span 0, 0.
A third of real dissatisfaction is of the second kind.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mining import answers
from mining.answers import AnswerState, Ending
from mining.constraints import QUESTION
from mining.conversations import FollowUp
from mining.likeness import (
    COMPARED_CHARS,
    COMPARED_TURNS,
    ECHOED,
    REPEATED,
    REPHRASED,
    Likeness,
    likeness,
)
from mining.quotation import QUOTATION_MARKS, OwnWords, own_words
from mining.rules import Hit, Lexicon
from mining.scripts import SAMPLE_CHARS, script, scripts_in
from warehouse.records import Category, Evidence

QUOTED = 0.3  # share of a follow-up from which it mostly hands over text
BRIEF = 40  # characters: all that a bare "go on" has
SWITCHED_CHARS = 100  # longer follow-ups name languages for other reasons
FORMAL_MARKS = "=(){}<>|→"  # of code and formulas, which have no language

# Ratings are on the scale of their source, which is mostly one of five stars. What may be the
# best of another scale, such as 1 of 1, says nothing; neither does the middle.
LOW_RATINGS = (1.0, 2.0)
HIGH_RATING = 5.0

_BLAME = (Category.CORRECTION, Category.COMPLAINT, Category.CHALLENGE)


class Reading(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A follow-up with all that heuristics found in it: what classifiers are given."""

    follow_up: FollowUp
    words: OwnWords
    evidence: tuple[Evidence, ...]
    categories: tuple[Category, ...]  # what each piece of evidence speaks for
    answer_state: AnswerState
    ending: Ending  # of the answer
    feedback: tuple[Evidence, ...]  # explicit: kept apart, since no labelled set has it
    likeness: Likeness  # to the user's messages before
    restated: bool  # says a constraint of a request again
    switched: bool  # names, or is written in, a language that the answer is not
    mixed: bool  # praise, and then what speaks against it


def read(follow_up: FollowUp, lexicon: Lexicon) -> Reading:
    """Look at one follow-up. Never raises on any text; work is bounded whatever its length."""
    words = own_words(follow_up.follow_up)
    hits = lexicon.find(words)
    alike = likeness(follow_up)
    state = answers.state(follow_up.answer, lexicon)
    ending = answers.ending(follow_up.answer)
    rest = _asks_for_the_rest(words, hits, ending)
    if rest:
        hits = tuple(hit for hit in hits if not hit.rule.continues)
    restated = alike.shares and lexicon.constraints.restated(
        words.text, (follow_up.user, *follow_up.earlier[-COMPARED_TURNS + 1 :])
    )
    switched = _switched(follow_up, words, state, lexicon)
    mixed = _mixed(hits)
    found = {
        "asks_for_the_rest_v1": rest,
        "constraint_restated_v1": restated,
        "language_switch_v1": switched,
        "praise_then_blame_v1": mixed,
        "hands_over_text_v1": words.quoted >= QUOTED,
    }
    names = [*_of_the_answer(hits, state, ending), *_of_the_request(alike)]
    names += [name for name, holds in found.items() if holds]
    signs = [lexicon.signs[name].category for name in names]
    return Reading(
        follow_up=follow_up,
        words=words,
        evidence=(*map(_spoken, hits), *[lexicon.evidence[name] for name in names]),
        categories=(*[hit.rule.category for hit in hits], *signs),
        answer_state=state,
        ending=ending,
        feedback=tuple(lexicon.evidence[name] for name in _feedback(follow_up)),
        likeness=alike,
        restated=restated,
        switched=switched,
        mixed=mixed,
    )


def _spoken(hit: Hit) -> Evidence:
    return Evidence(rule=hit.rule.id, start=hit.start, end=hit.end, weight=hit.rule.weight)


def _asks_for_the_rest(words: OwnWords, hits: tuple[Hit, ...], ending: Ending) -> bool:
    """A bare "go on" where the answer is not finished; elsewhere it is a happy user's."""
    return (
        ending is not Ending.CLOSED
        and len(words.text) <= BRIEF
        and any(hit.rule.continues for hit in hits)
    )


def _of_the_answer(hits: tuple[Hit, ...], state: AnswerState, ending: Ending) -> Iterator[str]:
    if state is AnswerState.CODE and any(h.rule.id.startswith("pasted_error") for h in hits):
        yield "error_after_code_v1"
    if state is AnswerState.REFUSED:
        yield "answer_refused_v2"
    if state is AnswerState.ASKED:
        yield "answer_asked_v1"
    if ending is Ending.CUT_OFF:
        yield "answer_cut_off_v1"


def _of_the_request(alike: Likeness) -> Iterator[str]:
    if alike.repeated >= REPEATED:
        yield "request_repeated_v2"
    elif alike.rephrased >= REPHRASED:
        yield "request_rephrased_v2"
    elif alike.echoed >= ECHOED:
        yield "request_echoed_v1"
    if alike.earlier >= 1:
        yield "earlier_request_again_v1"


def _switched(follow_up: FollowUp, words: OwnWords, state: AnswerState, lexicon: Lexicon) -> bool:
    """Asks for another language than the answer's, or keeps to one that the answer left.

    Languages of one script are not told apart.
    """
    if len(words.text) > SWITCHED_CHARS or words.text.rstrip().endswith(QUESTION):
        return False
    named = lexicon.constraints.languages(words.text)
    if not named and words.text.isascii() and follow_up.answer.isascii():
        return False
    ours, theirs = scripts_in(words.text), scripts_in(follow_up.answer[:SAMPLE_CHARS])
    if not named and (ours & theirs or not (ours or theirs)):
        return False
    answered = script(follow_up.answer)
    if answered is None:
        return False
    if named:
        return answered not in named
    written = script(words.text)
    return (
        written not in (None, answered)
        and written is script(follow_up.user)
        and state is AnswerState.PLAIN
        and not _two_languages(follow_up, lexicon)
    )


def _two_languages(follow_up: FollowUp, lexicon: Lexicon) -> bool:
    """Whether the answer may well be of another script: a translation, a formula, code."""
    return (
        any(mark in follow_up.user[:COMPARED_CHARS] for mark in QUOTATION_MARKS + ":：")
        or bool(lexicon.constraints.languages(follow_up.user))
        or any(mark in follow_up.answer[:COMPARED_CHARS] for mark in FORMAL_MARKS)
    )


def _mixed(hits: tuple[Hit, ...]) -> bool:
    """Praise, and then what it was no praise of: sarcasm, or thanks before a complaint."""
    praised = [hit.end for hit in hits if hit.rule.category is Category.SAT]
    return bool(praised) and any(
        hit.rule.category in _BLAME and hit.start >= min(praised) for hit in hits
    )


def _feedback(follow_up: FollowUp) -> Iterator[str]:
    """What was said by a button. Two buttons mostly say one thing: the strongest counts."""
    thumb, rating = follow_up.thumb, follow_up.rating
    if thumb is not None:
        yield "thumb_down_v1" if thumb < 0 else "thumb_up_v1"
    elif rating in LOW_RATINGS:
        yield "rating_lowest_v1" if rating == LOW_RATINGS[0] else "rating_low_v1"
    elif rating == HIGH_RATING:
        yield "rating_high_v1"
    elif follow_up.regenerated:
        yield "regenerated_v1"
