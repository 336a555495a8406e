import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining import metrics

ONES = np.ones(4)
TRUTH = np.array([1.0, 1.0, 0.0, 0.0])
AUC = {
    "perfect": ([0.9, 0.8, 0.2, 0.1], 1.0),
    "reversed": ([0.1, 0.2, 0.8, 0.9], 0.0),
    "all tied": ([0.5, 0.5, 0.5, 0.5], 0.5),
    "one wrong pair of four": ([0.9, 0.3, 0.4, 0.1], 0.75),
}
PR_AUC = {
    "perfect": ([0.9, 0.8, 0.2, 0.1], 1.0),
    "reversed": ([0.1, 0.2, 0.8, 0.9], (1 / 3 + 2 / 4) / 2),
    "all tied": ([0.5, 0.5, 0.5, 0.5], 0.5),
    "one wrong pair of four": ([0.9, 0.3, 0.4, 0.1], (1 + 2 / 3) / 2),
}
KAPPA = {
    "in everything": ([0, 1, 2, 2], [0, 1, 2, 2], 1.0),
    "as by chance": ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
    "never": ([0, 0, 1, 1], [1, 1, 0, 0], -1.0),
    "Cohen's: 0.7 seen, 0.5 by chance": (
        [1] * 25 + [0] * 25,
        [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15,
        0.4,
    ),
    "one says one thing": ([0, 0, 0, 0], [0, 0, 1, 1], 0.0),
}
ECE = {
    "calibrated": ([1.0, 1.0, 0.0, 0.0], 0.0),
    "always sure, half right": ([1.0, 1.0, 1.0, 1.0], 0.5),
    "half, half right": ([0.5, 0.5, 0.5, 0.5], 0.0),
}


@pytest.mark.parametrize("p, value", AUC.values(), ids=AUC)
def test_roc_auc(p, value):
    assert metrics.roc_auc(TRUTH, np.array(p), ONES) == pytest.approx(value)


@pytest.mark.parametrize("p, value", ECE.values(), ids=ECE)
def test_ece(p, value):
    assert metrics.ece(TRUTH, np.array(p), ONES) == pytest.approx(value)


@pytest.mark.parametrize("p, value", PR_AUC.values(), ids=PR_AUC)
def test_pr_auc(p, value):
    assert metrics.pr_auc(TRUTH, np.array(p), ONES) == pytest.approx(value)


@pytest.mark.parametrize("one, other, value", KAPPA.values(), ids=KAPPA)
def test_kappa(one, other, value):
    found = metrics.kappa(np.array(one), np.array(other), np.ones(len(one)))
    assert found == pytest.approx(value)


def test_kappa_of_raters_who_cannot_differ():
    same = np.zeros(4, dtype=np.int64)
    assert math.isnan(metrics.kappa(same, same, ONES))
    assert math.isnan(metrics.kappa(same[:0], same[:0], ONES[:0]))


def test_precision_recall_f1():
    called = np.array([1.0, 0.0, 1.0, 0.0])
    assert metrics.precision(TRUTH, called, ONES) == 0.5
    assert metrics.recall(TRUTH, called, ONES) == 0.5
    assert metrics.f1(TRUTH, called, ONES) == 0.5
    assert math.isnan(metrics.precision(TRUTH, np.zeros(4), ONES))


def test_what_needs_positives_or_both_kinds_is_undefined_without():
    none, p = np.zeros(4), np.array([0.1, 0.2, 0.3, 0.4])
    for score in (metrics.recall, metrics.f1, metrics.pr_auc, metrics.roc_auc):
        assert math.isnan(score(none, p, ONES))
        assert math.isnan(score(none[:0], p[:0], ONES[:0]))
    for score in (metrics.pr_auc, metrics.roc_auc):
        assert math.isnan(score(ONES, p, ONES))


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.4, 0.5, 0.9])), min_size=2),
    st.integers(0, 3),
)
def test_a_weight_is_a_repetition(rows, times):
    truth, p = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    weight = np.ones(len(rows))
    weight[0] = times
    repeated = np.repeat(np.arange(len(rows)), weight.astype(int))
    for score in (metrics.roc_auc, metrics.pr_auc, metrics.ece):
        expected = score(truth[repeated], p[repeated], np.ones(len(repeated)))
        assert score(truth, p, weight) == pytest.approx(expected, nan_ok=True)


def test_bootstrap_draws_whole_groups():
    truth = np.array([1.0] * 50 + [0.0] * 50)
    scores = {"share": lambda weight: metrics.precision(truth, np.ones(100), weight)}
    by_row = metrics.bootstrap(scores, [str(i) for i in range(100)], resamples=200, seed=0)
    by_half = metrics.bootstrap(scores, ["a"] * 50 + ["b"] * 50, resamples=200, seed=0)
    assert by_row["share"].value == by_half["share"].value == 0.5
    assert (by_half["share"].low, by_half["share"].high) == (0.0, 1.0)
    assert 0.35 < by_row["share"].low < 0.5 < by_row["share"].high < 0.65


def test_bootstrap_of_an_undefined_score():
    scores = {"recall": lambda weight: metrics.recall(np.zeros(3), np.ones(3), weight)}
    found = metrics.bootstrap(scores, ["a", "b", "c"], resamples=5, seed=0)
    assert found["recall"] == metrics.Interval(None, None, None)


def test_bootstrap_of_one_group():
    scores = {"recall": lambda weight: metrics.recall(TRUTH, TRUTH, weight)}
    found = metrics.bootstrap(scores, ["a"] * 4, resamples=5, seed=0)
    assert found["recall"] == metrics.Interval(1.0, None, None)


def test_scores_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics", reason="needs the extra `detector`")
    random = np.random.default_rng(0)
    truth, p = random.integers(2, size=200).astype(float), random.integers(20, size=200) / 20
    ours, theirs = random.integers(7, size=(2, 200))
    ones = np.ones(200)
    expected = {
        metrics.roc_auc(truth, p, ones): sklearn.roc_auc_score(truth, p),
        metrics.pr_auc(truth, p, ones): sklearn.average_precision_score(truth, p),
        metrics.kappa(ours, theirs, ones): sklearn.cohen_kappa_score(ours, theirs),
    }
    assert list(expected) == pytest.approx(list(expected.values()))
