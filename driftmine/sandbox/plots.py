"""Plots of sandbox runs, as PNG: the loop, the updates, the answers, the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from driftmine.report.drawing import INK, png
from driftmine.sandbox import lines
from driftmine.sandbox.groups import Figure as Value
from driftmine.sandbox.groups import Group
from driftmine.sandbox.lines import Base, Look
from driftmine.sandbox.results import NightResult
from training.options import GateOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("loop", "update", "answers", "seconds")
STAGES = {"serve": "#56b4e9", "ingest": "#e69f00", "mine": "#009e73", "train": "#0072b2",
          "report": "#cc79a7", "examine": "#b8c0c8"}  # fmt: skip
_LIMITS = GateOptions()
_LEAST_KL = 0.003  # nats: what is less, or by chance below 0, lies on the axis
_MOST_TOLD = 12  # held candidates whose reward is written beside them
_MOST_ENDS, _LONGEST_END = 4, 14  # names at the lines' ends; more, or longer ones, have a legend
_ASIDE = 0.014  # of the axis: how far groups stand from each other on one night
_COLUMNS = 3  # of the panels of seconds

Groups = Sequence[Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure of all groups, and the base's where it has that."""

    value: Value
    base: Base | None = None


def draw(groups: Groups) -> dict[str, bytes]:
    """Every plot: name -> PNG. Raises MissingExtra without matplotlib."""
    rows = math.ceil(len(groups) / _COLUMNS)
    return {
        "loop": png(_loop, (10.0, 5.625), groups),
        "update": png(_update, (10.0, 5.625), groups),
        "answers": png(_answers, (10.0, 3.6), groups),
        "seconds": png(_seconds, (10.0, 1.0 + 2.6 * rows), groups),
    }


def _loop(figure: Figure, groups: Groups) -> None:
    (reward, rate), (detector, gate) = figure.subplots(2, 2)
    right = Series(value=lambda night: night.true_reward, base=lambda run: run.base_reward)
    _panel(reward, groups, "True reward: right answers", right, share=True, named=True)
    _panel(
        rate, groups, "Dissatisfied users: ● truth, ○ as mined",
        Series(value=lambda night: night.dsat_true),
        Series(value=lambda night: night.dsat_mined),
        share=True,
    )  # fmt: skip
    _panel(
        detector, groups, "Detector in the loop: ● precision, ○ recall",
        Series(value=lambda night: night.detector_precision),
        Series(value=lambda night: night.detector_recall),
        share=True,
    )  # fmt: skip
    _gate(gate, groups)


def _update(figure: Figure, groups: Groups) -> None:
    (reward, margin, norm), (kl, length, chosen) = figure.subplots(2, 3)
    new = Series(value=lambda night: night.candidate_reward, base=lambda run: run.base_reward)
    _panel(reward, groups, "True reward, new version", new, share=True, named=True)
    _panel(margin, groups, "Margin (no limit)", Series(value=lambda night: night.margin))
    before = Series(value=lambda night: night.gradient_norm)
    _panel(norm, groups, "Gradient norm (no limit)", before)
    _panel(kl, groups, "KL to the base, nats", Series(value=lambda night: _kl(night.kl_base)))
    lines.logarithmic(kl, _LIMITS.max_kl_base)
    longer = Series(value=lambda night: night.length_ratio)
    _panel(length, groups, "Length, to the champion's", longer)
    lines.limit(length, _LIMITS.max_length_ratio)
    change = Series(value=lambda night: night.chosen_change)
    _panel(chosen, groups, "Chosen, nats a token", change)
    lines.limit(chosen, -_LIMITS.max_chosen_drop)


def _answers(figure: Figure, groups: Groups) -> None:
    right, distinct, tokens = figure.subplots(1, 3)
    _panel(
        right, groups, "Right: ● sampled, ○ greedy",
        Series(value=lambda night: night.true_reward, base=lambda run: run.base_reward),
        Series(value=lambda night: night.greedy_reward, base=lambda run: run.base_greedy),
        share=True,
    )  # fmt: skip
    four = Series(value=lambda night: night.distinct_correct, base=lambda run: run.base_distinct)
    _panel(distinct, groups, "Different right ones of four", four)
    _panel(tokens, groups, "Tokens an answer", Series(value=lambda n: n.tokens), named=True)


