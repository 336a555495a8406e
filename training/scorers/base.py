"""What every scorer promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from training.examples import Example


class Scorer(Protocol):
    """Says how good answers are."""

    @property
    def name(self) -> str:
        """As manifests and reports call it."""

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """A score for every answer: `answers[i]` are some to `examples[i].prompt`.

        Higher is better; scores of two scorers do not compare. NaN where it cannot say: callers
        count those.
        """
        ...
