"""Training the first stage of a detector: linear model and combiner. Needs the extra `detector`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mining.card import Combiner
from mining.classifier import LinearClassifier
from mining.features import BUCKETS, Features, extract
from mining.fitted import FirstStage
from mining.heuristics import Reading
from mining.regression import logistic, scipy_sparse
from mining.verdict import probability, strengths
from warehouse.errors import SettingsError
from warehouse.records import Category, SignalKind

FOLDS = 5
# Inverse strength of the L2 penalty; 4 to 16 score alike out of fold on the authored set.
PENALTY_C = 8.0
_CLASSES = len(Category)
DSAT = np.array([category.signal is SignalKind.DSAT for category in Category])
# Of a category that the training data lacks: a probability of nothing, and finite.
_ABSENT = -30.0

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


def fit_first(
    readings: Sequence[Reading], target: _Ints, fold: _Ints
) -> tuple[LinearClassifier, Combiner, FirstStage]:
    """Fit to the categories `target` [n], and say what comes out of fold.

    Raises SettingsError where nothing can be learned, MissingExtra.
    """
    matrix = design(extract(readings))
    shares = _out_of_fold(matrix, target, fold)
    truth = DSAT[target]
    combiner = _fit_combiner(readings, shares, truth)
    p = np.array([probability(r, s, combiner) for r, s in zip(readings, shares, strict=True)])
    first = FirstStage(readings=readings, shares=shares, p=p, truth=truth)
    return _classifier(*_train(matrix, target)), combiner, first


def design(features: Features) -> Any:
    """Features -> the scipy CSR matrix [n, BUCKETS + dense] that a linear model is fitted to."""
    sparse = scipy_sparse()
    shape = (len(features.dense), BUCKETS)
    total = sparse.csr_matrix(shape, dtype=np.float32)
    for block in features.blocks:
        lengths = np.diff(np.append(block.starts, len(block.buckets)))
        values = np.repeat(block.scale, lengths)
        at = (np.repeat(block.rows, lengths), block.buckets)
        total = total + sparse.csr_matrix((values, at), shape=shape)
    return sparse.hstack([total, sparse.csr_matrix(features.dense)]).tocsr()


def folds(groups: Sequence[str], seed: int) -> _Ints:
    """The fold of each row, in [0, FOLDS); rows of one group share theirs."""
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    dealt = np.random.default_rng(seed).permutation(int(group.max()) + 1) % FOLDS
    return np.asarray(dealt[group], dtype=np.int64)


def _out_of_fold(matrix: Any, target: _Ints, fold: _Ints) -> _Floats:
    """P(DSAT) of every row by a model that has not seen its group."""
    shares = np.zeros(len(target))
    for held in range(FOLDS):
        coefficients, bias = _train(matrix[fold != held], target[fold != held])
        logits = matrix[fold == held] @ coefficients + bias
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares[fold == held] = exponents[:, DSAT].sum(axis=1) / exponents.sum(axis=1)
    return shares


def _train(matrix: Any, target: _Ints) -> tuple[_Floats, _Floats]:
    """Coefficients [columns, 7] and biases [7]."""
    seen = np.flatnonzero(matrix.getnnz(axis=0))  # most buckets are empty on small data
    model = logistic(PENALTY_C).fit(matrix[:, seen], target)
    coefficients = np.zeros((matrix.shape[1], _CLASSES))
    bias = np.full(_CLASSES, _ABSENT)
    if len(model.classes_) == 2:  # scikit-learn keeps one row, of the second class
        bias[model.classes_[0]] = 0.0
        coefficients[seen, model.classes_[1]] = model.coef_[0]
        bias[model.classes_[1]] = model.intercept_[0]
    else:
        coefficients[np.ix_(seen, model.classes_)] = model.coef_.T
        bias[model.classes_] = model.intercept_
    return coefficients, bias


def _classifier(coefficients: _Floats, bias: _Floats) -> LinearClassifier:
    weights = coefficients.astype(np.float32)
    return LinearClassifier(weights[:BUCKETS], weights[BUCKETS:], bias.astype(np.float32))


def _fit_combiner(
    readings: Sequence[Reading], shares: _Floats, truth: npt.NDArray[Any]
) -> Combiner:
    found = np.array([strengths(r, s) for r, s in zip(readings, shares, strict=True)])
    model = logistic(1.0).fit(found, truth)
    classifier, weight_for, weight_against = (float(c) for c in model.coef_[0])
    if classifier <= 0:
        raise SettingsError(
            "the model finds nothing in these labels that holds for follow-ups it has not seen. "
            "Check the labels, or bring more."
        )
    # Evidence must not count against what it says, however few rows it was seen in.
    return Combiner(
        bias=float(model.intercept_[0]),
        classifier=classifier,
        evidence_for=max(0.0, weight_for),
        evidence_against=max(0.0, weight_against),
    )
