"""How far two sets of labels of the same follow-ups agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from mining import metrics
from mining.evaluate import RESAMPLES
from mining.labelled import Label, read_labels
from mining.metrics import Codes, Interval
from warehouse.errors import SettingsError
from warehouse.records import Category, SignalKind

_ORDER = tuple(Category)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Two annotators, matched by id. Intervals are 95%, bootstrapped by conversation."""

    n: int  # follow-ups that both give a category: of these `kappa`, `agreement`, `confusion`
    n_dsat: int  # follow-ups that both give a signal: of these the two for DSAT against the rest
    only_in_a: int  # ids
    only_in_b: int
    unlabelled: int  # in both, but one of them gives no signal
    scores: dict[str, Interval]  # kappa, agreement, kappa_dsat, agreement_dsat
    confusion: dict[str, dict[str, int]]  # label of A -> label of B -> follow-ups


Pair = tuple[Label, Label]


def agree(a: Path, b: Path, *, seed: int = 0, resamples: int = RESAMPLES) -> Agreement:
    """Cohen's kappa of two label files, over the seven categories and over DSAT or not.

    Raises SourceUnavailable; SettingsError where a file cannot be used, or they share nothing.
    """
    first, second = _by_id(a), _by_id(b)
    shared = [(label, second[name]) for name, label in first.items() if name in second]
    named = [(x, y) for x, y in shared if x.category is not None and y.category is not None]
    judged = [(x, y) for x, y in shared if x.signal is not None and y.signal is not None]
    if not judged and not named:
        raise SettingsError(
            f"{a} and {b}: {len(shared):,} follow-ups have the same id, and none of them is "
            "labelled in both. Name two files with labels of the same follow-ups."
        )
    scores = _scores(named, _categories(named), "", seed=seed, resamples=resamples)
    scores |= _scores(judged, _signals(judged), "_dsat", seed=seed, resamples=resamples)
    return Agreement(
        n=len(named),
        n_dsat=len(judged),
        only_in_a=len(first) - len(shared),
        only_in_b=len(second) - len(shared),
        unlabelled=len(shared) - len(judged),
        scores=scores,
        confusion={
            str(one): {str(other): _count(named, one, other) for other in Category}
            for one in Category
        },
    )


def _by_id(path: Path) -> dict[str, Label]:
    found: dict[str, Label] = {}
    for label in read_labels(path):
        if label.id in found:
            raise SettingsError(
                f"{path}: the id {label.id} comes twice, so labels cannot be matched by it. "
                "Leave one row an id."
            )
        found[label.id] = label
    return found


def _categories(pairs: Sequence[Pair]) -> tuple[Codes, Codes]:
    codes = [[_ORDER.index(side.category) for side in pair if side.category] for pair in pairs]
    return _columns(codes)


def _signals(pairs: Sequence[Pair]) -> tuple[Codes, Codes]:
    return _columns([[int(side.signal is SignalKind.DSAT) for side in pair] for pair in pairs])


def _columns(codes: Sequence[Sequence[int]]) -> tuple[Codes, Codes]:
    one, other = np.array(codes, dtype=np.int64).reshape(-1, 2).T
    return one, other


def _scores(
    pairs: Sequence[Pair], codes: tuple[Codes, Codes], of: str, *, seed: int, resamples: int
) -> dict[str, Interval]:
    one, other = codes
    same = (one == other).astype(np.float64)
    everything = np.ones(len(same))
    return metrics.bootstrap(
        {
            f"kappa{of}": lambda weight: metrics.kappa(one, other, weight),
            f"agreement{of}": lambda weight: metrics.recall(everything, same, weight),
        },
        [a.group for a, _ in pairs],
        resamples=resamples,
        seed=seed,
    )


def _count(pairs: Sequence[Pair], one: Category, other: Category) -> int:
    return sum(a.category is one and b.category is other for a, b in pairs)
