"""What fitting takes of scikit-learn and SciPy: the extra `detector`."""

from __future__ import annotations

from typing import Any

from warehouse.errors import MissingExtra

_MISSING = "training a detector needs scikit-learn: pip install '.[detector]'."


def logistic(strength: float) -> Any:
    """A model to fit; `strength`: inverse of the L2 penalty's. Raises MissingExtra."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra(_MISSING) from error
    return LogisticRegression(C=strength, max_iter=500, tol=1e-3)


def scipy_sparse() -> Any:
    """The module scipy.sparse. Raises MissingExtra."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingExtra(_MISSING) from error
    return sparse
