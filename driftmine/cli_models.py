"""The commands `driftmine models`."""

from __future__ import annotations

from typing import Annotated

import typer

from driftmine.flags import HOME, HomeOption, JsonOption, QuietOption, call

app = typer.Typer(
    help="Versions of the policy, and which one is the champion.", no_args_is_help=True
)


def add_to(program: typer.Typer) -> None:
    """Make them commands of the program."""
    program.add_typer(app, name="models", no_args_is_help=True)


@app.command("list")
def models_list(
    home: HomeOption = HOME, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """List the versions, newest first."""
    from driftmine import models

    call(home, as_json, quiet, models.listing)


@app.command("show")
def models_show(
    version: Annotated[str, typer.Argument(help="A version, 'champion' or 'candidate'.")],
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a version: parents, data, settings, figures, gate, files, turns."""
    from driftmine import models

    call(home, as_json, quiet, lambda s: models.show(s, version))


@app.command("promote")
def models_promote(
    version: Annotated[str, typer.Argument(help="A version or 'candidate'.")],
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a version that passed its gate the champion."""
    from driftmine import models

    call(home, as_json, quiet, lambda s: models.promote(s, version))


@app.command("rollback")
def models_rollback(
    home: HomeOption = HOME, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Make the former champion the champion again."""
    from driftmine import models

    call(home, as_json, quiet, models.rollback)


@app.command("prune")
def models_prune(
    keep: Annotated[int, typer.Option(min=1, help="So many of the newest stay.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Give up old versions, but never an alias's, nor what a kept version came from."""
    from driftmine import models

    work = models.preview_prune if dry_run else models.prune
    call(home, as_json, quiet, lambda s: work(s, keep))


@app.command("publish")
def models_publish(
    version: Annotated[str, typer.Argument(help="A version, 'champion' or 'candidate'.")],
    target: Annotated[str, typer.Argument(help="A folder, s3://bucket/folder or hf://owner/name.")],
    held: Annotated[bool, typer.Option("--held", help="Also where its gate held it.")] = False,
    with_lineage: Annotated[
        bool, typer.Option("--with-lineage", help="With the ids of the turns behind it.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="On the Hub: for everybody; else private.")
    ] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Copy a version to where others can load it, and read back what arrived."""
    from driftmine import models

    words = {"held": held, "with_lineage": with_lineage, "public": public}
    call(home, as_json, quiet, lambda s: models.publish(s, version, target, **words))
