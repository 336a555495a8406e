"""The commands that look after a warehouse: each calls one function and shows the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftmine.flags import HOME, HomeOption, JsonOption, QuietOption, call, date

if TYPE_CHECKING:
    from driftmine.session import Session

warehouse_app = typer.Typer(help="The warehouse, for other engines.")


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the program."""
    app.command()(backfill)
    app.command()(doctor)
    app.command()(erase)
    app.command()(maintain)
    app.add_typer(warehouse_app, name="warehouse", no_args_is_help=True)


def backfill(
    stage: Annotated[str, typer.Option(metavar="STAGE", help="ingest or mine.")],
    since: Annotated[str, typer.Option("--from", metavar="DATE", help="First log date.")],
    until: Annotated[str, typer.Option("--to", metavar="DATE", help="Log date to stop before.")],
    detector: Annotated[
        str | None, typer.Option(help="Of --stage mine: 'default', or the folder of a detector.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and why; do nothing.")
    ] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Ingest or mine the log dates in [--from, --to) once more, where anything differs."""
    first, end = date(since), date(until)

    def work(session: Session) -> int:
        from driftmine.backfill import Asked, backfill, preview

        asked = Asked(stage=stage, first=first, end=end, detector=detector)
        return (preview if dry_run else backfill)(session, asked)

    call(home, as_json, quiet, work)


def doctor(
    rebuild_catalog: Annotated[
        bool,
        typer.Option("--rebuild-catalog", help="Make a lost catalog again from the manifests."),
    ] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Look at all that can be wrong, one line each: ok, warning or problem, with what to do."""

    def work(session: Session) -> int:
        from driftmine.doctor import examine, mend

        return (mend if rebuild_catalog else examine)(session)

    call(home, as_json, quiet, work)


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


@warehouse_app.command("export-iceberg")
def export_iceberg(
    catalog: Annotated[
        str | None, typer.Option(metavar="NAME", help="A catalog of pyiceberg's own settings.")
    ] = None,
    catalog_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="A SQL catalog; default: SQLite in --out.")
    ] = None,
    namespace: Annotated[str, typer.Option(metavar="NAME", help="Of the tables.")] = "driftmine",
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Metadata; default iceberg/ in the home.")
    ] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make Iceberg tables name the live files; no data is copied."""
    from driftmine import iceberg

    if catalog and (catalog_uri or out):
        raise typer.BadParameter("--catalog says it all: leave out --catalog-uri and --out.")
    words: dict[str, Any] = {
        "catalog": catalog,
        "uri": catalog_uri,
        "namespace": namespace,
        "out": out,
    }
    call(home, as_json, quiet, lambda session: iceberg.export(session, **words))
