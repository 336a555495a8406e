"""Keeping trainers of one registry from registering at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def registering(models: Path) -> Iterator[None]:
    """One process at a time numbers, registers and promotes a version; others wait.

    The system lets go of it where the process is killed.
    """
    models.mkdir(parents=True, exist_ok=True)
    with FileLock(models / "registry.lock"):
        yield
