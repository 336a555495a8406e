"""Numbered migrations: how a catalog of an older version becomes one of today.

A module `mNNNN_what.py` makes version NNNN of the one before; its `upgrade(connection, store)`
runs in one transaction with all others that are due, and its `clear(store)` after the commit. What
a kill in between leaves uncleared must harm nobody. A new catalog is made as `tables` says and
needs none. Older than `OLDEST` a catalog is refused: its rows lack what no migration can add.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

OLDEST = 2

_MODULE = re.compile(r"m\d{4}_\w+")


def modules() -> dict[int, str]:
    """The migrations, by the version that they make: their modules' names."""
    return ordered(found.name for found in pkgutil.iter_modules(__path__))


def ordered(names: Iterable[str]) -> dict[int, str]:
    """Names of migrations by version, in order.

    Raises ValueError where a number is missing or stands twice: a defect of the program, that a
    merge of two branches makes.
    """
    found = sorted(name for name in names if _MODULE.fullmatch(name))
    numbers = [int(name[1:5]) for name in found]
    if numbers != list(range(OLDEST + 1, OLDEST + 1 + len(numbers))):
        raise ValueError(f"migrations must count from {OLDEST + 1} without a gap: {numbers}")
    return dict(zip(numbers, found, strict=True))


def newest() -> int:
    """The version that this program works with."""
    return max(modules(), default=OLDEST)


def upgrade(connection: Connection, store: Path, version: int) -> None:
    """Bring a catalog from `version` to the newest."""
    for module in _after(version):
        module.upgrade(connection, store)


def clear(store: Path, version: int) -> None:
    """Remove the files that only versions since `version` used, once the newest is committed."""
    for module in _after(version):
        module.clear(store)


def _after(version: int) -> Iterator[Any]:
    for number, name in modules().items():
        if number > version:
            yield importlib.import_module(f"{__name__}.{name}")
