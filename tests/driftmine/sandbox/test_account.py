"""What becomes of a night: its row of the results."""

import datetime as dt
from dataclasses import replace

import pytest

from driftmine.sandbox.account import Account, _of_batch, _rates, _share, _update, result_of
from driftmine.sandbox.examine import Examined
from driftmine.sandbox.product import Seen
from driftmine.sandbox.results import RunResult
from driftmine.sandbox.tasks import Family, Task
from driftmine.sandbox.truth import Fault
from tests.training.registering import manifest
from warehouse.records import Category, SignalKind

TASK = Task(family=Family.NAME, language="en", target="en", category="animals", n=3)
DAY = dt.date(2026, 11, 20)
EXAMINED = Examined(
    sampled=0.5, error=0.02, drawn=0.55, greedy=0.6, told=0.7, distinct=2.0, tokens=9.0
)
REPORT = {
    "pairs": 4,
    "promoted": False,
    "gate": {"promote": False, "reasons": ["kl: 9.8"], "checks": []},
    "metrics": {
        "kl": 9.8, "kl_base": 9.9, "length_ratio": 1.2, "pairs": {"chosen_change": -0.1},
    },
    "gradients": [{"norm": 0.5}, {"norm": 0.7}],
    "training": {"margin": 0.3},
}  # fmt: skip


def seen(talk, index, wrong=False, dissatisfied=False, replied=True, hostile=False, day="20261120"):
    return Seen(
        conversation_id=f"{day}-{talk:05d}",
        turn_index=index,
        faults=(Fault.COUNT,) if wrong else (),
        dissatisfied=dissatisfied,
        said=None,
        replied=replied,
        hostile=hostile,
        task=TASK,
        prompt="",
        exchange="x" if replied else None,
    )


def account(**fields):
    known = {
        "number": 2, "day": DAY, "served_by": "base", "manifest": None, "examined": EXAMINED,
        "promoted": False,
        "candidate": None, "note": "too few", "seconds": {"serve": 1.23456},
    }  # fmt: skip
    return Account(**known | fields)


# talk, index, wrong, dissatisfied, replied
TALK = [
    seen(0, 1, wrong=True, dissatisfied=True),  # mined: rightly
    seen(0, 3),  # mined: wrongly
    seen(1, 1, wrong=True, dissatisfied=True),  # not mined
    seen(2, 1, wrong=True, dissatisfied=True, replied=False),
]
BEFORE = seen(0, 1, wrong=True, dissatisfied=True, day="20261119", hostile=True)
MINED = {("20261120-00000", 1), ("20261120-00000", 3)}


def test_rates_of_a_day():
    assert _rates(TALK, MINED) == {
        "answers": 4,
        "follow_ups": 3,
        "dsat_true": 3 / 4,
        "dsat_said": 2 / 3,
        "dsat_mined": 2 / 3,
        "detector_precision": 1 / 2,
        "detector_recall": 1 / 2,
    }


NOTHING = {
    "nothing mined": (TALK, set(), {"dsat_mined": 0, "detector_precision": None}),
    "nobody dissatisfied": ([seen(0, 1)], set(), {"dsat_said": 0, "detector_recall": None}),
    "no follow-up": ([TALK[3]], set(), {"dsat_true": 1, "dsat_said": 0, "dsat_mined": 0}),
    "no answer": ([], set(), {"answers": 0, "dsat_true": 0, "dsat_said": 0, "dsat_mined": 0}),
    "all mined is wrong": ([seen(0, 1)], {("20261120-00000", 1)}, {"detector_precision": 0}),
}


@pytest.mark.parametrize("today, mined, figures", NOTHING.values(), ids=NOTHING)
def test_a_day_without_something_has_figures(today, mined, figures):
    assert _rates(today, mined).items() >= figures.items()


def test_shares_of_nothing_are_none():
    assert (_share([]), _share([True, False])) == (None, 0.5)


