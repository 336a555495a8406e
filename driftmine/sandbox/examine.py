"""How good a policy truly is: its answers to held-out requests, checked against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from driftmine.sandbox.product import SERVED
from driftmine.sandbox.tasks import Task
from driftmine.sandbox.truth import Fault, faults
from training.samplers.base import Sample, Sampler, Sampling
from warehouse.records import Message, Role

SAMPLES = 4  # of each request
_GREEDY = Sampling(
    temperature=0.0,
    top_p=1.0,
    max_new_tokens=SERVED.max_new_tokens,
    max_prompt_tokens=SERVED.max_prompt_tokens,
    batch=SERVED.batch,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Means over held-out requests."""

    sampled: float  # share of right answers, as the product serves them
    greedy: float  # share of right answers, each token the likeliest
    distinct: float  # different right answers among SAMPLES to one request
    tokens: float  # of a sampled answer
    faults: dict[str, float]  # fault -> share of sampled answers that have it


def examine(sampler: Sampler, tasks: Sequence[Task], seed: int) -> Examined:
    """Let the policy behind `sampler` answer every task, `SAMPLES` times and once greedily."""
    asked = [(Message(role=Role.USER, content=task.request),) for task in tasks]
    drawn = sampler.sample(asked * SAMPLES, SERVED, seed)
    surest = sampler.sample(asked, _GREEDY, seed)
    whole = list(tasks) * SAMPLES
    broken = [faults(task, one.text) for task, one in zip(whole, drawn, strict=True)]
    n = len(tasks)
    right = [
        {one.text for one, wrong in zip(drawn[i::n], broken[i::n], strict=True) if not wrong}
        for i in range(n)
    ]
    return Examined(
        sampled=fmean(not wrong for wrong in broken),
        greedy=fmean(_right(task, one) for task, one in zip(tasks, surest, strict=True)),
        distinct=fmean(len(texts) for texts in right),
        tokens=fmean(len(one.tokens) for one in drawn),
        faults={f.value: fmean(f in wrong for wrong in broken) for f in Fault},
    )


def _right(task: Task, sample: Sample) -> bool:
    return not faults(task, sample.text)
