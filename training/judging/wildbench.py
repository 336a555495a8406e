"""WildBench's score and reward, from judges' replies. Pure.

Lin et al. 2024, arXiv:2406.04770, as its program computes its published tables: nothing is
rounded, and the leaderboard shows ten times the figures here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from statistics import fmean


class Group(StrEnum):
    """What an item is about; the words are those of the published tables."""

    PLANNING = "Planning & Reasoning"
    CODING = "Coding & Debugging"
    MATH = "Math & Data Analysis"
    INFORMATION = "Information/Advice seeking"
    CREATIVE = "Creative Tasks"


WEIGHTS: Mapping[Group, float] = {
    Group.PLANNING: 1.25,
    Group.CODING: 1.25,
    Group.MATH: 1.0,
    Group.INFORMATION: 0.75,
    Group.CREATIVE: 0.5,
}


class Grade(StrEnum):
    """A judge's choice between answers A and B."""

    A_MUCH = "A++"
    A = "A+"
    TIE = "A=B"
    B = "B+"
    B_MUCH = "B++"


REWARDS: Mapping[Grade, float] = {
    Grade.A_MUCH: 1.0,
    Grade.A: 0.5,
    Grade.TIE: 0.0,
    Grade.B: -0.5,
    Grade.B_MUCH: -1.0,
}


def adjusted(scores: Collection[float]) -> float:
    """(mean - 5) · 2 of scores from 1 to 10: from -8 to 10; NaN where there are none.

    A fair answer, 5, so counts as nothing, and a worse one as less.
    """
    return (fmean(scores) - 5) * 2 if scores else float("nan")


def macro(scores: Mapping[Group, float]) -> float:
    """The weighted mean Σ w·score / Σ w over the groups that are there; NaN where none is.

    The published program divides by the weights of all five, whichever are there; of a full
    set of groups both say the same.
    """
    total = sum(WEIGHTS[group] for group in scores)
    if not total:
        return float("nan")
    return sum(WEIGHTS[group] * score for group, score in scores.items()) / total


# K of the published leaderboard, unless another is asked for there.
LENGTH_MARGIN = 500


def reward(
    grade: Grade, chars_a: int = 0, chars_b: int = 0, *, length_margin: int | None = None
) -> float:
    """What a grade is worth to A, from -1 to 1; to B it is worth the opposite.

    `length_margin` is K: a slight win becomes a tie where the winner is more than so many
    characters longer. None: length does not count.
    """
    worth = REWARDS[grade]
    longer = chars_a - chars_b if worth > 0 else chars_b - chars_a
    if length_margin is not None and abs(worth) == 0.5 and longer > length_margin:
        return 0.0
    return worth
