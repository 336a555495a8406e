"""What a person and what a program see: results on stdout, everything else on stderr."""

from __future__ import annotations

import datetime as dt
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import msgspec
from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from warehouse.errors import DriftmineError

Report = Callable[[int, int, str], None]


class Stopped(DriftmineError):
    """SIGTERM arrived: the work ended at a safe point; exit 1, run it again."""


class Console:
    """Where a command writes. `as_json`: one JSON object on stdout. `quiet`: results only."""

    def __init__(
        self, *, as_json: bool, quiet: bool, stopping: threading.Event | None = None
    ) -> None:
        self.as_json = as_json
        self._quiet = quiet
        self._out = RichConsole(highlight=False, soft_wrap=True)
        self._err = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._stopping = stopping or threading.Event()

    def hushed(self) -> Console:
        """One that says nothing on the way, and is stopped where this one is."""
        return Console(as_json=True, quiet=True, stopping=self._stopping)

    def result(self, value: Any, render: Callable[[], RenderableType]) -> None:
        """The command's result: JSON for programs, a table for people."""
        if self.as_json:
            sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
        else:
            self._out.print(render())

    def note(self, message: str, **facts: object) -> None:
        """Something worth knowing on the way: a line on a terminal, a JSON log line elsewhere."""
        if self._quiet:
            return
        if self._err.is_terminal:
            self._err.print(message, style="dim", markup=False)
        else:
            now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            line = {"time": now, "level": "info", "message": message, **facts}
            print(json.dumps(line, default=str), file=sys.stderr)

    def error(self, error: DriftmineError) -> None:
        """What went wrong, for a person on stderr and, with --json, for a program on stdout."""
        self._err.print(str(error), style="bold red", markup=False)
        if self.as_json:
            kind = type(error).__name__
            print(json.dumps({"error": kind, "message": str(error), "exit_code": error.exit_code}))

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """A callback (done, total, what) that draws bars on a terminal and logs elsewhere."""
        if self._err.is_terminal and not self._quiet:
            columns = (
                TextColumn("{task.description:<28}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            with Progress(*columns, console=self._err, transient=True) as bars:
                yield _Bars(bars)
        else:
            yield _Lines(self.note)

    def safe_point(self) -> None:
        """Raises Stopped once SIGTERM has arrived."""
        if self._stopping.is_set():
            raise Stopped("Stopped by SIGTERM at a safe point. Run the same command again.")

    def stoppable(self, report: Report) -> Report:
        """`report`, but every call of it is a safe point: for work that loses little by ending."""

        def stop_or_report(done: int, total: int, what: str) -> None:
            self.safe_point()
            report(done, total, what)

        return stop_or_report

    def catch_sigterm(self) -> None:
        """The first SIGTERM ends the work at the next safe point, a second one at once."""

        def stop(signum: int, frame: FrameType | None) -> None:
            self._stopping.set()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.note("SIGTERM: ending at the next safe point; once more ends at once")

        signal.signal(signal.SIGTERM, stop)


class _Bars:
    """One bar for each thing counted."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, done: int, total: int, what: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)


class _Lines:
    """A log line at every tenth of the way: a night's log stays readable."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note
        self._seen: dict[str, int] = {}

    def __call__(self, done: int, total: int, what: str) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > self._seen.get(what, -1):
            self._seen[what] = tenth
            self._note(what, done=done, total=total)
