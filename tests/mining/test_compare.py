"""Two detectors side by side: figures that were counted by hand."""

import datetime as dt

import pytest

from mining.compare import Judged, compare
from mining.evaluate import MOST_PARTS
from mining.metrics import wilson
from warehouse.records import Category

NIGHT = dt.date(2026, 11, 20)


def judged(i: int, category: Category, p: float = 0.5, **fields) -> Judged:
    known = {
        "log_date": NIGHT, "turn_id": f"turn-{i}", "conversation_id": f"c-{i}",
        "answer_turn_id": f"answer-{i}", "trainable": False, "model": "m", "language": "en",
    }  # fmt: skip
    return Judged(**known | fields, category=category, probability=p)


A = [
    judged(1, Category.COMPLAINT, 0.9, trainable=True), judged(2, Category.CORRECTION, 0.6),
    judged(3, Category.SAT, 0.1, language=None), judged(4, Category.NEUTRAL, 0.2),
    judged(5, Category.NEUTRAL, 0.3),
]  # fmt: skip
B = [
    judged(1, Category.CORRECTION, 0.8, trainable=True), judged(2, Category.NEUTRAL, 0.3),
    judged(3, Category.CHALLENGE, 0.7, language=None, trainable=True),
    judged(4, Category.REFINEMENT, 0.95), judged(6, Category.SAT),
    judged(1, Category.SAT, log_date=NIGHT + dt.timedelta(days=1)),
]  # fmt: skip


def test_counts_and_rates() -> None:
    found = compare(A, B, examples=5, seed=0)
    assert (found.n, found.only_in_a, found.only_in_b) == (4, 1, 2)
    assert (found.all.a.dsat, found.all.b.dsat) == (2, 3)
    assert (found.all.a.rate, found.all.b.rate) == (0.5, 0.75)
    assert (found.all.a.low, found.all.a.high) == wilson(2, 4)
    assert (found.all.a.trainable, found.all.b.trainable) == (1, 2)
    assert found.signals["dsat"] == {"dsat": 1, "sat": 0, "neutral": 1}
    assert found.categories["complaint"]["correction"] == 1
    assert sum(sum(row.values()) for row in found.categories.values()) == 4
    assert {name: both.n for name, both in found.by_language.items()} == {"en": 3, "unknown": 1}
    # Of DSAT or not: 1 of 4 agree, by chance 2/4 * 3/4 + 2/4 * 1/4 = 1/2.
    assert found.agreement_dsat.value == 0.25
    assert found.kappa_dsat.value == pytest.approx((0.25 - 0.5) / 0.5)


def test_changes_in_both_directions_the_widest_first() -> None:
    found = compare(A, B, examples=5, seed=0)
    assert [one.turn_id for one in found.only_a] == ["turn-2"]
    assert [one.turn_id for one in found.only_b] == ["turn-4", "turn-3"]
    assert (found.only_b[0].probability_a, found.only_b[0].probability_b) == (0.2, 0.95)
    few = compare(A, B, examples=1, seed=0)
    assert ([one.turn_id for one in few.only_b], few.dsat_in_b) == (["turn-4"], 2)


def test_nothing_in_common() -> None:
    found = compare(A[:1], B[1:2], examples=5, seed=0)
    assert (found.n, found.all.a.rate, found.kappa.value) == (0, None, None)


def test_the_largest_parts_are_told_apart() -> None:
    rows = [judged(i, Category.SAT, model=f"m{i:02}") for i in range(MOST_PARTS + 3)]
    found = compare(rows, rows, examples=0, seed=0).by_model
    assert len(found) == MOST_PARTS + 1
    assert found["other"].n == 3
