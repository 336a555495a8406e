"""Which Beam runner a pipeline runs on, and the flags that it is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from warehouse.errors import SettingsError

LOCAL = "local"
# Runners that others install and operate; Beam knows them by these names.
REMOTE = ("PortableRunner", "FlinkRunner", "SparkRunner", "DataflowRunner")
_REFUSED = {
    "DaskRunner": (
        "it loses data: what a worker emits at the end of a bundle is dropped, and tagged "
        "outputs go astray"
    ),
    "DirectRunner": (
        "it looks for a download at each start, and what it finds decides which engine runs"
    ),
    "PrismRunner": "it downloads its engine at the start",
}
# Flags that are set here.
_OURS = ("--runner", "--save_main_session", "--no_save_main_session")


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner, ready to be started."""

    name: str  # as Beam calls it
    flags: tuple[str, ...]


def choose(name: str, workers: int, options: Sequence[str]) -> Runner:
    """The runner that the settings name. `options`: flags of its own; none for "local".

    Raises SettingsError for one that is not known, or is refused.
    """
    if name == LOCAL:
        if options:
            raise SettingsError(
                f"[ingestion] runner_options: {options[0].split('=')[0]} is given, but the runner "
                f"{LOCAL!r} takes no options. Remove it, or name the runner it is meant for."
            )
        return local(workers)
    if name in _REFUSED:
        raise SettingsError(
            f"[ingestion] runner: {name} is not used, for {_REFUSED[name]}. Name another: "
            f"{_known()}."
        )
    if name not in REMOTE:
        near = get_close_matches(name, (LOCAL, *REMOTE), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise SettingsError(
            f"[ingestion] runner: no runner is called {name!r}{hint} Known: {_known()}."
        )
    _check(name, options)
    return Runner(name, ("--no_save_main_session", *options))


def local(workers: int) -> Runner:
    """This machine: this process for one worker, else so many others."""
    return Runner("FnApiRunner", ("--no_save_main_session", f"--direct_num_workers={workers}"))


def _check(name: str, options: Sequence[str]) -> None:
    for option in options:
        flag = option.partition("=")[0]
        if not flag.startswith("--"):
            raise SettingsError(
                f"[ingestion] runner_options: {flag!r} is no flag. Write each as "
                '"--name=value", one text a flag.'
            )
        if flag in _OURS:
            raise SettingsError(
                f"[ingestion] runner_options: {flag} is set by Driftmine. Remove it; the runner "
                "is named by [ingestion] runner."
            )
    if name == "PortableRunner" and not any(o.startswith("--job_endpoint=") for o in options):
        raise SettingsError(
            "[ingestion] runner_options: PortableRunner needs --job_endpoint=HOST:PORT, the "
            "address of its job service (docs/runners.md)."
        )


def _known() -> str:
    return ", ".join((LOCAL, *REMOTE))
