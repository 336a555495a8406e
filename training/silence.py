"""Keeping the libraries of an update quiet."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import datasets

from training.policy import quiet


@contextmanager
def silence() -> Iterator[None]:
    """Keep progress bars and advice off the console; what matters is in the report."""
    before = os.environ.get("TQDM_DISABLE")
    bars = datasets.utils.logging.is_progress_bar_enabled()
    os.environ["TQDM_DISABLE"] = "1"  # read by trl, which has no argument for it
    datasets.disable_progress_bars()
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if bars:
            datasets.enable_progress_bars()
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before
