"""Tasks: drawn apart, held out for good, and asked without ambiguity."""

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given

from driftmine.sandbox.tasks import (
    CATEGORIES,
    LANGUAGES,
    WORDS,
    Family,
    Form,
    Order,
    book,
    draw_asked,
    draw_held_out,
    gist,
    held_out,
    word,
)
from tests.driftmine.sandbox.chance import DRAWN, plausible, tasks


def truth(task):
    """All that decides whether an answer is right."""
    return (
        task.family, task.target, task.n, task.category, tuple(sorted(task.words)),
        sum(task.addends), task.order, task.casing, task.form,
    )  # fmt: skip


def test_users_never_ask_what_is_held_out():
    rng = random.Random(0)
    assert not any(held_out(draw_asked(rng)) for _ in range(3_000))


def test_what_is_held_out_is_so_in_other_words_too():
    for task in draw_held_out(random.Random(1), 200):
        turned = replace(
            task,
            phrasing=task.phrasing + 1,
            words=task.words[::-1],
            addends=task.addends[::-1],
        )
        assert held_out(turned)


def test_a_tenth_is_held_out():
    some = tasks(5_000)
    assert plausible(sum(map(held_out, some)), len(some), 0.1)


def test_held_out_tasks_differ_and_are_as_many_as_asked_for():
    found = draw_held_out(random.Random(0), 300)
    assert len({task.request for task in found}) == len(found) == 300
    assert all(map(held_out, found))
    assert {task.family for task in found} == {*Family}


def test_the_same_seed_holds_out_the_same():
    assert draw_held_out(random.Random(7), 20) == draw_held_out(random.Random(7), 20)


def test_two_tasks_with_the_same_request_have_the_same_truth():
    known = {}
    some = tasks(12_000)
    for task in some:
        assert known.setdefault(task.request, truth(task)) == truth(task), task.request
    assert len(known) < len(some) - 1_000  # many came twice


def test_tasks_of_one_gist_have_the_same_truth_in_other_words():
    known = {}
    for task in tasks(12_000):
        known.setdefault(gist(task), []).append(task)
    assert all(len({*map(truth, some)}) == 1 for some in known.values())
    assert max(len({task.request for task in some}) for some in known.values()) > 3


def test_a_task_is_put_in_every_way_that_its_language_has():
    ways = {}
    for task in tasks(6_000):
        ways.setdefault((task.family, task.language), set()).add(task.phrasing % 12)
    assert set(ways) == {(family, language) for family in Family for language in LANGUAGES}
    assert all(found == {*range(12)} for found in ways.values())
    # Twelve is a multiple of each number of ways, so that none is more frequent than another.
    assert all(12 % len(some) == 0 for by in book()["requests"].values() for some in by.values())


@given(DRAWN)
def test_a_request_has_every_slot_filled(task):
    assert not re.search(r"[{}]|\s\s|\s[,.?]|, [.?]", task.request), task.request
    assert all(word(one, task.language) in task.request for one in task.words)


@given(DRAWN)
def test_a_task_is_one_that_can_be_done(task):
    assert task.n >= 1 and (not task.words or len(set(task.words)) == task.n)
    assert task.says_target == (task.target != task.language)
    assert (task.form in (Form.WORD, Form.DIGITS)) == (task.family is Family.SUM)
    assert task.family is not Family.SORT or task.order is not Order.ANY
    assert 2 <= sum(task.addends) <= 18 or task.family is not Family.SUM


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_user_of_one_language_asks_in_it(language):
    rng = random.Random(0)
    assert {draw_asked(rng, (language,)).language for _ in range(50)} == {language}


def test_english_is_asked_four_times_as_often_as_each_other_language():
    some = tasks(3_000)
    for language, share in (("en", 4 / 6), ("de", 1 / 6), ("es", 1 / 6)):
        assert plausible(sum(task.language == language for task in some), len(some), share)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_stands_for_two_things(language):
    words = [word((name, i), language).casefold() for name in CATEGORIES for i in range(WORDS)]
    assert len(set(words)) == len(words) == len(CATEGORIES) * WORDS
