"""A scorer that is asked about the same answers more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from training.examples import Example
from training.scorers.base import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Scores each answer to an example once, and remembers it: a reward model takes its time."""

    scorer: Scorer
    known: dict[tuple[Example, str], float] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The scorer's."""
        return self.scorer.name

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """See `Scorer.score`."""
        pairs = [(e, text) for e, some in zip(examples, answers, strict=True) for text in some]
        if new := [pair for pair in dict.fromkeys(pairs) if pair not in self.known]:
            found = self.scorer.score([e for e, _ in new], [[text] for _, text in new])
            self.known.update(zip(new, (score for (score,) in found), strict=True))
        scores = iter(self.known[pair] for pair in pairs)
        return [[next(scores) for _ in some] for some in answers]
