"""The points that plots of a detector are drawn from. `truth`, `p`: as in `metrics`."""

from __future__ import annotations

import msgspec
import numpy as np

from mining.metrics import Array, bin_of, wilson

HISTOGRAM_BINS = 20


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose probability lies in [low, high). An empty bin has neither mean nor rate."""

    low: float
    high: float
    n: int
    mean_probability: float | None
    dsat_rate: float | None  # the share that is DSAT by label
    rate_low: float | None  # 95% Wilson interval: a bootstrap of three rows has no width
    rate_high: float | None


def calibration(truth: Array, p: Array, bins: int = 10) -> tuple[Bin, ...]:
    """Reliability by bins of equal width, the same as in `metrics.ece`."""
    place = bin_of(p, bins)
    found = []
    for index in range(bins):
        inside = place == index
        n, hits = int(inside.sum()), float(truth[inside].sum())
        low, high = wilson(hits, n) if n else (None, None)
        found.append(
            Bin(
                low=index / bins,
                high=(index + 1) / bins,
                n=n,
                mean_probability=round(float(p[inside].mean()), 4) if n else None,
                dsat_rate=round(hits / n, 4) if n else None,
                rate_low=low,
                rate_high=high,
            )
        )
    return tuple(found)


def histogram(p: Array, bins: int = HISTOGRAM_BINS) -> tuple[int, ...]:
    """How many rows fall into each bin of equal width."""
    return tuple(np.bincount(bin_of(p, bins), minlength=bins).tolist())


def precision_recall(truth: Array, p: Array) -> tuple[Array, Array]:
    """Recall and precision at each threshold, from the highest on. Needs a positive."""
    hits, called = _cumulated(truth, p)
    return hits / hits[-1], hits / called


def roc(truth: Array, p: Array) -> tuple[Array, Array]:
    """False and true positive rate, from (0, 0) to (1, 1). Needs rows of both kinds."""
    hits, called = _cumulated(truth, p)
    false = called - hits
    return np.append(0.0, false / false[-1]), np.append(0.0, hits / hits[-1])


def _cumulated(truth: Array, p: Array) -> tuple[Array, Array]:
    """Positives and rows at or above each different probability, from the highest down."""
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)  # rows that tie come together
    return hits[last], (last + 1).astype(np.float64)
