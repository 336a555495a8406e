"""How good a policy truly is: right answers counted, and different ones among them."""

import random

from driftmine.sandbox.examine import SAMPLES, examine
from driftmine.sandbox.habits import write
from driftmine.sandbox.tasks import Family, draw_held_out
from driftmine.sandbox.truth import Fault
from training.samplers.base import FinishReason, Sample

TASKS = draw_held_out(random.Random(0), 20)


class Told:
    """Answers in the order of `TASKS`, right where `right` says so of the task and the draw."""

    def __init__(self, right, seed=None):
        self.right = right
        self.seed = seed  # of every answer; None: each is another

    def sample(self, prompts, parameters, seed):
        greedy = parameters.temperature == 0
        return [self._answer(i % len(TASKS), i // len(TASKS), greedy) for i in range(len(prompts))]

    def _answer(self, number, draw, greedy):
        rng = random.Random(self.seed if self.seed is not None else f"{number} {draw}")
        right = self.right(number, draw, greedy)
        text = write(TASKS[number], rng, {}) if right else "?"
        return Sample(
            text=text, prompt=(), tokens=(1,) * 5, finish_reason=FinishReason.STOP, prompt_cut=False
        )


def test_a_policy_that_is_always_right():
    found = examine(Told(lambda *_: True), TASKS, 0)
    assert (found.sampled, found.greedy, found.tokens) == (1, 1, 5)
    assert 1 < found.distinct <= SAMPLES
    assert {*found.faults} == {*Fault} and {*found.faults.values()} == {0}


def test_a_policy_that_is_always_wrong():
    found = examine(Told(lambda *_: False), TASKS, 0)
    assert (found.sampled, found.greedy, found.distinct) == (0, 0, 0)
    assert found.faults[Fault.CATEGORY] > 0.5


def test_samples_and_the_surest_answer_are_told_apart():
    found = examine(Told(lambda number, draw, greedy: greedy), TASKS, 0)
    assert (found.sampled, found.greedy) == (0, 1)


def test_the_samples_of_a_task_are_compared_with_each_other():
    found = examine(Told(lambda number, *_: number % 2 == 0, seed=1), TASKS, 0)
    assert (found.sampled, found.greedy, found.distinct) == (0.5, 0.5, 0.5)


def test_a_share_of_samples():
    found = examine(Told(lambda number, draw, greedy: draw == 0), TASKS, 0)
    assert (found.sampled, found.distinct) == (1 / SAMPLES, 1)


def test_examinations_ask_of_every_kind():
    assert {task.family for task in TASKS} == {*Family}
