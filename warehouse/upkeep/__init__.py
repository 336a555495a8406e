"""Looking after a warehouse: what is superseded, scattered, left behind or damaged.

    collect   superseded files lose their bytes once their time is over
    compact   the small files of a partition become few
    sweep     what dead runs left behind goes
    check     whether everything is what the catalog says

Each has one function that says what is to do, which changes nothing, and one that does it.
"""

from __future__ import annotations

from collections.abc import Callable

# Told (done, total, what); it may raise: every call of it is a safe point.
Progress = Callable[[int, int, str], None]


def no_progress(_done: int, _total: int, _what: str) -> None:
    """Tells nobody."""
