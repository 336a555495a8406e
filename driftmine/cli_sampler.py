"""The commands `driftmine sampler`."""

from __future__ import annotations

from typing import Annotated

import typer

from driftmine.flags import HOME, HomeOption, JsonOption, QuietOption, call

app = typer.Typer(help="Drawing answers from a policy by a server of its own.")


def add_to(program: typer.Typer) -> None:
    """Make them commands of the program."""
    program.add_typer(app, name="sampler", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Drawing answers from a policy by a server of its own."""


@app.command("serve-vllm")
def serve_vllm(
    version: Annotated[
        str, typer.Argument(help="A version, 'champion' or 'candidate'.")
    ] = "champion",
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen at, on loopback.")] = 8000,
    gpus: Annotated[int, typer.Option(min=1, help="To split the policy over.")] = 1,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print the commands that serve a version with vLLM, and the settings that use it."""
    from driftmine import sampler

    call(home, as_json, quiet, lambda s: sampler.serve_vllm(s, version, port=port, gpus=gpus))
