"""What an operator is told where the machine was too small."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from warehouse.errors import TrainingFailed

_LOG = logging.getLogger(__name__)


@contextmanager
def named() -> Iterator[None]:
    """Raise TrainingFailed, with what to do, where memory or the disk's room ran out."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingFailed(
            "Memory ran out in the update. Lower max_pass_tokens, batch_size or max_length in "
            "[training], train with [training.lora], or name a smaller policy. Nothing was "
            "registered, and what was drawn is kept."
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TrainingFailed(
            f"The disk is full ({error.filename or 'while the new weights were written'}). "
            "Nothing was registered and the batch was given back. Make room, with `driftmine "
            "models prune` say, and run again: what was drawn is kept."
        ) from error


@contextmanager
def registered(version: str) -> Iterator[None]:
    """Raise TrainingFailed where a version that counts could not be given its place."""
    try:
        yield
    except OSError as error:
        raise TrainingFailed(
            f"{version} is registered and its batch is used, but {error.filename or 'its folder'}: "
            f"{error.strerror or type(error).__name__}. Mend that and run again: the version is "
            "given its name and its place then."
        ) from error


@contextmanager
def no_matter() -> Iterator[None]:
    """Log what fails here, for what was done stands."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        _LOG.warning("what was kept of this update could not be cleared away: %s", error)
