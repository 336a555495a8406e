"""What `driftmine sandbox` shows to people."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from driftmine.render import grid
from driftmine.sandbox.results import NightResult, RunResult

if TYPE_CHECKING:
    from driftmine.sandbox.page import Written


def line(name: str, night: NightResult) -> str:
    """One night, as soon as it is over."""
    outcome = "promoted" if night.promoted else "held" if night.version else "no update"
    return (
        f"{name} night {night.night}: true reward {night.true_reward:.3f}, dissatisfied "
        f"{night.dsat_true:.0%}, mined DSAT {night.dsat_mined:.0%} of follow-ups, {outcome}"
    )


def table(done: Sequence[RunResult], written: Written) -> RenderableType:
    """A row a night, a summary a method, and where the page is."""
    rows = [row for run in done for row in _rows(run)]
    heads = (
        "run", "night", "true reward", "greedy", "dissatisfied", "DSAT mined", "precision",
        "recall", "pairs", "KL", "gate", "s",
    )  # fmt: skip
    lines = [Text(one) for one in summary(done)]
    return Group(grid("driftmine sandbox", heads, rows), *lines, Text(f"Page: {written.page}"))


def _rows(run: RunResult) -> list[tuple[str, ...]]:
    base = (
        run.name, "base", f"{run.base_reward:.3f}", f"{run.base_greedy:.3f}", *[""] * 8
    )  # fmt: skip
    return [base, *(_row(night) for night in run.nights)]


def _row(night: NightResult) -> tuple[str, ...]:
    outcome = "promoted" if night.promoted else "; ".join(night.gate) or night.note
    return (
        "",
        str(night.night),
        f"{night.true_reward:.3f}",
        f"{night.greedy_reward:.3f}",
        f"{night.dsat_true:.1%}",
        f"{night.dsat_mined:.1%}",
        _number(night.detector_precision),
        _number(night.detector_recall),
        str(night.pairs),
        _number(night.kl, 3),
        outcome,
        f"{sum(night.seconds.values()):.0f}",
    )


def summary(done: Sequence[RunResult]) -> list[str]:
    """What each method gained, over its seeds."""
    names: dict[str, list[RunResult]] = {}
    for run in done:
        names.setdefault(run.name.rpartition("-seed")[0], []).append(run)
    return [_gained(name, runs) for name, runs in names.items()]


def _gained(name: str, runs: Sequence[RunResult]) -> str:
    gains = [run.gain for run in runs]
    spread = f" (standard deviation {stdev(gains):.3f})" if len(gains) > 1 else ""
    before = fmean(run.base_reward for run in runs)
    after = fmean(run.nights[-1].true_reward for run in runs)
    return (
        f"{name}: true reward {before:.3f} -> {after:.3f}, {fmean(gains):+.3f}{spread}, "
        f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"
