"""The gate: which figures hold a candidate back, and which never do."""

import math
from typing import Any

import pytest

from training.gate import decide
from training.judging.judgement import Judgement, Ratings
from training.judging.winrate import Interval, LengthControlled
from training.metrics import Metrics, PairScore, Score, Shift, Slice, shift
from training.options import GateOptions

LIMITS = GateOptions()


def metrics(**changes: Any) -> Metrics:
    pairs: dict[str, Any] = {
        "pairs": 32,
        "accuracy": 0.7,
        "margin": 0.1,
        "weight": 0.48,
        "open_share": 0.3,
        "chosen_change": 0.01,
        "rejected_change": -0.01,
    }
    whole: dict[str, Any] = {
        "kl": 0.1,
        "kl_base": 0.1,
        "length_ratio": 1.05,
        "truncated_share": 0.1,
        "truncated_rise": 0.0,
        "distinct_share": 1.0,
        "slices": (),
        "win_rate": None,
        "judged_by": "",
        "unjudged": 0,
        "judgement": None,
    }
    pairs |= {name: value for name, value in changes.items() if name in pairs}
    whole |= {name: value for name, value in changes.items() if name in whole}
    return Metrics(pairs=Shift(**pairs), **whole)


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high, n=40, clusters=30)


def canary(low: float, high: float, name: str = "format") -> tuple[Slice, ...]:
    change = interval((low + high) / 2, low, high)
    return (Slice(name=name, before=0.9, after=0.8, change=change),)


def judged(figure: Interval) -> Judgement:
    return Judgement(
        reward=figure,
        length_margin=500,
        length_controlled=LengthControlled(rate=figure, slope=0.0, scale=1.0),
        ratings=Ratings(candidate=figure, parent=figure, change=figure, unrated=0),
    )


LOST, WON = judged(interval(-1.0, -1.0, -1.0)), judged(interval(1.0, 1.0, 1.0))
CASES: dict[str, tuple[Metrics | None, float, set[str]]] = {
    "all within": (metrics(), 0.1, set()),
    "on the limits": (metrics(kl=0.5, length_ratio=1.3, chosen_change=-0.05), 0.2, set()),
    "collapse, second iteration": (
        metrics(kl=9.8, length_ratio=1.52, margin=0.65, accuracy=1.0, chosen_change=-0.4),
        0.0,
        {"kl", "longer", "chosen_drop"},
    ),
    "collapse, first iteration": (metrics(kl=1.8, length_ratio=1.14, margin=0.28), 0.0, {"kl"}),
    "answers shrink": (metrics(length_ratio=0.7), 0.0, {"shorter"}),
    "no answers at all": (metrics(length_ratio=0.0), 0.0, {"shorter"}),
    "chosen answers less likely": (metrics(chosen_change=-0.06), 0.0, {"chosen_drop"}),
    "far from where the line began": (metrics(kl_base=5.1), 0.0, {"kl_base"}),
    "more answers find no end": (metrics(truncated_rise=0.11), 0.0, {"truncated_rise"}),
    "a canary worse beyond its interval": (
        metrics(slices=canary(-0.4, -0.03)),
        0.0,
        {"canary_format"},
    ),
    "answers that satisfied less likely": (
        metrics(slices=canary(-0.4, -0.06, "satisfied")),
        0.0,
        {"canary_satisfied"},
    ),
    "in nats the limit is another": (metrics(slices=canary(-0.4, -0.04, "satisfied")), 0.0, set()),
    "a canary worse within it": (metrics(slices=canary(-0.4, 0.0)), 0.0, set()),
    "judged better": (metrics(win_rate=interval(0.6, 0.51, 0.7), judged_by="j"), 0.0, set()),
    "judged better, not surely": (
        metrics(win_rate=interval(0.6, 0.5, 0.7), judged_by="j"),
        0.0,
        {"win_rate"},
    ),
    "judged on too few": (
        metrics(win_rate=interval(1.0, 1.0, 1.0), judged_by="j", unjudged=30),
        0.0,
        {"judged"},
    ),
    "a judge that never had a word": (
        metrics(judged_by="j", unjudged=32),
        0.0,
        {"judged", "win_rate"},
    ),
    "only the win rate decides of what a judge said": (
        metrics(win_rate=interval(0.6, 0.51, 0.7), judged_by="j", judgement=LOST),
        0.0,
        set(),
    ),
    "and nothing makes up for it": (
        metrics(win_rate=interval(0.6, 0.49, 0.7), judged_by="j", judgement=WON),
        0.0,
        {"win_rate"},
    ),
    "not a number": (metrics(kl=math.nan), 0.0, {"kl"}),
    "many turns without a pair": (metrics(), 0.21, {"dropped_share"}),
    "few held-out pairs": (metrics(pairs=7), 0.0, {"held_out_pairs"}),
    "nothing held out": (None, 0.0, {"held_out_pairs"}),
    "a margin of any size": (metrics(margin=99.0, accuracy=1.0), 0.0, set()),
    "a margin that fell": (metrics(margin=-1.0, accuracy=0.0), 0.0, set()),
    "every answer cut off": (metrics(truncated_share=1.0), 0.0, set()),
}


