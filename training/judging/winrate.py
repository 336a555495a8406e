"""How often one model's answers are preferred to another's. Pure.

Preferences lie in [0, 1]: 1 where the model's answer is better, 0.5 for a tie. Intervals are 95%
percentile bootstrap intervals that draw whole clusters with replacement: what one user says of
several answers is not independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Score = Callable[[Array], float]  # of how often each row was drawn, [n]

# Of the sum of log-losses, and far below what any data say: it gives the fit a single optimum
# also where every preference is the same or all lengths are.
_RIDGE = 1e-4
_STEPS = 100
_CONVERGED = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A share with its 95% interval. NaN: nothing to tell it from, which passes no limit."""

    value: float
    low: float  # NaN, as `high` is, of fewer than two clusters
    high: float
    n: int  # comparisons
    clusters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """A win rate as AlpacaEval gives it."""

    percent: float
    standard_error: float  # percentage points; NaN of fewer than two
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthControlled:
    """What a win rate would be were both answers equally long, as 'LC (minimal)' has it."""

    rate: Interval  # σ(θ), a share
    slope: float  # φ: above 0 where longer answers are preferred, log-odds
    scale: float  # σ: standard deviation of the difference in length, characters


def outcomes(preferences: Sequence[float]) -> list[float]:
    """1 for each win, 0 for each loss, 0.5 for each tie, however clear it was."""
    return [1.0 if p > 0.5 else 0.0 if p < 0.5 else 0.5 for p in preferences]


def win_rate(
    preferences: Sequence[float],
    clusters: Sequence[str],
    *,
    seed: int,
    resamples: int = 1000,
) -> Interval:
    """The mean preference. `clusters`: whose comparison each is, a user say; as long.

    Of few clusters the interval is too narrow; where all prefer the same it has no width at all.
    """
    values = np.asarray(preferences, dtype=np.float64)

    def mean(times: Array) -> float:
        return float(times @ values / times.sum())

    return _bootstrap(mean, clusters, len(values), seed=seed, resamples=resamples)


def alpaca_eval_win_rate(preferences: Sequence[float]) -> WinRate:
    """AlpacaEval's win rate of preferences from 1, the reference, to 2, the model.

    Of p - 1: 100 · mean, and 100 · sample standard deviation / √n. A 0 stands for a tie there.
    """
    values = np.array([0.5 if p == 0 else p - 1 for p in preferences], dtype=np.float64)
    n = len(values)
    return WinRate(
        percent=float(values.mean()) * 100 if n else math.nan,
        standard_error=float(values.std(ddof=1)) * 100 / math.sqrt(n) if n > 1 else math.nan,
        n=n,
    )


def length_controlled(
    preferences: Sequence[float],
    lengths: Sequence[int],
    reference_lengths: Sequence[int],
    clusters: Sequence[str],
    *,
    seed: int,
    resamples: int = 1000,
) -> LengthControlled:
    """'LC (minimal)': logit P = θ + φ·tanh(Δ/σ), fitted to the preferences; σ(θ) is the rate.

    Δ is the model's length less the reference's, characters; σ its sample standard deviation.
    After Dubois et al. 2024, arXiv:2404.04475, without their difficulty of each instruction and
    without the pull towards a baseline, for which a table of theirs is needed: another figure
    than AlpacaEval's length-controlled win rate, and no estimate of it.
    """
    values = np.asarray(preferences, dtype=np.float64)
    gaps = np.asarray(lengths, dtype=np.float64) - np.asarray(reference_lengths, dtype=np.float64)
    n = len(values)
    scale = float(gaps.std(ddof=1)) if n > 1 else 0.0
    columns = np.column_stack([np.ones(n), np.tanh(gaps / scale if scale else gaps * 0)])
    # Each resample is fitted from where the whole is: it lies near.
    start = _fit(columns, values, np.ones(n), np.zeros(2))

    def rate(times: Array) -> float:
        return _sigmoid(float(_fit(columns, values, times, start)[0]))

    return LengthControlled(
        rate=_bootstrap(rate, clusters, n, seed=seed, resamples=resamples),
        slope=float(start[1]) if n else math.nan,
        scale=scale,
    )


def _bootstrap(
    score: Score, clusters: Sequence[str], n: int, *, seed: int, resamples: int
) -> Interval:
    if len(clusters) != n:
        raise ValueError(f"{n} preferences of {len(clusters)} clusters: one each is needed")
    _, cluster = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    count = int(cluster.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples if count > 1 else 0):
        times = np.bincount(random.integers(count, size=count), minlength=count)
        drawn.append(score(times[cluster].astype(np.float64)))
    low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (math.nan, math.nan)
    value = score(np.ones(n)) if n else math.nan
    return Interval(value=value, low=float(low), high=float(high), n=n, clusters=count)


def _fit(columns: Array, values: Array, weights: Array, start: Array) -> Array:
    """The logistic regression of `values` in [0, 1] on `columns`, by Newton's method.

    columns: [n, 2]; weights: [n]. Steps are halved until the loss falls, so it cannot diverge.
    """
    found, loss = start, _loss(columns, values, weights, start)
    for _ in range(_STEPS):
        told = _sigmoids(columns @ found)
        slope = columns.T @ (weights * (told - values)) + _RIDGE * found
        curve = (columns.T * (weights * told * (1 - told))) @ columns + _RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        while (next_loss := _loss(columns, values, weights, found - step)) > loss:
            step = step / 2
            if np.abs(step).max() < _CONVERGED:
                return found
        found, loss = found - step, next_loss
        if np.abs(step).max() < _CONVERGED:
            return found
    return found


def _loss(columns: Array, values: Array, weights: Array, at: Array) -> float:
    odds = columns @ at
    each = np.logaddexp(0, odds) - values * odds
    return float(weights @ each + _RIDGE * (at @ at) / 2)


def _sigmoids(odds: Array) -> Array:
    return np.exp(-np.logaddexp(0, -odds))


def _sigmoid(odds: float) -> float:
    return float(_sigmoids(np.array([odds]))[0])