def _panel(
    axes: Axes, groups: Groups, title: str, *series: Series, share: bool = False,
    named: bool = False,
) -> None:  # fmt: skip
    """Lines of one figure or two, the second with hollow marks.

    Groups are named in one panel of a plot: they have the same colours in all.
    """
    looks = lines.looks(groups)
    ends = [
        end
        for nth, one in enumerate(series)
        for group in groups
        for end in lines.draw(axes, group, looks[group.name], one.value, one.base, hollow=nth > 0)
    ]
    axes.set_title(title)
    lines.nights(axes, _last(groups), first=0 if series[0].base else 1)
    if share:
        lines.shares(axes)
    short = max(len(group.label) for group in groups) <= _LONGEST_END
    if named and short and len(groups) <= _MOST_ENDS:
        lines.name_ends(axes, ends)
    elif named:
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=4)


def _gate(axes: Axes, groups: Groups) -> None:
    """KL to the champion of every update, promoted or held."""
    looks = lines.looks(groups)
    lines.nights(axes, _last(groups))
    low, high = axes.get_xlim()
    held: list[tuple[float, float, float | None]] = []
    for nth, group in enumerate(groups):
        aside = (nth - (len(groups) - 1) / 2) * min(_ASIDE, 0.07 / len(groups)) * (high - low)
        for night in (night for run in group.runs for night in run.nights):
            kl = _kl(night.kl)
            if kl is None:
                continue
            _mark(axes, night.night + aside, kl, looks[group.name], night.promoted)
            if not night.promoted:
                held.append((night.night + aside, kl, night.candidate_reward))
    axes.set_title("KL to the champion: ● promoted, ○ held")
    lines.logarithmic(axes, _LIMITS.max_kl)
    if len(held) <= _MOST_TOLD:
        for x, y, reward in held:
            _told(axes, x, y, reward, left=x > (low + high) / 2)


def _mark(axes: Axes, x: float, y: float, look: Look, filled: bool) -> None:
    axes.plot(
        x, y, marker=look.marker, markersize=6, color=look.colour, markeredgewidth=1.3,
        markerfacecolor=look.colour if filled else "white", zorder=3, clip_on=False,
    )  # fmt: skip


def _told(axes: Axes, x: float, y: float, reward: float | None, *, left: bool) -> None:
    """The true reward of a candidate that was held, beside its mark."""
    if reward is not None:
        axes.annotate(
            f"{reward:.0%} right", (x, y), xytext=(-7 if left else 7, 0),
            textcoords="offset points", fontsize=8.5, color=INK, va="center",
            ha="right" if left else "left",
        )  # fmt: skip


def _seconds(figure: Figure, groups: Groups) -> None:
    """A panel a group, the same scale in all; a night's bar is the mean over the runs."""
    rows, last = math.ceil(len(groups) / _COLUMNS), _last(groups)
    panels = figure.subplots(
        rows, min(len(groups), _COLUMNS), sharey=True, squeeze=False
    ).ravel()  # fmt: skip
    for axes in panels[len(groups) :]:
        axes.set_visible(False)
    for axes, group in zip(panels, groups, strict=False):
        bottom = np.zeros(group.nights)
        for stage, colour in STAGES.items():
            took = np.array(group.means(partial(_took, stage)))
            axes.bar(range(1, group.nights + 1), took, 0.7, bottom, color=colour, label=stage)
            bottom += took
        axes.set_title(group.label)
        lines.nights(axes, last)
        axes.set_xlim(0.4, max(last, 3) + 0.6)
        axes.grid(axis="x", visible=False)
    for axes in panels[::_COLUMNS]:
        axes.set_ylabel("seconds")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=len(STAGES))


def _took(stage: str, night: NightResult) -> float:
    return night.seconds.get(stage, 0.0)


def _kl(value: float | None) -> float | None:
    return None if value is None else max(value, _LEAST_KL)


def _last(groups: Groups) -> int:
    return max(group.nights for group in groups)
