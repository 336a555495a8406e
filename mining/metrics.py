"""Scores of probabilistic predictions, with weights so that a bootstrap can reuse them.

`truth`: bool [n]. `p`: probabilities [n]. `weight`: how often each row counts, [n]. A score that
is undefined (no positives, say) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

BINS = 10
Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Score = Callable[[Array], float]  # of row weights


class Interval(msgspec.Struct, frozen=True):
    """A score and its 95% bootstrap interval."""

    value: float | None  # None: undefined
    low: float | None  # None, as is `high`: nothing to draw it from
    high: float | None


def precision(truth: Array, called: Array, weight: Array) -> float:
    """Of what was called positive, the share that is. `called`: 0 or 1, [n]."""
    return _ratio(weight @ (truth * called), weight @ called)


def recall(truth: Array, called: Array, weight: Array) -> float:
    """Of the positives, the share that was called so."""
    return _ratio(weight @ (truth * called), weight @ truth)


def f1(truth: Array, called: Array, weight: Array) -> float:
    """Harmonic mean of precision and recall; without positives there is no recall to mean."""
    positives = weight @ truth
    return _ratio(2 * (weight @ (truth * called)), positives and positives + weight @ called)


def roc_auc(truth: Array, p: Array, weight: Array) -> float:
    """The chance that a positive has a higher `p` than a negative; ties count half."""
    return roc_auc_of(truth, p)(weight)


def pr_auc(truth: Array, p: Array, weight: Array) -> float:
    """Area under the precision-recall curve by steps, also called average precision.

    No straight lines between the points: they flatter. Davis and Goadrich 2006,
    doi:10.1145/1143844.1143874. Undefined, as `roc_auc` is, without rows of both kinds.
    """
    return pr_auc_of(truth, p)(weight)


def ece(truth: Array, p: Array, weight: Array, bins: int = BINS) -> float:
    """Expected calibration error: mean |share of positives - mean p| over bins of equal width.

    Guo et al. 2017, arXiv:1706.04599.
    """
    place = bin_of(p, bins)
    gap = np.bincount(place, weights=weight * (truth - p), minlength=bins)
    return _ratio(np.abs(gap).sum(), weight.sum())


def bin_of(p: Array, bins: int = BINS) -> npt.NDArray[np.int64]:
    """The bin of equal width in [0, 1] that each probability falls into; 1 into the last."""
    return np.minimum((p * bins).astype(np.int64), bins - 1)


def kappa(one: Codes, other: Codes, weight: Array) -> float:
    """Agreement beyond chance of two raters: codes from 0, [n].

    Cohen 1960, doi:10.1177/001316446002000104. Undefined where both say one thing only.
    """
    size = int(max(one.max(initial=-1), other.max(initial=-1))) + 1
    joint = np.bincount(one * size + other, weights=weight, minlength=size * size)
    joint = joint.reshape(size, size)
    total = joint.sum()
    by_chance = joint.sum(axis=1) @ joint.sum(axis=0)  # times total², as the next two
    return _ratio(total * np.trace(joint) - by_chance, total**2 - by_chance)


def roc_auc_of(truth: Array, p: Array) -> Score:
    """`roc_auc` as a function of the weights alone: a bootstrap sorts once."""
    _, place = np.unique(p, return_inverse=True)

    def score(weight: Array) -> float:
        positive = np.bincount(place, weights=truth * weight)
        negative = np.bincount(place, weights=(1 - truth) * weight)
        below = np.cumsum(negative) - negative
        return _ratio(positive @ (below + negative / 2), positive.sum() * negative.sum())

    return score


def pr_auc_of(truth: Array, p: Array) -> Score:
    """`pr_auc` as a function of the weights alone."""
    _, place = np.unique(-p, return_inverse=True)

    def score(weight: Array) -> float:
        positive = np.bincount(place, weights=truth * weight)
        hits = np.cumsum(positive)
        called = np.cumsum(np.bincount(place, weights=weight))
        negatives = called[-1:].sum() - positive.sum()
        area = positive @ (hits / np.maximum(called, 1e-300))
        return _ratio(area, negatives and positive.sum())

    return score


def wilson(hits: float, n: int) -> tuple[float, float]:
    """95% score interval of a share, n > 0. E. B. Wilson, JASA 22, 1927, p. 209."""
    z = 1.959964
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(hits * (n - hits) / n + z**2 / 4)
    return round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)


def bootstrap(
    scores: Mapping[str, Score], groups: Sequence[str], *, resamples: int, seed: int
) -> dict[str, Interval]:
    """95% percentile intervals, drawing whole groups with replacement.

    Of fewer than two groups there is nothing to draw: no bounds.
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    count = int(group.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(resamples if count > 1 else 0):
        times = np.bincount(random.integers(count, size=count), minlength=count)
        weight = times[group].astype(np.float64)
        for name, score in scores.items():
            drawn[name].append(score(weight))
    everything = np.ones(len(groups))
    return {
        name: _interval(score(everything), np.array(drawn[name])) for name, score in scores.items()
    }


def _interval(value: float, drawn: Array) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value):
        return Interval(None, None, None)
    if len(drawn) == 0:
        return Interval(round(value, 4), None, None)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(round(value, 4), round(float(low), 4), round(float(high), 4))


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole > 0 else float("nan")
