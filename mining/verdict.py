"""From evidence and a classifier's word to one calibrated verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec
import numpy as np
import numpy.typing as npt

from mining.card import Combiner, Thresholds
from mining.heuristics import Reading
from mining.unfit import is_service_error, is_venting
from warehouse.records import Category, Evidence, SignalKind

_ORDER = tuple(Category)
_DSAT = tuple(c.signal is SignalKind.DSAT for c in _ORDER)
_REFUSED = "answer_refused_v"  # the sign, in all its versions
# Probabilities are kept off 0 and 1 by this much, so that log-odds stay finite.
_EDGE = 1e-6


class Untrainable(StrEnum):
    """Why a DSAT turn is not trained on."""

    REFUSAL_PUSHBACK = "refusal_pushback"  # to train on it would teach away refusals
    BELOW_TRAINABLE_THRESHOLD = "below_trainable_threshold"
    BLANK_ANSWER = "blank_answer"
    ANSWER_EDITED = "answer_edited"  # the user rewrote it: it is not what the model said
    ANSWER_USED_TOOLS = "answer_used_tools"  # the context lacks what the model saw
    OPTED_OUT = "opted_out"  # the user's turns may be analysed, never trained on
    FLAGGED = "flagged"  # the log's moderation calls the answer, or what surrounds it, unsafe
    SERVICE_ERROR = "service_error"  # the answer is an error message, or was cut off by one
    VENTING = "venting"  # an insult or a mood, which says nothing of the answer
    # Of a whole night: `mining.limits`.
    NEAR_DUPLICATE = "near_duplicate"  # its prompt, or its cluster there, is trained on already
    FREQUENT_USER = "frequent_user"  # enough turns of its user are


class Verdict(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a detector says of one follow-up."""

    category: Category
    probability: float  # calibrated, in [0, 1]: that it is DSAT
    evidence: tuple[Evidence, ...]

    @property
    def signal(self) -> SignalKind:
        """The signal of the category."""
        return self.category.signal

    @property
    def on_a_refusal(self) -> bool:
        """Whether the answer refused, in whatever category the follow-up is.

        "that's useless" after a refusal is a complaint by its words, and objects to the refusal.
        """
        return self.category is Category.REFUSAL_PUSHBACK or any(
            evidence.rule.startswith(_REFUSED) for evidence in self.evidence
        )


def judge(
    readings: Sequence[Reading],
    classes: npt.NDArray[np.floating],
    probabilities: npt.NDArray[np.floating],
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    """Readings, their classes [n, 7] and probabilities of DSAT [n] -> verdicts, in order.

    The signal follows from the probability alone; the category is the likeliest of those that
    carry the signal, by the classifier and the heaviest evidence that speaks for each.
    """
    odds = np.log(np.maximum(classes, _EDGE)) + _spoken_for(readings)
    likeliest = np.where(_DSAT, odds, -np.inf).argmax(axis=1)
    otherwise = np.where(_DSAT, -np.inf, odds).argmax(axis=1)
    for reading, p, first, second in zip(
        readings, probabilities.tolist(), likeliest.tolist(), otherwise.tolist(), strict=True
    ):
        yield Verdict(
            category=_ORDER[first if p >= thresholds.report else second],
            probability=p,
            evidence=reading.evidence + reading.feedback,
        )


def _spoken_for(readings: Sequence[Reading]) -> npt.NDArray[np.float64]:
    """[n, 7] log-odds: of each category, the heaviest evidence that speaks for it, or 0."""
    spoken = np.zeros((len(readings), len(_ORDER)))
    for row, reading in zip(spoken, readings, strict=True):
        for evidence, category in zip(reading.evidence, reading.categories, strict=True):
            at = _ORDER.index(category)
            row[at] = max(row[at], abs(evidence.weight))
    return spoken


def dsat_share(classes: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """[n, 7] -> [n]: what a model gives to the categories of DSAT together."""
    return np.asarray(classes[:, _DSAT].sum(axis=1))


def probability(
    reading: Reading, share: float, combiner: Combiner, encoder: float | None = None
) -> float:
    """P(DSAT) of one follow-up; `share`, `encoder`: the `dsat_share` of either model."""
    classifier, weight_for, weight_against = strengths(reading, share)
    odds = (
        combiner.bias
        + combiner.classifier * classifier
        + combiner.evidence_for * weight_for
        + combiner.evidence_against * weight_against
        + (0.0 if encoder is None else combiner.encoder * log_odds(encoder))
        + sum(evidence.weight for evidence in reading.feedback)
    )
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, odds))))


def strengths(reading: Reading, share: float) -> tuple[float, float, float]:
    """What the combiner weighs: the classifier's log-odds, the heaviest evidence either way.

    Not the sum of evidence: rules that hit together mostly say the same thing twice.
    """
    weights = [evidence.weight for evidence in reading.evidence]
    return log_odds(share), max(0.0, *weights, 0.0), min(0.0, *weights, 0.0)


def log_odds(share: float) -> float:
    """Of a probability, kept finite."""
    share = min(max(share, _EDGE), 1 - _EDGE)
    return math.log(share / (1 - share))


def untrainable(
    verdict: Verdict,
    thresholds: Thresholds,
    *,
    answer: str,
    feedback: str,
    edited: bool,
    used_tools: bool,
    flagged: bool,
    opted_out: bool,
) -> Untrainable | None:
    """Why a DSAT verdict's answer should not be trained on, looked at alone; None where it may."""
    if opted_out:
        return Untrainable.OPTED_OUT
    if flagged:
        return Untrainable.FLAGGED
    if verdict.on_a_refusal:
        return Untrainable.REFUSAL_PUSHBACK
    if not answer.strip():
        return Untrainable.BLANK_ANSWER
    if edited:
        return Untrainable.ANSWER_EDITED
    if is_service_error(answer):
        return Untrainable.SERVICE_ERROR
    if used_tools:
        return Untrainable.ANSWER_USED_TOOLS
    if is_venting(feedback):
        return Untrainable.VENTING
    if verdict.probability < thresholds.trainable:
        return Untrainable.BELOW_TRAINABLE_THRESHOLD
    return None
