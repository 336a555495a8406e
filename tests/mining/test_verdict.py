import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.answers import AnswerState, Ending
from mining.card import Combiner, Thresholds
from mining.heuristics import Reading
from mining.likeness import NONE
from mining.quotation import own_words
from mining.verdict import Untrainable, Verdict, dsat_share, judge, probability, untrainable
from warehouse.records import Category, Evidence, SignalKind

COMBINER = Combiner(bias=0.1, classifier=0.8, evidence_for=0.9, evidence_against=0.3)
THRESHOLDS = Thresholds(report=0.4, trainable=0.8)


@pytest.fixture(scope="module")
def reading(follow_up):
    def make(
        *weights: float, feedback: float | None = None, category: Category = Category.COMPLAINT
    ) -> Reading:
        def evidence(weight: float) -> Evidence:
            return Evidence(rule="r_v1", start=0, end=0, weight=weight)

        return Reading(
            follow_up=follow_up("text"),
            words=own_words("text"),
            evidence=tuple(map(evidence, weights)),
            categories=(category,) * len(weights),
            feedback=() if feedback is None else (evidence(feedback),),
            answer_state=AnswerState.PLAIN,
            ending=Ending.CLOSED,
            likeness=NONE,
            restated=False,
            switched=False,
            mixed=False,
        )

    return make


def judged(readings, classes):
    shares = zip(readings, dsat_share(classes), strict=True)
    p = np.array([probability(reading, share, COMBINER) for reading, share in shares])
    return judge(readings, classes, p, THRESHOLDS)


shares = st.floats(0, 1)
weights = st.lists(st.floats(-5, 5), max_size=4)


@given(shares, shares, weights)
def test_more_of_the_classifier_is_never_less(reading, one, other, found):
    low, high = sorted((one, other))
    evidence = reading(*found)
    assert probability(evidence, low, COMBINER) <= probability(evidence, high, COMBINER)


@given(shares, weights, st.floats(0, 5))
def test_more_evidence_for_is_never_less(reading, share, found, more):
    with_more = probability(reading(*found, more), share, COMBINER)
    assert with_more >= probability(reading(*found), share, COMBINER)


@given(shares, weights, st.floats(-20, 20))
def test_a_probability_is_one(reading, share, found, feedback):
    assert 0 <= probability(reading(*found, feedback=feedback), share, COMBINER) <= 1


def test_explicit_feedback_counts_in_full(reading):
    p = probability(reading(), 0.5, COMBINER)
    thumbed = probability(reading(feedback=2.0), 0.5, COMBINER)
    assert np.log(thumbed / (1 - thumbed)) - np.log(p / (1 - p)) == pytest.approx(2.0)


# class probabilities, in the order of Category: pushback, correction, refinement, complaint,
# challenge, sat, neutral
CASES = {
    "likeliest of the DSAT ones": ([0.1, 0.2, 0.4, 0.1, 0.1, 0.05, 0.05], Category.REFINEMENT),
    "DSAT together, none alone": ([0.15, 0.15, 0.2, 0.15, 0.1, 0.0, 0.25], Category.REFINEMENT),
    "a tie goes by precedence": ([0.0, 0.4, 0.4, 0.2, 0.0, 0.0, 0.0], Category.CORRECTION),
    "sat": ([0.0, 0.1, 0.0, 0.0, 0.0, 0.5, 0.4], Category.SAT),
    "neutral": ([0.0, 0.1, 0.0, 0.0, 0.0, 0.4, 0.5], Category.NEUTRAL),
}


@pytest.mark.parametrize("classes, category", CASES.values(), ids=CASES)
def test_category(reading, classes, category):
    (verdict,) = judged([reading()], np.array([classes]))
    assert verdict.category is category
    dsat = verdict.probability >= THRESHOLDS.report
    assert (verdict.signal is SignalKind.DSAT) == dsat


def test_evidence_speaks_for_its_category(reading):
    close = np.array([[0.0, 0.35, 0.3, 0.0, 0.05, 0.1, 0.2]])
    spoken = reading(1.0, category=Category.REFINEMENT)
    (verdict,) = judged([spoken], close)
    assert verdict.category is Category.REFINEMENT


REFUSED = Evidence(rule="answer_refused_v2", start=0, end=0, weight=0.5)
REASONS = {
    "trainable": ({}, {}, None),
    "not sure enough": ({"probability": 0.7}, {}, Untrainable.BELOW_TRAINABLE_THRESHOLD),
    "just sure enough": ({"probability": 0.8}, {}, None),
    "pushback, however sure": (
        {"category": Category.REFUSAL_PUSHBACK, "probability": 1.0},
        {},
        Untrainable.REFUSAL_PUSHBACK,
    ),
    "a complaint of a refusal": ({"evidence": (REFUSED,)}, {}, Untrainable.REFUSAL_PUSHBACK),
    "an answer that its user rewrote": ({}, {"edited": True}, Untrainable.ANSWER_EDITED),
    "no answer": ({}, {"answer": " \n"}, Untrainable.BLANK_ANSWER),
    "tools": ({}, {"used_tools": True}, Untrainable.ANSWER_USED_TOOLS),
    "an error of the service": (
        {},
        {"answer": "Network error. Please try again."},
        Untrainable.SERVICE_ERROR,
    ),
    "an insult": ({}, {"feedback": "fuck you!"}, Untrainable.VENTING),
    "flagged by the log": ({}, {"flagged": True}, Untrainable.FLAGGED),
    "opted out": ({}, {"opted_out": True}, Untrainable.OPTED_OUT),
}


@pytest.mark.parametrize("verdict, context, reason", REASONS.values(), ids=REASONS)
def test_untrainable(verdict, context, reason):
    plain = {"category": Category.COMPLAINT, "probability": 0.9, "evidence": ()}
    judged = Verdict(**{**plain, **verdict})
    place = {
        "answer": "It is Sydney.", "feedback": "that is wrong", "edited": False,
        "used_tools": False,
        "flagged": False, "opted_out": False, **context,
    }  # fmt: skip
    assert untrainable(judged, THRESHOLDS, **place) is reason


def test_every_reason_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()
    told = re.findall(r"^\| (\w+) \| ", text.partition("untrainable_reason` says why")[2], re.M)
    assert set(told) >= set(Untrainable)
