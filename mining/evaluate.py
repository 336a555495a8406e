"""How well a detector does on labelled follow-ups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from mining import curves, metrics
from mining.card import Thresholds
from mining.curves import Bin
from mining.detector import Detector
from mining.labelled import Labelled
from mining.metrics import Interval, Score
from mining.scored import Judged, Mistake, Scored, mistakes, probabilities, score, truth
from warehouse.records import Category, SignalKind

RESAMPLES = 1000
MOST_PARTS = 20  # languages or sources that get scores of their own
UNKNOWN, OTHER = "unknown", "other"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of some of the rows."""

    n: int
    dsat: int | None  # that are DSAT by label; None without labels
    scores: dict[str, Interval]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Scores on one set. Intervals are 95%, bootstrapped by conversation.

    Without any label only the rates of what was called are scores, and what compares with labels
    is empty.
    """

    detector: str
    detector_version: str
    thresholds: Thresholds
    rows: int  # in the file
    n: int  # that the scores are of: those with a signal, or all where none has one
    left_out: int  # the others: annotators differ
    labelled: bool
    dsat: int | None  # rows that are DSAT by label
    groups: int  # conversations, or minimal sets
    scores: dict[str, Interval]  # of DSAT against the rest
    by_category: dict[str, Part]  # of each category against the rest
    by_language: dict[str, Part]  # as `scores`; empty where no row names one; as the next two
    by_source: dict[str, Part]
    by_hard: dict[str, Part]
    called: dict[str, int]  # rows that the detector calls so, by category
    confusion: dict[str, dict[str, int]]  # label -> called -> rows
    calibration: tuple[Bin, ...]
    histogram: dict[str, tuple[int, ...]]  # by signal of the label, or "all"
    mistakes: tuple[Mistake, ...]  # the surest first


def evaluate(
    detector: Detector, rows: Sequence[Labelled], *, seed: int, resamples: int = RESAMPLES
) -> Evaluation:
    """Score a detector. Rows without a signal are left out."""
    return measure(score(detector, rows), seed=seed, resamples=resamples)


def measure(scored: Scored, *, seed: int, resamples: int = RESAMPLES) -> Evaluation:
    """The scores of verdicts that there are already."""
    labelled = scored.labelled
    kept = scored.measured()

    def part(some: Sequence[Judged], scores: Callable[..., dict[str, Score]]) -> Part:
        groups = [row.group for row, _ in some]
        found = metrics.bootstrap(scores(some), groups, resamples=resamples, seed=seed)
        return Part(n=len(some), dsat=int(truth(some).sum()) if labelled else None, scores=found)

    def overall(some: Sequence[Judged]) -> dict[str, Score]:
        scores = _against_labels(some, scored.thresholds) if labelled else {}
        return scores | _rates(some, scored.thresholds)

    def by(key: Callable[[Labelled], str | None]) -> dict[str, Part]:
        return {name: part(some, overall) for name, some in _split(kept, key).items()}

    everything = part(kept, overall)
    named = [(row, verdict) for row, verdict in kept if row.category is not None]
    return Evaluation(
        detector=scored.detector,
        detector_version=scored.version,
        thresholds=scored.thresholds,
        rows=len(scored.rows),
        n=everything.n,
        left_out=len(scored.rows) - everything.n,
        labelled=labelled,
        dsat=everything.dsat,
        groups=len({row.group for row, _ in kept}),
        scores=everything.scores,
        by_category=_by_category(named, part) if labelled else {},
        by_language=by(lambda row: row.follow_up.language),
        by_source=by(lambda row: row.source),
        by_hard=by(_hardness),
        called=_counted(verdict.category for _, verdict in kept),
        confusion=_confusion(named) if labelled else {},
        calibration=curves.calibration(truth(kept), probabilities(kept)) if labelled else (),
        histogram=_histograms(kept) if labelled else {"all": curves.histogram(probabilities(kept))},
        mistakes=mistakes(kept) if labelled else (),
    )


def _rates(some: Sequence[Judged], thresholds: Thresholds) -> dict[str, Score]:
    everything, called = np.ones(len(some)), _called(some)
    sure = _sure(some, thresholds)
    return {
        "dsat_rate": lambda weight: metrics.recall(everything, called, weight),
        "rate_at_trainable": lambda weight: metrics.recall(everything, sure, weight),
    }


def _against_labels(some: Sequence[Judged], thresholds: Thresholds) -> dict[str, Score]:
    y, p, called = truth(some), probabilities(some), _called(some)
    sure = _sure(some, thresholds)
    return {
        "precision": lambda weight: metrics.precision(y, called, weight),
        "recall": lambda weight: metrics.recall(y, called, weight),
        "f1": lambda weight: metrics.f1(y, called, weight),
        "pr_auc": metrics.pr_auc_of(y, p),
        "roc_auc": metrics.roc_auc_of(y, p),
        "ece": lambda weight: metrics.ece(y, p, weight),
        "precision_at_trainable": lambda weight: metrics.precision(y, sure, weight),
        "recall_at_trainable": lambda weight: metrics.recall(y, sure, weight),
    }


def _by_category(named: Sequence[Judged], part: Callable[..., Part]) -> dict[str, Part]:
    found = {}
    for category in Category:
        whole = part(named, lambda some, c=category: _category_scores(some, c))
        n = sum(row.category is category for row, _ in named)
        dsat = n if category.signal is SignalKind.DSAT else 0
        found[str(category)] = msgspec.structs.replace(whole, n=n, dsat=dsat)
    return found


def _category_scores(some: Sequence[Judged], category: Category) -> dict[str, Score]:
    """How well the category itself is called, and how well P(DSAT) tells its rows.

    The areas are of its rows against those of the other side: DSAT, or not. A detector gives no
    probability of one category, so there is no calibration of it.
    """
    own = np.array([row.category is category for row, _ in some], dtype=np.float64)
    called = np.array([verdict.category is category for _, verdict in some], dtype=np.float64)
    dsat = _called(some)
    positive = category.signal is SignalKind.DSAT
    beside = np.flatnonzero((own == 1) | (truth(some) != positive))
    p = probabilities(some)[beside]
    roc_auc = metrics.roc_auc_of(own[beside], p if positive else 1 - p)
    pr_auc = metrics.pr_auc_of(own[beside], p if positive else 1 - p)
    return {
        "precision": lambda weight: metrics.precision(own, called, weight),
        "recall": lambda weight: metrics.recall(own, called, weight),
        "f1": lambda weight: metrics.f1(own, called, weight),
        "pr_auc": lambda weight: pr_auc(weight[beside]),
        "roc_auc": lambda weight: roc_auc(weight[beside]),
        "called_dsat": lambda weight: metrics.recall(own, dsat, weight),
    }


def _called(some: Sequence[Judged]) -> metrics.Array:
    return np.array([verdict.signal is SignalKind.DSAT for _, verdict in some], dtype=np.float64)


def _sure(some: Sequence[Judged], thresholds: Thresholds) -> metrics.Array:
    return (probabilities(some) >= thresholds.trainable).astype(np.float64)


def _hardness(row: Labelled) -> str | None:
    return None if row.hard is None else ("hard" if row.hard else "not_hard")


def _split(
    kept: Sequence[Judged], key: Callable[[Labelled], str | None]
) -> dict[str, list[Judged]]:
    """Rows by key, the largest part first; {} where no row has one."""
    sizes = Counter(key(row) for row, _ in kept)
    if not sizes.keys() - {None}:
        return {}
    names = {name: name or UNKNOWN for name, _ in sizes.most_common(MOST_PARTS)}
    parts: dict[str, list[Judged]] = {name: [] for name in names.values()}
    for row, verdict in kept:
        parts.setdefault(names.get(key(row), OTHER), []).append((row, verdict))
    return parts


def _counted(found: Iterable[Category]) -> dict[str, int]:
    counts = Counter(found)
    return {str(category): counts[category] for category in Category}


def _confusion(named: Sequence[Judged]) -> dict[str, dict[str, int]]:
    return {
        str(label): _counted(v.category for row, v in named if row.category is label)
        for label in Category
    }


def _histograms(kept: Sequence[Judged]) -> dict[str, tuple[int, ...]]:
    return {
        str(signal): curves.histogram(
            probabilities([(row, verdict) for row, verdict in kept if row.signal is signal])
        )
        for signal in SignalKind
    }
