"""How the policy answers before anybody has complained, and after."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmine.sandbox.habits import HABITS, MENDED, mend, write
from driftmine.sandbox.tasks import Casing, Family, word
from driftmine.sandbox.truth import Fault, faults
from tests.driftmine.sandbox.chance import DRAWN, plausible, tasks

LISTS = (Family.NAME, Family.SORT)


def same_in_both(task):
    """Whether a word is written alike in the request's language and in the answer's."""
    return any(
        word(one, task.language).casefold() == word(one, task.target).casefold()
        for one in task.words
    )


# Whether a habit must show in an answer to a task; chance decides where words are in order.
MUST = {
    Fault.COUNT: lambda task: task.family in LISTS,
    Fault.CATEGORY: lambda task: task.family is not Family.SUM,
    Fault.LANGUAGE: lambda task: task.says_target and not same_in_both(task),
    Fault.REPEAT: lambda task: task.n > 1,
    Fault.ORDER: lambda task: False,
    # German nouns are written with a capital: dictionaries write the others in lower case.
    Fault.CASING: lambda task: (
        task.casing is Casing.CAPITALS or (task.casing is Casing.LOWER and task.target == "de")
    ),
    Fault.FORMAT: lambda task: bool(task.form),
    # It counts no further than 18, so one more than that is 18 again.
    Fault.ARITHMETIC: lambda task: task.family is Family.SUM and sum(task.addends) < 18,
}
# A word twice in the place of one that was given: that one is missing.
BESIDES = {Fault.REPEAT: {Fault.CATEGORY}}


@given(DRAWN, st.integers())
def test_without_habits_every_answer_is_right(task, seed):
    assert faults(task, write(task, random.Random(seed), {})) == frozenset()


@pytest.mark.parametrize("fault", Fault)
def test_a_habit_shows_where_the_request_states_the_constraint_and_nowhere_else(fault):
    rng = random.Random(1)
    some = tasks(600)
    found = [faults(task, write(task, rng, {fault: 1.0})) for task in some]
    must = [MUST[fault](task) for task in some]
    assert [t for t, f, m in zip(some, found, must, strict=True) if m and fault not in f] == []
    assert set().union(*found) <= {fault} | BESIDES.get(fault, set())
    assert any(must) or fault is Fault.ORDER


def test_a_policy_that_does_not_sort_has_words_in_order_by_chance_alone():
    ordered = [task for task in tasks(2_000) if task.order and task.n == 3]
    rng = random.Random(2)
    broken = [bool(faults(task, write(task, rng, {Fault.ORDER: 1.0}))) for task in ordered]
    assert plausible(sum(broken), len(broken), 5 / 6)


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.ORDER])
def test_a_habit_is_as_frequent_as_it_says(fault):
    rng = random.Random(3)
    some = [task for task in tasks(3_000) if MUST[fault](task)]
    broken = [fault in faults(task, write(task, rng, {fault: HABITS[fault]})) for task in some]
    assert plausible(sum(broken), len(broken), HABITS[fault])


def test_every_fault_is_a_habit():
    assert {*HABITS} == {*Fault}


def test_most_answers_to_a_complaint_are_mended():
    rng = random.Random(4)
    some = tasks(3_000)
    wrong = sum(bool(faults(task, write(task, rng))) for task in some) / len(some)
    still = sum(bool(faults(task, mend(task, rng))) for task in some)
    assert plausible(still, len(some), (1 - MENDED) * wrong)


def test_an_unmended_policy_is_wrong_often_enough_to_learn_from():
    rng = random.Random(5)
    wrong = sum(bool(faults(task, write(task, rng))) for task in tasks(2_000))
    assert 0.4 < wrong / 2_000 < 0.8


@given(DRAWN, st.integers())
def test_the_same_chance_writes_the_same(task, seed):
    assert write(task, random.Random(seed)) == write(task, random.Random(seed))
