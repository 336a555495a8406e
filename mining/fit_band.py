"""What a second stage is worth: how to weigh what it says, when to ask it, what quantizing costs.

All arrays are of the n training rows, by models that have not seen the row's group.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from mining import metrics
from mining.card import Combiner
from mining.fitted import FirstStage
from mining.regression import logistic
from mining.verdict import dsat_share, log_odds, strengths
from warehouse.errors import SettingsError

# Of the training rows, how many the encoder may be asked about: it takes sixty times as long as the
# first stage, and a night has millions of follow-ups. Training rows are harder than those of a log,
# of which about half as many are asked about: some 2,000 follow-ups a CPU second in all.
MOST_ASKED = 0.18
_STEPS = 40  # places that are tried for either end of the uncertain band

_Floats = npt.NDArray[np.float64]


def combine(
    first: FirstStage, shares: npt.NDArray[np.floating], asks: npt.NDArray[np.bool_]
) -> Combiner:
    """Fit the weights of both stages on the rows that the encoder `asks` about; `shares`: its own.

    Raises SettingsError where it says nothing that holds.
    """
    found = np.array(
        [
            (*strengths(reading, share), log_odds(read))
            for reading, share, read in zip(
                first.readings, first.shares.tolist(), shares.tolist(), strict=True
            )
        ]
    )
    model = logistic(1.0).fit(found[asks], first.truth[asks])
    classifier, weight_for, weight_against, encoder = (float(c) for c in model.coef_[0])
    if encoder <= 0:
        raise SettingsError(
            "the encoder finds nothing in these labels that holds for follow-ups it has not seen. "
            "Name another one, bring more labels, or train without."
        )
    return Combiner(
        bias=float(model.intercept_[0]),
        classifier=max(0.0, classifier),
        evidence_for=max(0.0, weight_for),
        evidence_against=max(0.0, weight_against),
        encoder=encoder,
    )


def choose_band(
    first: _Floats, both: _Floats, truth: npt.NDArray[np.bool_], most: float = MOST_ASKED
) -> tuple[float, float]:
    """The probabilities of the first stage between which asking the encoder pays most.

    All [n]. Of the bands that hold at most the share `most` of the rows: where log loss is least.
    """
    gains = _surprise(first, truth) - _surprise(both, truth)
    ends = np.quantile(first, np.linspace(0, 1, _STEPS + 1)).tolist()
    best, band = -np.inf, (0.5, 0.5)
    for low, high in combinations(ends, 2):
        inside = (first >= low) & (first <= high)
        if inside.mean() <= most and gains[inside].sum() > best:
            best, band = float(gains[inside].sum()), (low, high)
    return band


def _surprise(p: _Floats, truth: npt.NDArray[np.bool_]) -> _Floats:
    """Log loss, row by row."""
    kept = np.clip(np.where(truth, p, 1 - p), 1e-6, 1)
    return np.asarray(-np.log(kept))


def loss(
    truth: npt.NDArray[np.bool_], whole: npt.NDArray[np.float32], small: npt.NDArray[np.float32]
) -> dict[str, float]:
    """ROC AUC out of fold before and after quantizing, and how far probabilities moved."""
    target, everything = truth.astype(np.float64), np.ones(len(truth))
    before, after = (dsat_share(found).astype(np.float64) for found in (whole, small))
    return {
        "roc_auc": round(metrics.roc_auc(target, before, everything), 4),
        "roc_auc_quantized": round(metrics.roc_auc(target, after, everything), 4),
        "mean_change": round(float(np.abs(before - after).mean()), 4),
    }
