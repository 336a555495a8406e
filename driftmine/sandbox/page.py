"""The HTML page of sandbox runs, its plots inside it, and the plots beside it."""

from __future__ import annotations

import base64
import datetime as dt
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from driftmine.report import drawing
from driftmine.report.jinja import environment
from driftmine.report.updates import shaped
from driftmine.sandbox import plots
from driftmine.sandbox.groups import gate_of, grouped, headline
from driftmine.sandbox.results import RunResult
from warehouse.durable import write_whole
from warehouse.errors import MissingExtra

PAGE = "report.html"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Where the page and the plots lie."""

    page: str
    plots: tuple[str, ...]
    no_plots: str  # why there is none; "" where there are


def write(folder: Path, done: Sequence[RunResult], now: dt.datetime) -> Written:
    """Write the page and the plots of `done` into `folder`; those of an earlier page go.

    There is at least one run, and each has a night. Run homes lie at `folder`/name/home. Without
    matplotlib the page has all but the plots.
    """
    try:
        drawn, missing = plots.draw(grouped(done)), ""
    except MissingExtra as error:
        drawn, missing = {}, str(error)
    files = drawing.keep(folder, plots.NAMES, drawn)
    page = folder / PAGE
    write_whole(page, render(folder, done, drawn, missing, now).encode())
    return Written(
        page=str(page),
        plots=files,
        no_plots=missing,
    )


def render(
    folder: Path,
    done: Sequence[RunResult],
    drawn: Mapping[str, bytes],
    no_plots: str,
    now: dt.datetime,
) -> str:
    """The page's HTML."""
    groups = grouped(done)
    return (
        environment("driftmine.sandbox")
        .get_template("report.html")
        .render(
            headline=headline(groups),
            groups=[(group, gate_of(group.runs)) for group in groups],
            runs=[run for group in groups for run in group.runs],
            homes={run.name: shlex.quote(str(folder / run.name / "home")) for run in done},
            plots={name: base64.b64encode(png).decode() for name, png in drawn.items()},
            no_plots=no_plots,
            now=now.strftime("%Y-%m-%d %H:%M UTC"),
            shaped=shaped,
        )
    )
