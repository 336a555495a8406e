"""What became of a write whose COMMIT was never answered: the database is asked again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection

from warehouse.catalog import Catalog
from warehouse.errors import CommitConflict, CommitUnknown, SourceUnavailable

P = ParamSpec("P")
T = TypeVar("T")


def asked(catalog: Catalog, unknown: CommitUnknown, question: Callable[[Connection], T]) -> T:
    """What the database answers now. Raises `unknown` again where it does not.

    As a writer: a COMMIT that it still works on is waited for.
    """
    try:
        with catalog.write() as connection:
            return question(connection)
    except (CommitConflict, CommitUnknown, SourceUnavailable) as error:
        raise unknown from error


def repeated(write: Callable[P, T]) -> Callable[P, T]:
    """A write that may be made twice is made twice where nobody knows whether it was made."""

    @wraps(write)
    def writing(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return write(*args, **kwargs)
        except CommitUnknown:
            return write(*args, **kwargs)

    return writing