@pytest.mark.parametrize("figures, dropped, failed", CASES.values(), ids=CASES)
def test_decide(figures: Metrics | None, dropped: float, failed: set[str]) -> None:
    decision = decide(figures, dropped_share=dropped, limits=LIMITS)
    assert {check.name for check in decision.checks if not check.ok} == failed
    assert {reason.split(":")[0] for reason in decision.reasons} == failed
    assert decision.promote == (not failed)


def test_a_figure_that_there_is_not_is_said_so() -> None:
    change = interval(0.0, math.nan, math.nan)
    alone = metrics(slices=(Slice(name="format", before=1.0, after=1.0, change=change),))
    (reason,) = decide(alone, dropped_share=0.0, limits=LIMITS).reasons
    assert reason.startswith("canary_format: there is no figure") and "two users" in reason


def test_a_reason_names_value_and_limit() -> None:
    (reason,) = decide(metrics(kl=9.8), dropped_share=0.0, limits=LIMITS).reasons
    assert reason == "kl: 9.8 nats an answer, the limit is 0.5"


def test_an_objection_holds_whatever_the_figures() -> None:
    decision = decide(metrics(), dropped_share=0.0, limits=LIMITS, objections=["ended early"])
    assert not decision.promote
    assert decision.reasons == ("ended early",)
    assert all(check.ok for check in decision.checks)


def test_pairs_that_lost_their_ends() -> None:
    decision = decide(metrics(), dropped_share=0.0, cut_share=0.51, limits=LIMITS)
    assert [check.name for check in decision.checks if not check.ok] == ["cut_share"]


def test_a_batch_of_few_pairs_says_what_became_of_the_others() -> None:
    lost = {"identical": 1, "off_request": 1_200, "prompt_too_long": 3}
    (reason,) = decide(metrics(), dropped_share=0.5, dropped=lost, limits=LIMITS).reasons
    assert reason == (
        "dropped_share: 0.5 of the batch, the limit is 0.2 "
        "(off_request 1,200, prompt_too_long 3, identical 1)"
    )
    kept = decide(metrics(), dropped_share=0.1, dropped=lost, limits=LIMITS)
    assert kept.reasons == ()


def test_a_win_rate_counts_only_where_a_limit_is_set() -> None:
    lost = metrics(win_rate=interval(0.2, 0.1, 0.3), judged_by="j")
    assert decide(lost, dropped_share=0, limits=GateOptions(min_win_rate=None)).promote


def score(chosen: float, rejected: float) -> PairScore:
    return PairScore(chosen=Score(logp=chosen, tokens=10), rejected=Score(logp=rejected, tokens=5))


def test_shift() -> None:
    before = [score(-20, -10), score(-20, -10)]
    after = [score(-10, -20), score(-20, -10)]
    moved = shift(before, after, beta=0.1)
    assert moved.margin == pytest.approx(1.0)  # (0.1 * (10 + 10) + 0) / 2
    assert moved.weight == pytest.approx((1 / (1 + math.exp(2)) + 0.5) / 2)
    assert (moved.accuracy, moved.open_share, moved.pairs) == (0.5, 0.5, 2)
    assert moved.chosen_change == pytest.approx(0.5)
    assert moved.rejected_change == pytest.approx(-1.0)


def test_shift_bears_margins_of_a_collapse() -> None:
    moved = shift([score(0, 0)], [score(-1e5, 0)], beta=0.1)
    assert (moved.weight, moved.accuracy) == (1.0, 0.0)
