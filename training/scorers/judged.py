"""Scores by a judge's rating from 1 to 10."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from endpoint.outcome import Unanswered
from training.examples import Example
from training.judging.judge import Judge, Progress
from training.judging.questions import Candidate, rate_prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedScorer:
    """Asks a judge about each answer, by its conversation alone: not by what the user said next."""

    judge: Judge
    progress: Progress | None = None

    @property
    def name(self) -> str:
        """See `Scorer.name`."""
        return f"judged:{self.judge.model}:{rate_prompt().id}"

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """See `Scorer.score`. NaN where the judge gave no usable reply.

        Raises SourceUnavailable where that is more than `max_failed_share` of the answers.
        """
        asked = [
            Candidate(context=example.prompt, answer=answer)
            for example, candidates in zip(examples, answers, strict=True)
            for answer in candidates
        ]
        said = iter(self.judge.rate(asked, self.progress))
        return [[_number(next(said)) for _ in candidates] for candidates in answers]


def _number(said: float | Unanswered) -> float:
    return math.nan if isinstance(said, Unanswered) else said
