"""The page's words on an update."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmine.report.updates import CURVES, HEIGHT, WIDTH, curves, figures, judged, points

RATE = {"value": 0.6, "low": 0.51, "high": 0.7, "n": 40, "clusters": 40}
JUDGEMENT = {
    "reward": RATE | {"value": 0.1, "low": -0.1},
    "length_margin": 500,
    "length_controlled": {"rate": RATE, "slope": 0.1, "scale": 90.0},
    "ratings": {"candidate": RATE, "parent": RATE, "change": RATE | {"low": -1}, "unrated": 3},
}
STEP = {"step": 1, "loss": 0.7, "gradient_norm": 1.0, "margin": 0.0, "chosen": 0.0, "rejected": 0.0}
REPORT = {
    "training": {"margin": 0.31, "weight": 0.42, "open_share": 0.25},
    "gradients": [{"norm": 2.0, "bound": 1.0, "difference": 40.0}, None],
    "update": {"curve": [STEP, {**STEP, "loss": 0.6, "margin": 0.3}]},
    "metrics": {
        "pairs": {"chosen_change": 0.01, "rejected_change": -0.02},
        "distinct_share": 0.9,
        "win_rate": {"value": 0.6, "low": 0.51, "high": 0.7, "clusters": 40},
        "coverage": {"before": {"clusters": 3, "alone": 1, "union": 9, "share": 0.33}},
        "judged_by": "judge:m:compare_v1",
        "slices": [
            {"name": "format", "before": 0.9, "after": 0.8, "change": {"low": -0.2, "high": 0.0}}
        ],
    },
}


def test_figures() -> None:
    found = dict(figures(REPORT))
    assert found["margin s of its own pairs"] == "0.310"
    assert found["DPO gradient before"] == "2, bound 1, E‖d‖ 40"
    assert "DPO gradient after" not in found
    assert found["win rate by judge:m:compare_v1"] == "60.0% (51.0% to 70.0%), 40 users"
    assert found["good answers found before"] == "3 of 9 kinds, 1 of them alone"
    assert found["canary format"] == "0.900 to 0.800 (-0.200 to +0.000)"


def test_a_judges_other_figures_stand_beside_its_win_rate() -> None:
    held = {"win_rate": RATE, "judged_by": "j", "unjudged": 2, "judgement": JUDGEMENT}
    assert dict(judged(held)) == {
        "win rate by j": "60.0% (51.0% to 70.0%), 40 users, 2 prompts unjudged",
        "LC (minimal)": "60.0% (51.0% to 70.0%)",
        "WildBench reward": "+0.100 (-0.100 to +0.700), K = 500",
        "WildBench score": "candidate 0.60 (0.51 to 0.70), parent 0.60 (0.51 to 0.70), "
        "3 answers unrated",
        "WildBench score, change": "+0.60 (-1.00 to +0.70)",
    }
    without = held | {"judgement": JUDGEMENT | {"ratings": None}}
    assert not any("score" in name for name in dict(judged(without)))
    assert set(dict(judged(held | {"judgement": None}))) == {"win rate by j"}
    assert list(judged({})) == []


@pytest.mark.parametrize("nothing", [None, math.nan], ids=["read back", "just made"])
def test_ratings_that_failed_are_dashes(nothing: float | None) -> None:
    none = {"value": nothing, "low": nothing, "high": nothing}
    ratings = {"candidate": none, "parent": none, "change": none, "unrated": 9}
    found = dict(judged({"judgement": JUDGEMENT | {"ratings": ratings}}))
    assert found["WildBench score"].endswith("parent - (- to -), 9 answers unrated")


@pytest.mark.parametrize("report", [{}, {"metrics": None}, {"update": {"curve": [STEP]}}])
def test_what_an_older_version_does_not_tell_is_left_out(report: dict) -> None:
    assert list(figures(report)) == []
    assert curves(report) == []


def test_what_is_no_number_in_a_manifest_is_none_here() -> None:
    """A manifest is JSON, in which NaN is null."""
    found = msgspec.json.decode(msgspec.json.encode(REPORT | {
        "training": {"margin": math.nan, "weight": math.nan, "open_share": 0.0},
        "gradients": [{"norm": math.nan, "bound": 0.0, "difference": math.nan}, None],
        "metrics": {
            "pairs": {"chosen_change": math.nan, "rejected_change": 0.0},
            "distinct_share": 1.0,
            "slices": [{"name": "format", "before": 1.0, "after": 1.0,
                        "change": {"low": math.nan, "high": math.nan}}],
        },
        "update": {"curve": [STEP | {"loss": math.nan}] * 2},
    }))  # fmt: skip
    shown = dict(figures(found))
    assert shown["margin s of its own pairs"] == "-"
    assert shown["canary format"] == "1.000 to 1.000 (- to -)"
    assert "loss" not in [curve["name"] for curve in curves(found)]


def test_curves() -> None:
    found = {curve["name"]: curve for curve in curves(REPORT)}
    assert list(found) == list(CURVES.values())
    assert found["loss"]["ends"] == "0.7 to 0.6"
    assert found["loss"]["points"] == f"0.0,0.0 {WIDTH:.1f},{HEIGHT:.1f}"


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50))
def test_points_lie_on_the_picture(values: list[float]) -> None:
    for at in points(values).split():
        x, y = map(float, at.split(","))
        assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
