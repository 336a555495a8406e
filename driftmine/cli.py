"""The command line. Thin: each command reads its words, calls one function, shows the result.

Heavy packages are imported inside the commands, so that `--help` answers at once and the ETL
runs without torch, the trainer without Beam.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from driftmine import cli_detector, cli_models, cli_sampler, cli_sandbox, cli_upkeep
from driftmine.flags import (
    HOME,
    DateOption,
    HomeOption,
    JsonOption,
    QuietOption,
    call,
    date,
    today,
)

app = typer.Typer(
    name="driftmine",
    help="Turn production chat logs into better models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
cli_models.add_to(app)
cli_sampler.add_to(app)
cli_detector.add_to(app)
cli_upkeep.add_to(app)
cli_sandbox.add_to(app)


def main() -> None:
    """Entry point: turns the errors of `warehouse.errors` into messages and exit codes."""
    app()


@app.command()
def init(home: HomeOption = HOME, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Make a home folder: a commented driftmine.toml, an empty warehouse, a tiny policy."""
    from driftmine import commands

    call(home, as_json, quiet, commands.init)


@app.command()
def ingest(
    logs: Annotated[
        list[str] | None,
        typer.Argument(metavar="LOGS...", help="Files, folders, globs, URLs; {date} for a date."),
    ] = None,
    log_date: DateOption = None,
    format: Annotated[str | None, typer.Option(help="auto, or a reader's name.")] = None,
    retry_rejects: Annotated[
        bool,
        typer.Option("--retry-rejects", help="Read the logs that hold rejects once more."),
    ] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read chat logs into the warehouse. Files that were read before are skipped."""
    from driftmine import commands

    if retry_rejects == bool(logs):
        raise typer.BadParameter("Name LOGS, or give --retry-rejects without any.")
    words: dict[str, Any] = {"log_date": log_date, "today": today(), "format": format}
    if retry_rejects:
        call(home, as_json, quiet, lambda s: commands.retry_rejects(s, **words))
    call(home, as_json, quiet, lambda s: commands.ingest(s, logs or [], **words))


@app.command()
def mine(
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First log date; default all.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Log date to stop before.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="'default', or the folder of a detector.")
    ] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the dissatisfied turns of the log dates in [--from, --to)."""
    from driftmine import commands

    first = date(since) if since else dt.date.min
    end = date(until) if until else dt.date.max
    call(home, as_json, quiet, lambda s: commands.mine(s, first, end, detector=detector))


@app.command()
def train(
    policy: Annotated[
        str | None, typer.Option(help="Folder or name of a Hugging Face model.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="drift, iterdpo, spin or seed.")] = None,
    max_turns: Annotated[int | None, typer.Option(min=1, help="Most turns of a batch.")] = None,
    reuse: Annotated[
        str, typer.Option(metavar="BATCH", help="Train on a finished batch's turns once more.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the batch, lease nothing.")] = (
        False
    ),
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Lease fresh DSAT turns, update the policy, and promote it if the gate agrees."""
    from driftmine import commands

    given = {"policy": policy, "method": method, "max_turns": max_turns}
    change = {name: value for name, value in given.items() if value is not None}
    if dry_run and reuse:
        raise typer.BadParameter("--reuse names the batch; --dry-run shows the next fresh one.")
    if dry_run:
        call(home, as_json, quiet, lambda s: commands.preview_batch(s, change))
    call(home, as_json, quiet, lambda s: commands.train(s, change, reuse=reuse))


@app.command()
def nightly(
    more: Annotated[list[str] | None, typer.Argument(metavar="LOGS", hidden=True)] = None,
    logs: Annotated[
        list[str] | None,
        typer.Option("--logs", metavar="LOGS...", help="Files, folders, globs, URLs."),
    ] = None,
    log_date: DateOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Do everything that is due: ingest, mine, train if enough fresh DSAT, report."""
    from driftmine import commands

    # `--logs A B` is what people and cron lines write; an option takes one value, so B and what
    # follows arrive as arguments.
    named = [*(logs or []), *(more or [])]
    words: dict[str, Any] = {"log_date": log_date, "today": today()}
    call(home, as_json, quiet, lambda s: commands.nightly(s, named, **words))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="Any SELECT over the warehouse's views.")],
    format: Annotated[str, typer.Option(help="table, csv, json or parquet.")] = "table",
    as_of: Annotated[
        str | None,
        typer.Option(metavar="COMMIT|TIME", help="As it was after a commit, or at a time (UTC)."),
    ] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Ask the warehouse in SQL (DuckDB, read only)."""
    from driftmine import commands

    shape = "json" if as_json else format
    call(home, as_json, quiet, lambda s: commands.sql(s, query, shape, as_of))


@app.command()
def explain(
    conversation: Annotated[
        str, typer.Argument(metavar="CONVERSATION_ID", help="Or how it begins, where one does.")
    ],
    turn: Annotated[
        int | None, typer.Option(metavar="N", help="Only the follow-up at this turn_index.")
    ] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show why a turn was or was not called DSAT, and whether it was trained on."""
    from driftmine import explain as work

    call(home, as_json, quiet, lambda s: work.explain(s, conversation, turn))


@app.command()
def report(
    out: Annotated[Path | None, typer.Option(help="File; default reports/ in the home.")] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the HTML report of what the warehouse holds."""
    from driftmine import commands

    call(home, as_json, quiet, lambda s: commands.report(s, out))


@app.command()
def status(
    home: HomeOption = HOME, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Say what the home holds, and what is due."""
    from driftmine import commands

    call(home, as_json, quiet, commands.status)
