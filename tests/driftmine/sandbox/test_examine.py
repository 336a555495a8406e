"""How good a policy truly is: right answers counted, and different ones among them."""

import math
import random
from dataclasses import replace
from statistics import pstdev

import pytest

from driftmine.sandbox.examine import SAMPLES, _error, examine
from driftmine.sandbox.habits import write
from driftmine.sandbox.tasks import Family, draw_held_out, gist
from training.pairs import GUIDANCE
from training.samplers.base import FinishReason, Sample

# None is another in other words.
TASKS = list({gist(task): task for task in draw_held_out(random.Random(0), 40)}.values())[:20]


class Told:
    """Answers in the order of `TASKS`, right where `right` says so of the task and the draw.

    Told that an answer was wrong, it knows better where `learns` says so of the task.
    """

    def __init__(self, right, seed=None, learns=lambda number: False):
        self.right = right
        self.seed = seed  # of every answer; None: each is another
        self.learns = learns
        self.heard = []  # what users said, with the instruction to answer again

    def sample(self, prompts, parameters, seed):
        cold = parameters.temperature < 1
        if len(prompts[0]) == 3:
            assert cold
            return [self._again(prompt) for prompt in prompts]
        return [self._answer(i % len(TASKS), i // len(TASKS), cold) for i in range(len(prompts))]

    def _answer(self, number, draw, cold):
        rng = random.Random(self.seed if self.seed is not None else f"{number} {draw}")
        return self._sample(number, rng, self.right(number, draw, cold))

    def _again(self, prompt):
        request, answer, said = (message.content for message in prompt)
        assert answer == "?"
        self.heard.append(said)
        number = [task.request for task in TASKS].index(request)
        return self._sample(number, random.Random(0), self.learns(number))

    def _sample(self, number, rng, right):
        text = write(TASKS[number], rng, {}) if right else "?"
        return Sample(
            text=text, prompt=(), tokens=(1,) * 5, finish_reason=FinishReason.STOP, prompt_cut=False
        )


def test_a_policy_that_is_always_right():
    found = examine(Told(lambda *_: True), TASKS, 0)
    assert (found.sampled, found.greedy, found.tokens) == (1, 1, 5)
    assert 1 < found.distinct <= SAMPLES
    assert (found.drawn, found.error) == (1, 0)
    assert found.told is None


def test_a_policy_that_is_always_wrong():
    found = examine(Told(lambda *_: False), TASKS, 0)
    assert (found.sampled, found.greedy, found.distinct) == (0, 0, 0)


def test_samples_and_surer_answers_are_told_apart():
    found = examine(Told(lambda number, draw, cold: cold), TASKS, 0)
    assert (found.sampled, found.drawn, found.greedy) == (0, 1, 1)


def test_the_samples_of_a_task_are_compared_with_each_other():
    found = examine(Told(lambda number, *_: number % 2 == 0, seed=1), TASKS, 0)
    assert (found.sampled, found.greedy, found.distinct) == (0.5, 0.5, 0.5)
    assert found.error == pytest.approx(0.5 / math.sqrt(20))


def test_a_task_in_two_wordings_makes_the_error_no_smaller():
    some = list({gist(task): task for task in draw_held_out(random.Random(3), 60)}.values())
    twins = [replace(task, phrasing=task.phrasing + 1) for task in some]
    shares = [i % 4 / 3 for i in range(len(some))]
    once = _error(some, shares)
    assert once == pytest.approx(pstdev(shares) / math.sqrt(len(some)))
    assert _error([*some, *twins], shares * 2) == pytest.approx(once)


def test_a_share_of_samples():
    found = examine(Told(lambda number, draw, cold: draw == 0), TASKS, 0)
    assert (found.sampled, found.distinct) == (1 / SAMPLES, 1)


def test_who_is_told_what_was_wrong_may_know_better():
    policy = Told(lambda number, *_: number < 10, learns=lambda number: number >= 15)
    assert examine(policy, TASKS, 0).told == 0.5
    assert len(policy.heard) == 10
    assert all(said.endswith(f"\n\n{GUIDANCE}") for said in policy.heard)
    assert all(len(said) > len(GUIDANCE) + 2 for said in policy.heard)


def test_examinations_ask_of_every_kind():
    assert {task.family for task in draw_held_out(random.Random(0), 300)} == {*Family}
