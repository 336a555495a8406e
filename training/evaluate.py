"""What an update did to answers and pairs that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from training.compare import ByScore, Comparer, Told
from training.diagnostics import distinct_share, sampled_kl, score_pairs, score_tokens
from training.examples import Example
from training.judging.diversity import Answer, Coverage, coverage
from training.judging.winrate import Interval, win_rate
from training.look import drawn
from training.metrics import SATISFIED, Metrics, Slice, shift
from training.options import TrainingOptions
from training.policy import Policy
from training.prompts import Prompt, fit
from training.refusals import refuses
from training.samplers.base import FinishReason, Sample
from warehouse.records import PreferencePair

# At least so many answers of each policy: on fewer, length and KL are mostly chance.
ANSWERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What no stream is ever trained on. Prompts fit into the budget."""

    pairs: tuple[PreferencePair, ...]
    examples: tuple[Example, ...]  # of `pairs`, in their order
    canaries: tuple[Example, ...]  # with answers that their users were satisfied with


def evaluate(
    candidate: Policy,
    parent: Policy,
    base: Callable[[], Policy],
    held: HeldOut,
    options: TrainingOptions,
    comparer: Comparer | None,
) -> Metrics | None:
    """Compare two policies on what is held out; None where no pairs are.

    Both answer at temperature 1 and top_p 1, because only then the KL of the samples is the
    policies' own, and often enough for `ANSWERS` in all. `base` gives the policy that their line
    began with.
    """
    if not held.pairs:
        return None
    batch = options.batch_size
    before, after = (
        score_pairs(policy, held.pairs, max_length=options.max_length, batch=batch)
        for policy in (parent, candidate)
    )
    rounds = max(options.evaluation.answers, math.ceil(ANSWERS / len(held.pairs)))
    old, new = (drawn(policy, held.pairs, options, rounds) for policy in (parent, candidate))
    told = _told(held, new, old, comparer)
    preferred = _preferred(held, told)
    known = [one for one in preferred if not math.isnan(one[0])]
    return Metrics(
        pairs=shift(before, after, options.beta),
        kl=sampled_kl(candidate, parent, new, batch=batch),
        kl_base=sampled_kl(candidate, base(), new, batch=batch),
        length_ratio=_mean_tokens(new) / _mean_tokens(old),
        truncated_share=_truncated(new),
        truncated_rise=_truncated(new) - _truncated(old),
        distinct_share=distinct_share(new),
        slices=_slices(candidate, parent, held, old, new, options),
        win_rate=_mean(known) if known else None,
        judged_by=comparer.name if comparer else "",
        unjudged=len(preferred) - len(known),
        coverage=_coverage(held, old, new, comparer),
        judgement=told.judgement if told else None,
    )


def _told(
    held: HeldOut, new: Sequence[Sample], old: Sequence[Sample], comparer: Comparer | None
) -> Told | None:
    if comparer is None:
        return None
    examples = held.examples * (len(new) // len(held.pairs))
    return comparer.prefer(examples, [one.text for one in new], [one.text for one in old])


def _preferred(held: HeldOut, told: Told | None) -> list[tuple[float, str]]:
    """How often the candidate's answer is preferred, with the user, of every prompt."""
    if told is None:
        return []
    n = len(held.pairs)
    by_prompt = [[one for one in told.preferences[i::n] if not math.isnan(one)] for i in range(n)]
    return [
        (fmean(some) if some else math.nan, example.user)
        for some, example in zip(by_prompt, held.examples, strict=True)
    ]


def _coverage(
    held: HeldOut, old: Sequence[Sample], new: Sequence[Sample], comparer: Comparer | None
) -> dict[str, Coverage] | None:
    if not isinstance(comparer, ByScore):
        return None
    n = len(held.pairs)
    texts = {
        name: [[one.text for one in some[i::n]] for i in range(n)]
        for name, some in (("before", old), ("after", new))
    }
    answers = {
        name: [
            [Answer(text=text, reward=reward) for text, reward in zip(*both, strict=True)]
            for both in zip(some, comparer.scorer.score(held.examples, some), strict=True)
        ]
        for name, some in texts.items()
    }
    known = [a.reward for some in answers["before"] for a in some if not math.isnan(a.reward)]
    return coverage(answers, threshold=median(known)) if known else None


def _slices(
    candidate: Policy,
    parent: Policy,
    held: HeldOut,
    old: Sequence[Sample],
    new: Sequence[Sample],
    options: TrainingOptions,
) -> tuple[Slice, ...]:
    """The canaries: answers that satisfied, and what every answer must keep to."""
    users = [example.user for example in held.examples] * (len(new) // len(held.examples))
    found = [
        _slice("format", [_whole(one) for one in old], [_whole(one) for one in new], users),
        _slice("refusals", [_willing(one) for one in old], [_willing(one) for one in new], users),
    ]
    if held.canaries:
        likely = [_likelihoods(policy, held.canaries, options) for policy in (parent, candidate)]
        users = [example.user for example in held.canaries]
        found.append(_slice(SATISFIED, likely[0], likely[1], users))
    return tuple(found)


def _mean(preferred: Sequence[tuple[float, str]]) -> Interval:
    values, users = zip(*preferred, strict=True)
    return win_rate(values, users, seed=0)


def _slice(name: str, old: Sequence[float], new: Sequence[float], users: Sequence[str]) -> Slice:
    change = [after - before for before, after in zip(old, new, strict=True)]
    return Slice(
        name=name, before=fmean(old), after=fmean(new), change=win_rate(change, users, seed=0)
    )


def _likelihoods(
    policy: Policy, canaries: Sequence[Example], options: TrainingOptions
) -> list[float]:
    """Nats a token that a policy gives the answers that satisfied."""
    rows = []
    for example in canaries:
        asked, answered = policy.answer_ids(example.prompt, example.accepted or "")
        rows.append((asked, answered[: max(options.max_length - len(asked), 0)]))
    return [score.per_token for score in score_tokens(policy, rows, batch=options.batch_size)]


def fitted(policy: Policy, example: Example, limit: int) -> Prompt:
    """An example's prompt within its budget."""
    return fit(example.prompt, limit, policy.prompt_size).prompt


def _whole(sample: Sample) -> float:
    return float(bool(sample.text.strip()) and sample.finish_reason is FinishReason.STOP)


def _willing(sample: Sample) -> float:
    return float(not refuses(sample.text))


def _truncated(samples: Sequence[Sample]) -> float:
    return fmean(sample.finish_reason is FinishReason.LENGTH for sample in samples)


def _mean_tokens(samples: Sequence[Sample]) -> float:
    return fmean(len(sample.tokens) for sample in samples)
