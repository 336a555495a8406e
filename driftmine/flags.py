"""What the commands have in common: their shared options, and how they are run."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="DRIFTMINE_HOME", help="Home folder.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress, no notes.")]
DateOption = Annotated[
    str | None,
    typer.Option(
        "--log-date",
        metavar="DATE",
        help="YYYY-MM-DD, or 'record': each record's own; default: its path's, else today.",
    ),
]
HOME = Path("driftmine-home")


def call(home: Path, as_json: bool, quiet: bool, work: Callable[..., Any]) -> None:
    """Call `work(session)`, and end with the exit code that its outcome means."""
    from driftmine.session import run

    sys.exit(run(home, as_json=as_json, quiet=quiet, work=work))


def today() -> dt.date:
    """Of UTC."""
    return dt.datetime.now(dt.UTC).date()


def date(text: str) -> dt.date:
    """An ISO date that was typed. Raises typer.BadParameter."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write YYYY-MM-DD.") from None
