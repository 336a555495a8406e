"""What a policy answers to the examples of a batch, drawn again where that makes no pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from training.examples import formed
from training.methods import Task
from training.options import TrainingOptions
from training.pairs import Filtered, PairSet, collect
from training.policy import Policy
from training.samplers.base import FinishReason, Sample, Sampler, Sampling
from training.scorers.base import Scorer
from training.scorers.feedback import FeedbackScorer
from warehouse.records import PreferencePair


@dataclass(slots=True, kw_only=True)
class _Slot:
    """One task while answers are drawn for it."""

    task: Task
    samples: list[Sample] = field(default_factory=list)  # without objection
    reason: Filtered | None = None  # why it has too few, where it has
    prompt_cut: bool = False

    @property
    def cut_off(self) -> bool:
        return any(sample.finish_reason is FinishReason.LENGTH for sample in self.samples)

    @property
    def missing(self) -> int:
        if self.reason is Filtered.UNRENDERABLE:
            return 0
        return self.task.method.draws - len(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What became of tasks, in their order."""

    made: tuple[tuple[str, PreferencePair | Filtered], ...]  # with the method's name
    cut_off: tuple[bool, ...]  # an answer that was drawn reached max_new_tokens
    prompt_cut: tuple[bool, ...]  # the prompt was cut from the left
    redrawn: int  # samples drawn again

    def pairs(self) -> PairSet:
        """The pairs, and why the others made none."""
        whole = zip(self.made, self.cut_off, strict=True)
        cut = sum(cut for (_, one), cut in whole if isinstance(one, PreferencePair))
        return collect(list(self.made), cut_off=cut)


def draw(
    policy: Policy,
    tasks: Sequence[Task],
    options: TrainingOptions,
    sampler: Sampler,
    scorer: Scorer | None = None,
) -> Drawn:
    """Draw what each task's method asks for, and up to `options.resample` more that fail it.

    Raises TrainingFailed where a single prompt does not fit into memory.
    """
    slots = _slots(policy, tasks)
    first = sum(slot.missing for slot in slots)
    draws = 0
    for attempt in range(1 + options.resample):
        asked = [slot for slot in slots for _ in range(slot.missing)]
        if not asked:
            break
        prompts = [slot.task.method.asks(slot.task.example) for slot in asked]
        draws += len(asked)
        drawn = sampler.sample(prompts, sampling(options), options.seed + attempt)
        for slot, sample in zip(asked, drawn, strict=True):
            objection = slot.task.method.objection(slot.task.example, sample)
            slot.prompt_cut |= sample.prompt_cut
            if objection is None:
                slot.samples.append(sample)
            else:
                slot.reason = objection
    made = _paired(slots, scorer)
    if options.max_feedback_gain:
        made = _of_the_request(policy, slots, made, options)
    return Drawn(
        made=tuple(zip(_names(tasks), made, strict=True)),
        cut_off=tuple(slot.cut_off for slot in slots),
        prompt_cut=tuple(slot.prompt_cut for slot in slots),
        redrawn=max(draws - first, 0),
    )


def sampling(options: TrainingOptions) -> Sampling:
    """How answers to train on are drawn."""
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        max_new_tokens=options.max_new_tokens,
        max_prompt_tokens=options.max_prompt_tokens,
        batch=options.sample_batch,
    )


def _slots(policy: Policy, tasks: Sequence[Task]) -> list[_Slot]:
    takes_system = policy.takes_system()
    slots = []
    for task in tasks:
        example = formed(task.example, takes_system=takes_system)
        prompts = (task.method.asks(example), example.prompt)
        answers = example.answers or ("Hello.",)
        renders = all(policy.renders(prompt, answer) for prompt in prompts for answer in answers)
        slots.append(
            _Slot(
                task=Task(example=example, method=task.method),
                reason=None if renders else Filtered.UNRENDERABLE,
            )
        )
    return slots


def _of_the_request(
    policy: Policy,
    slots: Sequence[_Slot],
    made: Sequence[PreferencePair | Filtered],
    options: TrainingOptions,
) -> list[PreferencePair | Filtered]:
    """Without chosen answers that only what the user said next explains.

    Where that was another request, taken for a complaint, the policy answers that one.
    """
    kept = list(made)
    told = [
        (i, slot.task.example, pair)
        for i, (slot, pair) in enumerate(zip(slots, made, strict=True))
        if isinstance(pair, PreferencePair) and slot.task.method.told
    ]
    gain = FeedbackScorer(
        policy=policy, max_prompt_tokens=options.max_prompt_tokens, batch=options.batch_size
    )
    gains = gain.score([example for _, example, _ in told], [[one.chosen] for *_, one in told])
    for (i, _, _), (nats,) in zip(told, gains, strict=True):
        if nats > options.max_feedback_gain:
            kept[i] = Filtered.OFF_REQUEST
    return kept


def _names(tasks: Sequence[Task]) -> list[str]:
    return [task.method.name for task in tasks]


def _paired(slots: Sequence[_Slot], scorer: Scorer | None) -> list[PreferencePair | Filtered]:
    ranked = [i for i, slot in enumerate(slots) if slot.task.method.ranks and slot.samples]
    scores: dict[int, list[float]] = {}
    if ranked:
        assert scorer is not None, "a method that ranks needs a scorer"
        found = scorer.score(
            [slots[i].task.example for i in ranked],
            [[sample.text for sample in slots[i].samples] for i in ranked],
        )
        scores = dict(zip(ranked, found, strict=True))
    return [_pair(slot, scores.get(i, [])) for i, slot in enumerate(slots)]


def _pair(slot: _Slot, scores: Sequence[float]) -> PreferencePair | Filtered:
    method = slot.task.method
    if slot.reason is Filtered.UNRENDERABLE:
        return slot.reason
    if method.draws and len(slot.samples) < min(method.draws, 2):
        return slot.reason or Filtered.EMPTY
    return method.pair(slot.task.example, slot.samples, scores)
