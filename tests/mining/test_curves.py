import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining import curves, metrics

ROWS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.55, 1.0])), min_size=1)


def columns(rows):
    truth, p = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return truth, p


@given(ROWS)
def test_the_bins_hold_every_row_and_explain_the_error(rows):
    truth, p = columns(rows)
    bins = curves.calibration(truth, p)
    assert sum(b.n for b in bins) == len(rows)
    gap = sum(b.n * abs(b.dsat_rate - b.mean_probability) for b in bins if b.n) / len(rows)
    assert gap == pytest.approx(metrics.ece(truth, p, np.ones(len(rows))), abs=1e-3)
    for b in bins:
        assert b.n == 0 or b.rate_low <= b.dsat_rate <= b.rate_high


def test_wilson():
    assert metrics.wilson(0, 10) == (0.0, 0.2775)
    assert metrics.wilson(5, 10) == (0.2366, 0.7634)


def test_a_histogram():
    assert curves.histogram(np.array([0.0, 0.04, 0.5, 1.0]), bins=4) == (2, 0, 1, 1)
    assert curves.histogram(np.array([]), bins=2) == (0, 0)


@given(ROWS)
def test_the_area_under_the_points_is_the_score(rows):
    truth, p = columns(rows)
    if 0 < truth.sum() < len(rows):
        ones = np.ones(len(rows))
        assert np.trapezoid(*curves.roc(truth, p)[::-1]) == pytest.approx(
            metrics.roc_auc(truth, p, ones)
        )
        recall, precision = curves.precision_recall(truth, p)
        assert np.diff(recall, prepend=0) @ precision == pytest.approx(
            metrics.pr_auc(truth, p, ones)
        )
