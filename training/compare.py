"""Which of two answers is better, by a scorer or by whatever else can tell. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from training.examples import Example
from training.judging.judgement import Judgement
from training.scorers.base import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was said of pairs of answers."""

    preferences: list[float]  # 1 where ours is better, 0 where theirs is, 0.5 a tie; NaN: no word
    judgement: Judgement | None = None  # a judge's, of all the pairs


class Comparer(Protocol):
    """Prefers one of two answers."""

    @property
    def name(self) -> str:
        """As manifests and reports call it."""

    def prefer(
        self, examples: Sequence[Example], ours: Sequence[str], theirs: Sequence[str]
    ) -> Told:
        """Ours against theirs, pair by pair."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ByScore:
    """The answer with the higher score."""

    scorer: Scorer

    @property
    def name(self) -> str:
        """The scorer's."""
        return self.scorer.name

    def prefer(
        self, examples: Sequence[Example], ours: Sequence[str], theirs: Sequence[str]
    ) -> Told:
        """See `Comparer.prefer`."""
        both = list(zip(ours, theirs, strict=True))
        scores = self.scorer.score(examples, both)
        return Told(preferences=[_preferred(*some) for some in scores])


def _preferred(ours: float, theirs: float) -> float:
    if math.isnan(ours) or math.isnan(theirs):
        return math.nan
    return 0.5 if ours == theirs else float(ours > theirs)
