"""How good a policy truly is: its answers to held-out requests, checked against the truth."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from driftmine.sandbox.product import SERVED
from driftmine.sandbox.tasks import Task, gist
from driftmine.sandbox.truth import faults
from driftmine.sandbox.users import User, complaint
from training.examples import Example
from training.methods import guided_prompt
from training.options import TrainingOptions
from training.samplers.base import Sample, Sampler
from warehouse.records import Message, Role

SAMPLES = 4  # of each request
_GREEDY = replace(SERVED, temperature=0.0)
# As chosen answers are drawn, by default: a policy that only grew surer of itself gains in
# `sampled`, and not here.
_DEFAULTS = TrainingOptions()
_DRAWN = replace(SERVED, temperature=_DEFAULTS.temperature, top_p=_DEFAULTS.top_p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Means over held-out requests."""

    sampled: float  # share of right answers, as the product serves them
    error: float  # standard error of `sampled`, over tasks
    drawn: float  # share of right answers at the temperature that training draws by
    greedy: float  # share of right answers, each token the likeliest
    told: float | None  # the same where a user has said what was wrong; None: nothing was
    distinct: float  # different right answers among SAMPLES to one request
    tokens: float  # of a sampled answer


def examine(sampler: Sampler, tasks: Sequence[Task], seed: int) -> Examined:
    """Let the policy behind `sampler` answer every task, `SAMPLES` times and once greedily."""
    asked = [(Message(role=Role.USER, content=task.request),) for task in tasks]
    served = sampler.sample(asked * SAMPLES, SERVED, seed)
    colder = sampler.sample(asked * SAMPLES, _DRAWN, seed)
    surest = sampler.sample(asked, _GREEDY, seed)
    whole = list(tasks) * SAMPLES
    broken = [faults(task, one.text) for task, one in zip(whole, served, strict=True)]
    n = len(tasks)
    right = [
        {one.text for one, wrong in zip(served[i::n], broken[i::n], strict=True) if not wrong}
        for i in range(n)
    ]
    return Examined(
        sampled=fmean(not wrong for wrong in broken),
        error=_error(tasks, [fmean(not wrong for wrong in broken[i::n]) for i in range(n)]),
        drawn=fmean(_right(task, one) for task, one in zip(whole, colder, strict=True)),
        greedy=fmean(_right(task, one) for task, one in zip(tasks, surest, strict=True)),
        told=_told(sampler, tasks, served[:n], seed),
        distinct=fmean(len(texts) for texts in right),
        tokens=fmean(len(one.tokens) for one in served),
    )


def _error(tasks: Sequence[Task], shares: Sequence[float]) -> float:
    """Standard error of the mean of `shares`; those of one task in other words vary together."""
    mean = fmean(shares)
    off: defaultdict[str, float] = defaultdict(float)
    for task, share in zip(tasks, shares, strict=True):
        off[gist(task)] += share - mean
    return math.hypot(*off.values()) / len(shares)


def _told(
    sampler: Sampler, tasks: Sequence[Task], served: Sequence[Sample], seed: int
) -> float | None:
    """Right answers among second ones, drawn as DRIFT draws what it chooses."""
    rng = random.Random(seed)
    wrong, prompts = [], []
    for task, one in zip(tasks, served, strict=True):
        broken = tuple(sorted(faults(task, one.text)))
        if not broken:
            continue
        user = User(id="examiner", language=task.language, hostile=False, rng=rng)
        _, feedback = complaint(user, task, broken)
        asked = (Message(role=Role.USER, content=task.request),)
        said = Example(turn_id="", prompt=asked, rejected=one.text, feedback=feedback)
        wrong.append(task)
        prompts.append(guided_prompt(said))
    if not wrong:
        return None
    again = sampler.sample(prompts, _DRAWN, seed)
    return fmean(_right(task, one) for task, one in zip(wrong, again, strict=True))


def _right(task: Task, sample: Sample) -> bool:
    return not faults(task, sample.text)
