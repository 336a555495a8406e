"""Ranking answers by the user's own feedback, with no model but the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.diagnostics import score_tokens
from training.examples import Example
from training.methods import guided_prompt
from training.policy import Policy
from training.prompts import Prompt, fit


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackScorer:
    """How much likelier an answer becomes once the policy reads what the user complained of.

    log π(y | x, y−, f, guidance) − log π(y | x), in nats a token of y: the pointwise mutual
    information of answer and feedback, as the policy sees it. Lengths cancel, and an answer that
    repeats the fault is not made likelier by the complaint about it. A weak judge of quality, and
    none of truth: a reward model or a judge is better where there is one.
    """

    policy: Policy
    max_prompt_tokens: int
    batch: int
    name: str = "feedback"

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """See `Scorer.score`."""
        rows = []
        for example, some in zip(examples, answers, strict=True):
            told = self._fitted(guided_prompt(example))
            plain = self._fitted(example.prompt)
            for answer in some:
                rows += [self.policy.answer_ids(prompt, answer) for prompt in (told, plain)]
        scores = score_tokens(self.policy, rows, batch=self.batch)
        gains = iter(
            told.per_token - plain.per_token
            for told, plain in zip(scores[::2], scores[1::2], strict=True)
        )
        return [[next(gains) for _ in some] for some in answers]

    def _fitted(self, prompt: Prompt) -> Prompt:
        return fit(prompt, self.max_prompt_tokens, self.policy.prompt_size).prompt
