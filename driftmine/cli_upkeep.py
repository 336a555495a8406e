"""The commands that look after a warehouse: each calls one function and shows the result."""

from __future__ import annotations

from typing import Annotated

import typer

from driftmine.flags import HOME, HomeOption, JsonOption, QuietOption, call


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the program."""
    app.command()(erase)
    app.command()(maintain)


def erase(
    user: Annotated[
        list[str],
        typer.Option("--user", metavar="ID", help="As the logs have it; - reads ids from stdin."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go, change nothing.")
    ] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Forget a user: rows, old versions, reports; ingestion keeps them out from then on."""
    from driftmine import erase as work

    todo = work.dry_run if dry_run else work.run
    call(home, as_json, quiet, lambda s: todo(s, user))


def maintain(
    check: Annotated[
        bool, typer.Option("--check", help="Read every byte first; damage: exit 1, no change.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due, do nothing.")] = (
        False
    ),
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Give up superseded files, merge small ones, remove what dead runs left."""
    from driftmine import maintain as work

    by_flags = {
        (False, False): work.maintain,
        (True, False): work.check_and_maintain,
        (False, True): work.preview,
        (True, True): work.check_and_preview,
    }
    call(home, as_json, quiet, by_flags[check, dry_run])
