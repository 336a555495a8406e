"""What `driftmine sandbox` shows to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from driftmine.render import grid
from driftmine.sandbox.groups import grouped, headline
from driftmine.sandbox.results import NightResult, RunResult

if TYPE_CHECKING:
    from driftmine.sandbox.page import Written

_HEADS = ("night", "right", "drawn", "greedy", "unhappy", "mined", "P/R", "KL", "gate")
_SHORT = {"promoted": "passed", "no update": "none"}  # a terminal has 80 columns


def line(name: str, night: NightResult) -> str:
    """One night, as soon as it is over."""
    return (
        f"{name} night {night.night}: {night.true_reward:.1%} right, {night.dsat_true:.0%} "
        f"dissatisfied, DSAT mined in {night.dsat_mined:.0%} of follow-ups, {_outcome(night)}"
    )


def table(done: Sequence[RunResult], written: Written) -> RenderableType:
    """A table a run, what came of it in words, and where the page is."""
    parts: list[RenderableType] = []
    for run in done:
        parts.append(grid(run.name, _HEADS, [_base(run), *map(_row, run.nights)]))
        parts += [
            Text(f"night {night.night}: {_why(night)}") for night in run.nights if _why(night)
        ]
    words = [
        "",
        *headline(grouped(done)),
        "",
        "Per cent: right, of answers to held-out requests as they are served; drawn, the same at",
        "the temperature that training draws by; unhappy, of all answers of the day, the truth;",
        "mined, DSAT of all follow-ups, with the detector's precision and recall (P/R).",
        f"Page: {written.page}",
    ]
    return Group(*parts, *map(Text, words))


def _base(run: RunResult) -> tuple[str, ...]:
    shares = (run.base_reward, run.base_drawn, run.base_greedy)
    return ("base", *map(_percent, shares), *[""] * 5)


def _row(night: NightResult) -> tuple[str, ...]:
    found = (night.detector_precision, night.detector_recall)
    return (
        str(night.night),
        _percent(night.true_reward),
        _percent(night.drawn_reward),
        _percent(night.greedy_reward),
        _percent(night.dsat_true),
        _percent(night.dsat_mined),
        "/".join("-" if value is None else f"{value:.2f}".lstrip("0") for value in found),
        "" if night.kl is None else f"{night.kl:.2f}",
        _SHORT.get(_outcome(night), _outcome(night)),
    )


def _outcome(night: NightResult) -> str:
    if night.version is None:
        return "no update"
    return "promoted" if night.promoted else "held"


def _why(night: NightResult) -> str:
    """Why nothing was promoted, and which logs were held back."""
    return "; ".join(filter(None, (*night.gate, night.note)))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
