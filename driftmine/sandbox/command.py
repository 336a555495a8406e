"""What `driftmine sandbox` does: every run that is asked for, then a table and a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import msgspec

from driftmine.home import Home
from driftmine.sandbox import render
from driftmine.sandbox.asked import Asked
from driftmine.sandbox.page import Written, write
from driftmine.sandbox.results import NightResult, RunResult
from driftmine.sandbox.setup import Setup
from driftmine.session import Session, need_extra
from warehouse.errors import PolicyUnusable


def sandbox(session: Session, asked: Asked) -> int:
    """Run all that is asked for below <home>/sandbox, and show what came of it.

    Runs that are finished are not done again, and a night that was killed is gone on with.
    Raises SettingsError, PolicyUnusable, MissingExtra.
    """
    need_extra("etl", "apache_beam")
    need_extra("train", "torch")
    if asked.policy and not Path(asked.folder).is_dir():
        raise PolicyUnusable(f"--policy {asked.policy}: there is no such folder. Name a policy's.")
    root = session.home.root / "sandbox"
    with as_file(files("driftmine.sandbox") / "data" / "policy") as shipped:
        done = _runs(session, asked.setups(str(shipped)), root)
    written = write(root, done, session.now)
    if written.no_plots:
        session.console.note(written.no_plots)
    session.console.result(_value(done, written), lambda: render.table(done, written))
    return 0


def _runs(session: Session, setups: Sequence[Setup], root: Path) -> list[RunResult]:
    from driftmine.sandbox.loop import run
    from driftmine.sandbox.places import Places

    total = sum(setup.nights for setup in setups)
    counted = iter(range(1, total + 1))
    with session.console.progress() as progress:

        def told(name: str, night: NightResult) -> None:
            progress(next(counted), total, "nights")
            session.console.note(render.line(name, night))
            session.console.safe_point()

        return [
            run(
                setup,
                Places(root=root / setup.name),
                partial(_inner, session),
                partial(told, setup.name),
            )
            for setup in setups
        ]


def _inner(session: Session, home: Home) -> Session:
    """Of one night. It says nothing of its own, and ends where this command is told to.

    Without the environment: what is set there for a product, a catalog's URL say, is not for
    simulated users.
    """
    now = dt.datetime.now(dt.UTC)
    return Session(home, session.console.hushed(), now, environment=False)


def _value(done: Sequence[RunResult], written: Written) -> dict[str, Any]:
    """Methods -> seeds -> nights."""
    methods: dict[str, dict[str, Any]] = {}
    for result in done:
        run = msgspec.to_builtins(result)
        methods.setdefault(result.method, {})[str(result.seed)] = run
    return {"methods": methods, **msgspec.to_builtins(written)}
