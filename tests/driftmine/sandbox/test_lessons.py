"""What the policy is pre-trained on: requests answered by habit, and complaints mostly mended."""

import random

import pytest

from driftmine.sandbox.lessons import lesson
from tests.driftmine.sandbox.chance import plausible
from training.pairs import GUIDANCE

N = 2_000


@pytest.fixture(scope="module")
def lessons():
    rng = random.Random(0)
    return [lesson(rng) for _ in range(N)]


def test_user_and_assistant_speak_in_turn_and_the_assistant_has_the_last_word(lessons):
    assert {len(one) for one in lessons} == {2, 4}
    assert all(text for one in lessons for text in one)


def test_three_of_five_end_with_the_first_answer(lessons):
    assert plausible(sum(len(one) == 2 for one in lessons), N, 0.6)


def test_half_of_the_complaints_carry_the_instruction_that_draws_are_guided_by(lessons):
    guided = [one for one in lessons if len(one) == 4 and GUIDANCE in one[2]]
    assert all(one[2].endswith(f"\n\n{GUIDANCE}") for one in guided)
    assert not any(GUIDANCE in text for one in lessons for text in (one[0], one[1], one[-1]))
    # More than half of the answers are complained of, and half of those complaints are guided.
    longer = sum(len(one) == 4 for one in lessons)
    assert 0.2 < len(guided) / longer < 0.4


def test_the_same_seed_gives_the_same_lessons(lessons):
    rng = random.Random(0)
    assert [lesson(rng) for _ in range(50)] == lessons[:50]
