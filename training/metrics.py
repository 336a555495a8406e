"""The figures that an update is judged by. Pure.

With π the policy after the update and ρ before it, a pair's margin is
s = β[log π(y+|x)/ρ(y+|x) − log π(y−|x)/ρ(y−|x)], and σ(−s) is the weight of its gradient
(DPO, arXiv 2305.18290). Margins are reported and never decide: they keep growing while a policy
collapses (docs/training.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from training.judging.diversity import Coverage
from training.judging.judgement import Judgement
from training.judging.winrate import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a policy thinks of one answer."""

    logp: float  # nats, of the whole answer
    tokens: int  # of the answer

    @property
    def per_token(self) -> float:
        """Mean log-probability of a token, nats."""
        return self.logp / max(self.tokens, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """What a policy thinks of both answers of a pair."""

    chosen: Score
    rejected: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How an update moved a set of pairs; means over the pairs."""

    pairs: int
    accuracy: float  # share with a margin above 0
    margin: float  # s
    weight: float  # σ(−s): 0.5 at the start, towards 0 as the pairs are learned
    open_share: float  # share with σ(−s) >= 0.5: not learned yet
    chosen_change: float  # nats a token
    rejected_change: float  # nats a token


SATISFIED = "satisfied"  # the slice whose values are log-probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One thing that must not get worse, on answers or prompts that are held out."""

    name: str  # format | refusals, shares of the answers; SATISFIED, nats a token
    before: float  # mean, of the parent
    after: float  # of the candidate
    change: Interval  # of `after` − `before`; higher is better


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """A candidate against its parent on held-out turns."""

    pairs: Shift  # chosen answers drawn from the parent, rejected ones from the log
    kl: float  # nats an answer, candidate to parent
    kl_base: float  # nats an answer, candidate to the policy that its line began with
    length_ratio: float  # mean tokens of an answer, candidate to parent
    truncated_share: float  # of the candidate's answers, cut off by max_new_tokens
    truncated_rise: float  # that share, less the parent's
    distinct_share: float  # of the candidate's answers
    slices: tuple[Slice, ...]
    win_rate: Interval | None  # over the parent, by prompts; None where nothing judges
    judged_by: str  # what judged; "" = nothing
    unjudged: int  # prompts that it had no word on
    # By a reward model: "before" and "after", how many of the good answers of both each finds; good
    # is what the parent's own better half is. None where nothing scores.
    coverage: dict[str, Coverage] | None = None
    judgement: Judgement | None = None  # beside the win rate, never decisive; None without a judge


def shift(before: Sequence[PairScore], after: Sequence[PairScore], beta: float) -> Shift:
    """Compare the scores of the same pairs before and after an update; at least one pair."""
    moved = margins(before, after, beta)
    weights = [_sigmoid(-margin) for margin in moved]
    both = list(zip(before, after, strict=True))
    return Shift(
        pairs=len(both),
        accuracy=fmean(margin > 0 for margin in moved),
        margin=fmean(moved),
        weight=fmean(weights),
        open_share=fmean(weight >= 0.5 for weight in weights),
        chosen_change=fmean(a.chosen.per_token - b.chosen.per_token for b, a in both),
        rejected_change=fmean(a.rejected.per_token - b.rejected.per_token for b, a in both),
    )


def margins(before: Sequence[PairScore], after: Sequence[PairScore], beta: float) -> list[float]:
    """s of every pair."""
    return [
        beta * ((a.chosen.logp - b.chosen.logp) - (a.rejected.logp - b.rejected.logp))
        for b, a in zip(before, after, strict=True)
    ]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
