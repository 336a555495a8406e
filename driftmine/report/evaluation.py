"""The HTML page of a detector's evaluation, its plots inside it, and the plots beside it."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import msgspec

from driftmine import render_detector as tables
from driftmine.report import drawing, plots
from driftmine.report.jinja import environment
from mining.evaluate import Evaluation
from mining.scored import Scored
from warehouse.durable import write_whole
from warehouse.errors import MissingExtra

PAGE = "report.html"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Where the page and the plots lie."""

    report: str
    plots: tuple[str, ...]
    no_plots: str  # why there is none; "" where there are


def write_evaluation(
    folder: Path, found: Evaluation, scored: Scored, *, file: Path, now: dt.datetime
) -> Written:
    """Write the page and the plots into `folder`; those of an earlier evaluation go.

    Without matplotlib the page has all but the plots.
    """
    try:
        drawn, missing = plots.draw(found, scored), ""
    except MissingExtra as error:
        drawn, missing = {}, str(error)
    files = drawing.keep(folder, plots.NAMES, drawn)
    page = folder / PAGE
    write_whole(page, render(found, drawn, missing, file=file, now=now).encode())
    return Written(
        report=str(page),
        plots=files,
        no_plots=missing,
    )


def render(
    found: Evaluation, drawn: Mapping[str, bytes], no_plots: str, *, file: Path, now: dt.datetime
) -> str:
    """The page's HTML. Whatever users wrote is escaped."""
    return (
        environment()
        .get_template("evaluation.html")
        .render(
            found=found,
            file=str(file),
            now=now.strftime("%Y-%m-%d %H:%M UTC"),
            plots={name: base64.b64encode(png).decode() for name, png in drawn.items()},
            no_plots=no_plots,
            kinds=tables.kinds(found),
            headings=tables.HEADINGS,
            of_part=tables.OF_PART if found.labelled else tuple(tables.RATES),
            of_category=tables.OF_CATEGORY,
        )
    )
