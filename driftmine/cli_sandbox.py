"""The command `driftmine sandbox`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftmine.flags import HOME, HomeOption, JsonOption, QuietOption, call

if TYPE_CHECKING:
    from driftmine.sandbox.asked import Asked
    from driftmine.session import Session

_SHARE: dict[str, Any] = {"min": 0.0, "max": 1.0}


def add_to(program: typer.Typer) -> None:
    """Make it a command of the program."""
    program.command()(sandbox)


def sandbox(
    nights: Annotated[int, typer.Option(min=1, help="Nights of a run.")] = 3,
    method: Annotated[
        str, typer.Option(help="drift, iterdpo, spin, or all of them.", show_default=True)
    ] = "drift",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first of them.")] = 0,
    users: Annotated[
        int, typer.Option("--users-per-night", min=1, help="Simulated users a night.")
    ] = 800,
    pairs: Annotated[int, typer.Option(min=1, help="Turns of a night's batch, at most.")] = 384,
    noise: Annotated[
        float, typer.Option(**_SHARE, help="Share of answers that a user takes the wrong way.")
    ] = 0.05,
    poison: Annotated[
        float, typer.Option(**_SHARE, help="Share of users who complain about right answers.")
    ] = 0.0,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", help="Learning rate; default: the method's own.")
    ] = None,
    reward_noise: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="iterdpo: a simulated reward model ranks, with this error (1: right in 76%).",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--ablation",
            metavar="NAME",
            help="unguided, from-base, off-request, perfect-detector, no-gate, no-threshold, "
            "no-caps.",
        ),
    ] = None,
    policy: Annotated[
        str, typer.Option(metavar="FOLDER", help="Policy to begin with; default: the shipped one.")
    ] = "",
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Watch the loop work: simulated users, a tiny policy, and every stage, night after night."""
    from driftmine.sandbox.asked import Asked

    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise typer.BadParameter("--lr must be a number above 0.")
    if reward_noise == math.inf:
        raise typer.BadParameter("--reward-noise must be a number.")
    asked = Asked(
        method=method,
        seeds=tuple(range(first_seed, first_seed + seeds)),
        nights=nights,
        users=users,
        pairs=pairs,
        noise=noise,
        poison=poison,
        learning_rate=learning_rate,
        reward_noise=reward_noise,
        ablations=tuple(without or ()),
        policy=policy,
    )
    call(home, as_json, quiet, lambda session: _run(session, asked))


def _run(session: Session, asked: Asked) -> int:
    from driftmine.sandbox.command import sandbox as run

    return run(session, asked)
