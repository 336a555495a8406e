"""Kills work at any of its steps, as the end of the process would."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, event

from warehouse.catalog import Catalog

Thing = TypeVar("Thing")


class Killed(BaseException):
    """Stands for the end of the process: nothing in the code may catch it."""


class Fuse:
    """Counts the steps of some work and kills it at one of them.

    A dead process does nothing more: whatever cleans up on the way out is killed too, and a
    database hears no ROLLBACK of it; its connection is closed.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0

    def step(self, *_: Any) -> None:
        self.steps += 1
        if self.steps >= self.at:
            raise Killed

    @contextmanager
    def lit(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A step before every statement that writes and every COMMIT, and around every rename and
        removal of a file."""
        hooks = {
            "before_cursor_execute": self._before,
            "commit": self.step,
            "rollback": self._vanish,
        }
        for name, hook in hooks.items():
            event.listen(catalog._engine, name, hook)
        try:
            with monkeypatch.context() as patched:
                for name in ("replace", "rename", "unlink"):
                    patched.setattr(os, name, self._around(getattr(os, name)))
                yield
        finally:
            for name, hook in hooks.items():
                event.remove(catalog._engine, name, hook)

    def _before(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SELECT"):
            self.step()

    def _vanish(self, connection: Connection) -> None:
        if self.steps >= self.at:
            connection.invalidate()

    def _around(self, change: Callable[..., None]) -> Callable[..., None]:
        def stepping(*paths: Any, **options: Any) -> None:
            self.step()
            change(*paths, **options)
            self.step()

        return stepping


def killed_everywhere(
    make: Callable[[int], Thing],
    catalog_of: Callable[[Thing], Catalog],
    work: Callable[[Thing], object],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[int, Thing]]:
    """Each step's number, and a new thing on which the work was killed there."""
    step = 0
    while True:
        step += 1
        thing = make(step)
        try:
            fuse = Fuse(step)
            with fuse.lit(catalog_of(thing), monkeypatch):
                work(thing)
                fuse.step()  # it did all, and could tell nobody
        except Killed:
            yield step, thing
        else:
            catalog_of(thing).close()
            return
