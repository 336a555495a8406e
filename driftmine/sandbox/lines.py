"""How a group of runs is drawn: a line for its mean, thin ones for its seeds, a name at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from driftmine.report.drawing import SOFT
from driftmine.sandbox.groups import Figure, Group
from driftmine.sandbox.results import RunResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

Base = Callable[[RunResult], float]  # a figure of the policy that a run began with

# Of Okabe and Ito, told apart by the colour-blind too; the marker says the same once more.
_METHODS = {"drift": ("#d55e00", "o"), "iterdpo": ("#0072b2", "s"), "spin": ("#009e73", "^")}
_OTHER = ("#7a5195", "D")
# What tells variants of a method apart: dashes, and how much of black (below 0: of white) there is.
_VARIANTS = (
    ((), 0.0), ((4, 1.4), 0.45), ((1, 1.1), -0.35), ((6, 1.4, 1, 1.4), 0.7), ((8, 2), -0.6),
)  # fmt: skip
_GAP = 0.088  # of an axis' height, between the middles of two names
_LEAST = 0.1  # of a share's axis: less would make chance look like news


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Of one group, the same in all plots."""

    colour: str
    marker: str
    dashes: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a line ends, and what is written there."""

    text: str
    x: float
    y: float
    colour: str


def looks(groups: Sequence[Group]) -> dict[str, Look]:
    """The look of each group, by its name."""
    seen: dict[str, int] = {}
    found = {}
    for group in groups:
        nth = seen.get(group.method, 0)
        seen[group.method] = nth + 1
        colour, marker = _METHODS.get(group.method, _OTHER)
        dashes, black = _VARIANTS[nth % len(_VARIANTS)]
        found[group.name] = Look(colour=_mixed(colour, black), marker=marker, dashes=dashes)
    return found


def _mixed(colour: str, black: float) -> str:
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    target = 0 if black > 0 else 255
    return "#" + "".join(f"{round(c + (target - c) * abs(black)):02x}" for c in channels)


def draw(
    axes: Axes, group: Group, look: Look, figure: Figure, base: Base | None = None, *,
    hollow: bool = False,
) -> list[End]:  # fmt: skip
    """Draw one figure of a group, from the base as night 0 where it has that.

    Gives the mean's end, or none where no night has the figure.
    """
    first = 0 if base else 1
    if len(group.runs) > 1:
        for run in group.runs:
            values = [*([base(run)] if base else ()), *map(figure, run.nights)]
            x = range(first, first + len(values))
            axes.plot(x, _plotted(values), color=look.colour, linewidth=0.8, alpha=0.4)
    means = [*([fmean(map(base, group.runs))] if base else ()), *group.means(figure)]
    y = _plotted(means)
    axes.plot(
        range(first, first + len(y)), y, color=look.colour, linewidth=2.0, marker=look.marker,
        markersize=5, markerfacecolor="white" if hollow else look.colour, markeredgewidth=1.3,
        linestyle=(0, look.dashes) if look.dashes else "-", zorder=3, label=group.label,
    )  # fmt: skip
    there = np.flatnonzero(np.isfinite(y))
    if not len(there):
        return []
    at = there[-1]
    return [End(text=group.label, x=first + float(at), y=float(y[at]), colour=look.colour)]


def _plotted(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def name_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Write names right of the lines' ends, pushed apart where they would overlap.

    To be called when the axis of values has its range.
    """
    places = axes.transAxes.inverted()
    heights = [float(places.transform(axes.transData.transform((e.x, e.y)))[1]) for e in ends]
    for end, height in zip(ends, _apart(heights), strict=True):
        axes.annotate(
            end.text, (end.x, end.y), xytext=(1.03, height), textcoords="axes fraction",
            color=end.colour, fontsize=9.5, va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": end.colour, "linewidth": 0.7, "alpha": 0.6,
                        "shrinkA": 1, "shrinkB": 5},
        )  # fmt: skip


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights in their order, `_GAP` apart at least, about where they were."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    # Each block of names that touch is set around the mean of where its names would be.
    blocks: list[tuple[float, list[int]]] = []
    for i in order:
        blocks.append((heights[i], [i]))
        while len(blocks) > 1 and _touch(blocks[-2], blocks[-1]):
            (_, above), (_, below) = blocks.pop(), blocks.pop()
            both = below + above
            blocks.append((fmean(heights[j] for j in both), both))
    found = [0.0] * len(heights)
    for middle, names in blocks:
        for place, i in enumerate(names):
            found[i] = middle + (place - (len(names) - 1) / 2) * _GAP
    return found


def _touch(low: tuple[float, list[int]], high: tuple[float, list[int]]) -> bool:
    return high[0] - low[0] < _GAP * (len(low[1]) + len(high[1])) / 2


def nights(axes: Axes, last: int, *, first: int = 1) -> None:
    """The axis of nights, whole ones; night 0 is the base."""
    step = max(1, math.ceil((last - first) / 6))
    at = [night for night in range(first, last + 1) if night % step == 0]
    axes.set_xticks(at, ["base" if night == 0 else str(night) for night in at])
    room = max(0.04 * (last - first), 0.08) if last > first else 0.5
    axes.set_xlim(first - room, last + room)
    axes.set_xlabel("night")


def shares(axes: Axes) -> None:
    """An axis of shares, in percent, of `_LEAST` or more. To be called when all is drawn."""
    low, high = axes.get_ylim()
    short = max(_LEAST - (high - low), 0.0) / 2
    axes.set_ylim(max(low - short, 0.0), high + short)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")


def logarithmic(axes: Axes, bound: float) -> None:
    """A logarithmic axis with plain numbers, and a limit. To be called when all is drawn."""
    axes.set_yscale("log")
    limit(axes, bound)
    low, high = axes.get_ylim()
    steps = (digit * 10.0**power for power in range(-4, 4) for digit in (1, 3))
    axes.set_yticks([step for step in steps if low <= step <= high])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()


def limit(axes: Axes, value: float) -> None:
    """A limit of the gate, named on the side of its line where there is more room."""
    axes.axhline(value, color=SOFT, linewidth=1, linestyle="--", zorder=1)
    pixels = axes.transData.transform((0, value))
    upper = axes.transAxes.inverted().transform(pixels)[1] > 0.5
    axes.annotate(
        f"limit {value:g}", (0.01, value), xycoords=axes.get_yaxis_transform(),
        xytext=(0, -3 if upper else 2), textcoords="offset points", color=SOFT, fontsize=8,
        va="top" if upper else "bottom",
    )  # fmt: skip
