"""Looking at a policy in the middle of its update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from training.diagnostics import score_pairs, score_tokens
from training.metrics import PairScore, Score, shift
from training.options import TrainingOptions
from training.policy import Policy
from training.samplers.base import Sample, Sampling
from training.samplers.hf import HfSampler
from training.watch import Look
from warehouse.records import PreferencePair

PROMPTS = 16  # held-out ones that are looked at: a look must cost little beside the update


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """Compares a policy with what it was when this was made."""

    policy: Policy
    pairs: tuple[PreferencePair, ...]  # held out
    answers: tuple[Sample, ...]  # of the policy as it was, to their prompts
    scores: tuple[Score, ...]  # of `answers`, by the policy as it was
    before: tuple[PairScore, ...]  # of `pairs`, likewise
    options: TrainingOptions

    def __call__(self, step: int) -> Look:
        """Now, after `step` steps."""
        training = self.policy.model.training
        self.policy.model.eval()
        try:
            answers = drawn(self.policy, self.pairs, self.options)
            now = score_tokens(self.policy, _rows(self.answers), batch=self.options.batch_size)
            moved = shift(self.before, _scored(self), self.options.beta)
        finally:
            self.policy.model.train(training)
        return Look(
            step=step,
            # The other direction than the gate's: these answers are drawn already, and need one
            # forward pass and no second model.
            kl=fmean(was.logp - now.logp for was, now in zip(self.scores, now, strict=True)),
            length_ratio=_tokens(answers) / max(_tokens(self.answers), 1.0),
            chosen_change=moved.chosen_change,
        )


def looker(
    policy: Policy, pairs: Sequence[PreferencePair], options: TrainingOptions
) -> Looker | None:
    """At a policy before its update; None where nothing is held out, or no look is wanted."""
    if not pairs or not options.stop.looks:
        return None
    some = tuple(pairs[:PROMPTS])
    answers = tuple(drawn(policy, some, options))
    batch = options.batch_size
    return Looker(
        policy=policy,
        pairs=some,
        answers=answers,
        scores=tuple(score_tokens(policy, _rows(answers), batch=batch)),
        before=tuple(score_pairs(policy, some, max_length=options.max_length, batch=batch)),
        options=options,
    )


def drawn(
    policy: Policy, pairs: Sequence[PreferencePair], options: TrainingOptions, answers: int = 1
) -> list[Sample]:
    """`answers` to each prompt at temperature 1, where the KL of samples is that of policies.

    The first of every prompt come first, then the second of every prompt, and so on.
    """
    parameters = Sampling(
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=options.max_new_tokens,
        max_prompt_tokens=options.max_prompt_tokens,
        batch=options.sample_batch,
    )
    prompts = [pair.prompt for pair in pairs] * answers
    return HfSampler(policy=policy).sample(prompts, parameters, options.seed)


def _scored(self: Looker) -> list[PairScore]:
    return score_pairs(
        self.policy,
        self.pairs,
        max_length=self.options.max_length,
        batch=self.options.batch_size,
    )


def _rows(samples: Sequence[Sample]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(sample.prompt, sample.tokens) for sample in samples]


def _tokens(samples: Sequence[Sample]) -> float:
    return fmean(len(sample.tokens) for sample in samples)
