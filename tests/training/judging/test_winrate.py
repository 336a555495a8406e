"""Win rates: published ones, known answers, and what intervals must do."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.judging.winrate import (
    Interval,
    alpaca_eval_win_rate,
    length_controlled,
    outcomes,
    win_rate,
)

MODELS = [
    "gemma-7b-it", "vicuna-7b-v1.5", "claude-2.1", "Mixtral-8x7B-Instruct-v0.1_concise",
    "gpt-3.5-turbo-1106_verbose",
]  # fmt: skip


@pytest.fixture
def replies(shared_data: Path) -> dict[str, Any]:
    return json.loads((shared_data / "judge-replies.json").read_bytes())["alpaca_eval_2"]


@pytest.mark.shared_data
@pytest.mark.parametrize("model", MODELS)
def test_published_win_rates_come_out_again(replies: dict[str, Any], model: str) -> None:
    told, found = (
        replies[model]["published"],
        alpaca_eval_win_rate(replies[model]["preference_1_to_2"]),
    )
    # The replies are rounded to six digits.
    assert found.percent == pytest.approx(told["win_rate"], abs=5e-6)
    assert found.standard_error == pytest.approx(told["standard_error"], abs=5e-6)
    assert found.n == 805


@pytest.mark.shared_data
@pytest.mark.parametrize("model", MODELS)
def test_the_minimal_rate_stands_at_the_optimum(replies: dict[str, Any], model: str) -> None:
    """Of short answers it is above the win rate, as the published one is."""
    given_ = replies[model]
    preferences = [p - 1 for p in given_["preference_1_to_2"]]
    lengths, others = given_["chars_model"], given_["chars_reference"]
    ids = [str(n) for n in range(len(lengths))]
    found = length_controlled(preferences, lengths, others, ids, seed=0, resamples=20)
    theta = math.log(found.rate.value / (1 - found.rate.value))
    gaps = np.tanh((np.array(lengths) - np.array(others)) / found.scale)
    left = 1 / (1 + np.exp(-theta - found.slope * gaps)) - np.array(preferences)
    assert abs(left.mean()) < 1e-5
    assert abs((left * gaps).mean()) < 1e-5
    assert found.rate.value * 100 > given_["published"]["win_rate"]
    assert found.rate.low < found.rate.value < found.rate.high


def test_alpaca_eval_counts_a_zero_as_a_tie() -> None:
    found = alpaca_eval_win_rate([2, 1, 0])
    assert (found.percent, found.n) == (50, 3)
    assert found.standard_error == pytest.approx(50 / math.sqrt(3))
    assert math.isnan(alpaca_eval_win_rate([2]).standard_error)
    assert math.isnan(alpaca_eval_win_rate([]).percent)


def test_outcomes() -> None:
    assert outcomes([1, 0.75, 0.5, 0.25, 0]) == [1, 1, 0.5, 0, 0]


def test_ties_count_half() -> None:
    found = win_rate([1, 0.5, 0.5, 0], list("abcd"), seed=0)
    assert (found.value, found.n, found.clusters) == (0.5, 4, 4)
    assert found.low < 0.5 < found.high


def test_the_same_seed_draws_the_same() -> None:
    data = [1.0, 0.0, 1.0, 1.0, 0.5], list("abcde")
    assert win_rate(*data, seed=1) == win_rate(*data, seed=1)


def test_what_one_user_says_again_tells_nothing_new() -> None:
    """Ten copies of each comparison: as wide as before by user, narrower as if independent."""
    random = np.random.default_rng(0)
    once = random.integers(2, size=40).astype(float).tolist()
    users = [f"u{n}" for n in range(40)]
    again = win_rate(once * 10, users * 10, seed=0)
    alone = win_rate(once, users, seed=0)
    naive = win_rate(once * 10, [str(n) for n in range(400)], seed=0)
    assert (again.low, again.high) == pytest.approx((alone.low, alone.high))
    assert (naive.high - naive.low) * 2 < again.high - again.low


def test_where_all_prefer_the_same_there_is_no_width() -> None:
    found = win_rate([1.0] * 6, ["a", "b", "b", "b", "b", "c"], seed=0, resamples=50)
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    users = [str(n) for n in range(80)]
    hit = 0
    for trial in range(60):
        found = win_rate((random.random(80) < 0.6).astype(float), users, seed=trial, resamples=200)
        hit += found.low <= 0.6 <= found.high
    assert hit >= 51  # 57 of 60 are to be expected; fewer than 51 one time in 400


NOTHING = {"no comparison": ([], []), "one user": ([1.0, 0.0], ["u", "u"])}


@pytest.mark.parametrize("preferences, users", NOTHING.values(), ids=NOTHING)
def test_without_two_users_there_is_no_interval(preferences: list, users: list) -> None:
    found = win_rate(preferences, users, seed=0)
    assert math.isnan(found.low) and math.isnan(found.high)
    assert not found.low >= 0.5  # passes no gate
    assert math.isnan(found.value) == (not preferences)


def test_each_preference_needs_its_cluster() -> None:
    with pytest.raises(ValueError, match="one each"):
        win_rate([1.0, 0.0], ["u"], seed=0)


shares = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=2, max_size=12)


@given(shares)
@settings(max_examples=30)
def test_the_other_s_win_rate_is_the_rest(preferences: list[float]) -> None:
    users = [str(n) for n in range(len(preferences))]
    one = win_rate(preferences, users, seed=3, resamples=50)
    other = win_rate([1 - p for p in preferences], users, seed=3, resamples=50)
    assert other.value == pytest.approx(1 - one.value)
    assert (other.low, other.high) == pytest.approx((1 - one.high, 1 - one.low))
    assert 0 <= one.low <= one.high <= 1


def drawn(theta: float, phi: float, n: int = 4000) -> tuple[list, list, list, list]:
    """Preferences that follow the model exactly, of answers from shorter to longer."""
    gaps = np.linspace(-1500, 1500, n).astype(int)
    odds = theta + phi * np.tanh(gaps / gaps.std(ddof=1))
    soft = 1 / (1 + np.exp(-odds))
    return soft.tolist(), (2000 + gaps).tolist(), [2000] * n, [str(k) for k in range(n)]


TRUTHS = {"even": (0.0, 0.0), "better, length helps": (1.0, 2.0), "worse, it harms": (-2.0, -0.7)}


@pytest.mark.parametrize("theta, phi", TRUTHS.values(), ids=TRUTHS)
def test_the_fit_finds_what_made_the_preferences(theta: float, phi: float) -> None:
    found = length_controlled(*drawn(theta, phi), seed=0, resamples=5)
    assert found.rate.value == pytest.approx(1 / (1 + math.exp(-theta)), abs=1e-5)
    assert found.slope == pytest.approx(phi, abs=1e-4)


DEGENERATE = {
    "all won": ([1.0] * 6, [10, 20, 30, 40, 50, 60], 0.99),
    "all lost": ([0.0] * 6, [10, 20, 30, 40, 50, 60], 0.0),
    "all equally long": ([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], [35] * 6, 0.66),
    "length decides": ([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], [10, 20, 30, 40, 50, 60], 0.4),
}


@pytest.mark.parametrize("preferences, lengths, least", DEGENERATE.values(), ids=DEGENERATE)
def test_the_fit_ends_whatever_the_data(preferences: list, lengths: list, least: float) -> None:
    found = length_controlled(preferences, lengths, [35] * 6, list("abcdef"), seed=0, resamples=20)
    assert least <= found.rate.value <= min(1, least + 0.2)
    assert math.isfinite(found.slope)


def test_of_nothing_there_is_no_rate() -> None:
    found = length_controlled([], [], [], [], seed=0)
    assert isinstance(found.rate, Interval)
    assert math.isnan(found.rate.value) and math.isnan(found.slope)
