"""WildBench's arithmetic, against hand-made cases and the published tables."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.judging.wildbench import (
    REWARDS,
    WEIGHTS,
    Grade,
    Group,
    adjusted,
    macro,
    reward,
)

MODELS = [
    "Qwen1.5-72B-Chat-greedy", "gemma-2b-it", "gemma-7b-it", "gpt-3.5-turbo-0125",
    "reka-core-20240501", "reka-edge",
]  # fmt: skip


@pytest.mark.shared_data
@pytest.mark.parametrize("model", MODELS)
def test_published_scores_come_out_again(shared_data: Path, model: str) -> None:
    found = json.loads((shared_data / "judge-replies.json").read_bytes())["wildbench"][model]
    told = found["published"]
    tasks = {Group(name): score for name, score in told["task_categorized_scores"].items()}
    assert adjusted(found["scores_1_to_10"]) == pytest.approx(told["adjusted_score"], abs=1e-9)
    assert tasks.keys() == WEIGHTS.keys()
    assert macro(tasks) == pytest.approx(told["adjusted_task_macro_score"], abs=1e-9)


def test_the_macro_weighs_the_groups_that_are_there() -> None:
    scores = {Group.MATH: 4.0, Group.PLANNING: 8.0, Group.CREATIVE: -8.0}
    assert macro(scores) == pytest.approx((4 + 10 - 4) / 2.75)


def test_of_nothing_there_is_no_score() -> None:
    assert math.isnan(adjusted([]))
    assert math.isnan(macro({}))


@given(st.dictionaries(st.sampled_from(Group), st.floats(-8, 10), min_size=1))
def test_the_macro_lies_between_its_groups(scores: dict[Group, float]) -> None:
    assert min(scores.values()) - 1e-9 <= macro(scores) <= max(scores.values()) + 1e-9


K = 500
CASES = {
    "much better": (Grade.A_MUCH, 0, 0, 1.0),
    "slightly better": (Grade.A, 0, 0, 0.5),
    "the same": (Grade.TIE, 0, 0, 0.0),
    "slightly worse": (Grade.B, 0, 0, -0.5),
    "much worse": (Grade.B_MUCH, 0, 0, -1.0),
    "slightly better and K longer": (Grade.A, K, 0, 0.5),
    "slightly better and more than K longer": (Grade.A, K + 1, 0, 0.0),
    "slightly better and much shorter": (Grade.A, 0, 9 * K, 0.5),
    "slightly worse and more than K shorter": (Grade.B, 0, K + 1, 0.0),
    "slightly worse and much longer": (Grade.B, 9 * K, 0, -0.5),
    "much better however long": (Grade.A_MUCH, 9 * K, 0, 1.0),
}


@pytest.mark.parametrize("grade, a, b, worth", CASES.values(), ids=CASES)
def test_reward(grade: Grade, a: int, b: int, worth: float) -> None:
    assert reward(grade, a, b, length_margin=K) == worth


def test_without_a_margin_length_does_not_count() -> None:
    assert reward(Grade.A, 10**6, 0) == 0.5
    assert reward(Grade.A, 1, 0, length_margin=0) == 0.0


MIRROR = dict(zip(Grade, reversed(Grade), strict=True))


@given(st.sampled_from(Grade), st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 9))
def test_what_one_wins_the_other_loses(grade: Grade, a: int, b: int, margin: int | None) -> None:
    one = reward(grade, a, b, length_margin=margin)
    assert one == -reward(MIRROR[grade], b, a, length_margin=margin)
    assert one in (REWARDS[grade], 0.0)
