"""What every scorer promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from warehouse.records import DsatTurn


class Scorer(Protocol):
    """Ranks answers. Scores of one scorer compare with each other, and with nobody else's."""

    @property
    def name(self) -> str:
        """What scores, for manifests and reports."""
        ...

    def score(
        self, turns: Sequence[DsatTurn], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """A score for each answer; higher is better. NaN where it cannot say: callers count those.

        answers[i] are candidates for the answer to turns[i].context, any number of them; the
        scores have the same shape.
        """
        ...