def test_turns_of_a_batch_that_nothing_is_known_of_are_left_out():
    keys = {"a": ("20261120-00000", 1)}
    truth = {("20261120-00000", 1): TALK[0]}
    assert _of_batch(["gone", "a"], keys, truth) == [TALK[0]]


def test_a_night_without_an_update_has_no_figures_of_one():
    figures = _update(None)
    assert (figures["pairs"], figures["gate"]) == (0, ())
    there = {"pairs", "gate"}
    assert {value for key, value in figures.items() if key not in there} == {None}


def test_an_update_says_what_its_report_says():
    assert _update(manifest("v1", "b", REPORT)) == {
        "pairs": 4, "kl": 9.8, "kl_base": 9.9, "length_ratio": 1.2, "gradient_norm": 0.5,
        "gradient_norm_after": 0.7, "margin": 0.3, "chosen_change": -0.1, "version": "v1",
        "gate": ("kl: 9.8",),
    }  # fmt: skip


def test_an_update_that_was_not_compared_has_no_figures_of_that():
    figures = _update(manifest("v1", "b", REPORT | {"metrics": None, "gradients": [None, None]}))
    assert (figures["kl"], figures["chosen_change"], figures["gradient_norm"]) == (None, None, None)
    assert figures["margin"] == 0.3


@pytest.fixture
def mined(store):
    """A warehouse in which follow-ups to the answers of `TALK` were judged, and one the day before.

    The first and the second are DSAT.
    """

    def signal(name, one, kind=SignalKind.DSAT, category=Category.COMPLAINT):
        return store.signal(
            0, turn_id=name, conversation_id=one.conversation_id, turn_index=one.turn_index + 1,
            signal=kind, category=category,
        )  # fmt: skip

    other = (SignalKind.NEUTRAL, Category.NEUTRAL)
    rows = [signal("a", TALK[0]), signal("b", TALK[1]), signal("c", TALK[2], *other)]
    before = dt.date(2026, 11, 19)
    store.publish("1", store.stage("signals", "d@1", [signal("z", BEFORE)], before), night=before)
    store.publish("2", store.stage("signals", "d@1", rows))
    return store.catalog


def test_a_night_is_told_from_its_warehouse(mined):
    result = result_of(mined, account(), [BEFORE, *TALK])
    assert (result.night, result.log_date, result.note) == (2, DAY, "too few")
    assert (result.true_reward, result.greedy_reward, result.tokens) == (0.5, 0.6, 9.0)
    assert (result.answers, result.follow_ups) == (4, 3)
    assert (result.detector_precision, result.detector_recall) == (0.5, 0.5)
    assert (result.clean_turns, result.hostile_turns, result.version) == (None, None, None)
    assert result.seconds == {"serve": 1.23}
    run = RunResult(
        name="r", method="drift", seed=0, learning_rate=1e-5, ablations=(), base_reward=0.375,
        base_error=0.01, base_drawn=0.4, base_greedy=0.4, base_told=0.5, base_distinct=1.0,
        nights=(result,),
    )  # fmt: skip
    assert run.gain == 0.125


def batch(*turn_ids, method="drift"):
    """The manifest of a version that was trained on these."""
    return replace(manifest("v2", "b", REPORT), turn_ids=turn_ids, settings={"method": method})


def test_of_a_batch_it_is_told_how_clean_it_is(mined):
    night = account(
        manifest=batch("a", "b", "z"), candidate=replace(EXAMINED, sampled=0.4, error=0.02)
    )
    result = result_of(mined, night, [BEFORE, *TALK])
    assert result.clean_turns == pytest.approx(2 / 3)  # wrong answers, of those called so
    assert result.hostile_turns == pytest.approx(1 / 3)
    assert (result.candidate_reward, result.candidate_error) == (0.4, 0.02)
    assert (result.version, result.gate) == ("v2", ("kl: 9.8",))


def test_of_spins_batch_the_answers_ought_to_be_right(mined):
    night = account(manifest=batch("a", "b", "z", method="spin"))
    assert result_of(mined, night, [BEFORE, *TALK]).clean_turns == pytest.approx(1 / 3)
