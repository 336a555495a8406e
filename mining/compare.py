"""Two detectors on the same follow-ups: how often each says DSAT, and where they differ."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec
import numpy as np

from mining import metrics
from mining.evaluate import MOST_PARTS, OTHER, RESAMPLES, UNKNOWN
from mining.metrics import Interval
from warehouse.records import Category, SignalKind

_ORDER = tuple(Category)
# Rows that the bootstrap draws, all in all: of many follow-ups fewer resamples say as much.
_DRAWN = 50_000_000


class Judged(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a detector says of one follow-up."""

    log_date: dt.date
    turn_id: str
    conversation_id: str
    answer_turn_id: str
    category: Category
    probability: float
    trainable: bool
    model: str | None
    language: str | None


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How often one detector says DSAT. The interval is Wilson's, 95%."""

    dsat: int
    rate: float | None  # None: no follow-ups
    low: float | None
    high: float | None
    trainable: int


class Both(msgspec.Struct, frozen=True, kw_only=True):
    """Both detectors on some of the follow-ups."""

    n: int
    a: Rate
    b: Rate


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A follow-up that one of the two calls DSAT."""

    log_date: dt.date
    turn_id: str
    conversation_id: str
    answer_turn_id: str
    category_a: Category
    category_b: Category
    probability_a: float
    probability_b: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two detectors on the follow-ups that both have judged."""

    n: int
    only_in_a: int  # follow-ups that the other has not judged
    only_in_b: int
    all: Both
    kappa: Interval  # over the seven categories; intervals are 95%, by conversation
    agreement: Interval
    kappa_dsat: Interval
    agreement_dsat: Interval
    signals: dict[str, dict[str, int]]  # of A -> of B -> follow-ups
    categories: dict[str, dict[str, int]]
    by_model: dict[str, Both]
    by_language: dict[str, Both]
    dsat_in_a: int  # and not in B
    dsat_in_b: int
    only_a: tuple[Change, ...]  # DSAT by A alone, those with the widest gap first
    only_b: tuple[Change, ...]


Pair = tuple[Judged, Judged]


def compare(a: Iterable[Judged], b: Iterable[Judged], *, examples: int, seed: int) -> Comparison:
    """Compare what two detectors say; `examples`: at most so many changes each way."""
    first, second = _by_turn(a), _by_turn(b)
    pairs = [(one, second[turn]) for turn, one in sorted(first.items()) if turn in second]
    only_a = [pair for pair in pairs if _is_dsat(pair[0]) and not _is_dsat(pair[1])]
    only_b = [pair for pair in pairs if _is_dsat(pair[1]) and not _is_dsat(pair[0])]
    scores = _scores(pairs, seed)
    return Comparison(
        n=len(pairs),
        only_in_a=len(first) - len(pairs),
        only_in_b=len(second) - len(pairs),
        all=_both(pairs),
        kappa=scores["kappa"],
        agreement=scores["agreement"],
        kappa_dsat=scores["kappa_dsat"],
        agreement_dsat=scores["agreement_dsat"],
        signals=_crossed(pairs, tuple(SignalKind), lambda one: one.category.signal),
        categories=_crossed(pairs, _ORDER, lambda one: one.category),
        by_model=_split(pairs, lambda one: one.model),
        by_language=_split(pairs, lambda one: one.language),
        dsat_in_a=len(only_a),
        dsat_in_b=len(only_b),
        only_a=_widest(only_a, examples),
        only_b=_widest(only_b, examples),
    )


def _by_turn(judged: Iterable[Judged]) -> dict[tuple[dt.date, str], Judged]:
    return {(one.log_date, one.turn_id): one for one in judged}


def _is_dsat(one: Judged) -> bool:
    return one.category.signal is SignalKind.DSAT


def _both(pairs: Sequence[Pair]) -> Both:
    return Both(
        n=len(pairs), a=_rate([one for one, _ in pairs]), b=_rate([one for _, one in pairs])
    )


def _rate(judged: Sequence[Judged]) -> Rate:
    n, dsat = len(judged), sum(map(_is_dsat, judged))
    low, high = metrics.wilson(dsat, n) if n else (None, None)
    return Rate(
        dsat=dsat,
        rate=round(dsat / n, 4) if n else None,
        low=low,
        high=high,
        trainable=sum(one.trainable for one in judged),
    )


def _scores(pairs: Sequence[Pair], seed: int) -> dict[str, Interval]:
    codes = [[_ORDER.index(side.category) for side in pair] for pair in pairs]
    dsat = [[int(_is_dsat(side)) for side in pair] for pair in pairs]
    scores: dict[str, metrics.Score] = {}
    for suffix, rows in (("", codes), ("_dsat", dsat)):
        one, other = np.array(rows, dtype=np.int64).reshape(-1, 2).T
        same = (one == other).astype(np.float64)
        scores[f"kappa{suffix}"] = partial(metrics.kappa, one, other)
        scores[f"agreement{suffix}"] = partial(metrics.recall, np.ones(len(pairs)), same)
    resamples = min(RESAMPLES, max(100, _DRAWN // max(len(pairs), 1)))
    groups = [one.conversation_id for one, _ in pairs]
    return metrics.bootstrap(scores, groups, resamples=resamples, seed=seed)


def _crossed(
    pairs: Sequence[Pair], names: Sequence[str], of: Callable[[Judged], str]
) -> dict[str, dict[str, int]]:
    counts = Counter((of(one), of(other)) for one, other in pairs)
    return {str(row): {str(column): counts[row, column] for column in names} for row in names}


def _split(pairs: Sequence[Pair], of: Callable[[Judged], str | None]) -> dict[str, Both]:
    """By what the follow-ups are of, the largest parts first."""
    parts: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        parts[of(pair[0]) or UNKNOWN].append(pair)
    names = sorted(parts, key=lambda name: (-len(parts[name]), name))
    found = {name: _both(parts[name]) for name in names[:MOST_PARTS]}
    if len(names) > MOST_PARTS:
        found[OTHER] = _both([pair for name in names[MOST_PARTS:] for pair in parts[name]])
    return found


def _widest(pairs: Sequence[Pair], most: int) -> tuple[Change, ...]:
    def gap(pair: Pair) -> tuple[float, dt.date, str]:
        one, other = pair
        return -abs(one.probability - other.probability), one.log_date, one.turn_id

    return tuple(
        Change(
            log_date=one.log_date,
            turn_id=one.turn_id,
            conversation_id=one.conversation_id,
            answer_turn_id=one.answer_turn_id,
            category_a=one.category,
            category_b=other.category,
            probability_a=round(one.probability, 4),
            probability_b=round(other.probability, 4),
        )
        for one, other in sorted(pairs, key=gap)[:most]
    )
