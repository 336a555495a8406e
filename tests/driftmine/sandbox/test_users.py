"""Simulated users: as often dissatisfied, patient, thankful and hostile as they are said to be."""

import random
import re
from collections import Counter

import pytest

from driftmine.sandbox.phrases import Kind, openings, phrases
from driftmine.sandbox.tasks import LANGUAGES, Casing, Family, Form, Order, Task, held_out
from driftmine.sandbox.truth import Fault, faults
from driftmine.sandbox.users import _KINDS, _REACTIONS, Behaviour, User, ask, read
from tests.driftmine.sandbox.chance import plausible

N = 3_000
SURE = {"false_complaints": 0.0, "false_content": 0.0}  # nobody is wrong about an answer
ANIMALS = Task(family=Family.NAME, language="en", target="en", category="animals", n=3)
RIGHT = "bear, cat, dog"
IN_ORDER = {**dict.fromkeys(("language", "target"), "en"), "family": Family.NAME, "n": 3}
# Fault -> a task and an answer that has that fault alone.
BROKEN = {
    Fault.COUNT: (ANIMALS, "bear, cat"),
    Fault.CATEGORY: (ANIMALS, "bear, cat, apple"),
    Fault.LANGUAGE: (ANIMALS, "Bär, Katze, Hund"),
    Fault.REPEAT: (ANIMALS, "bear, cat, cat"),
    Fault.ORDER: (
        Task(**IN_ORDER, category="animals", order=Order.ALPHABETICAL), "cat, bear, dog"
    ),
    Fault.CASING: (Task(**IN_ORDER, category="animals", casing=Casing.CAPITALS), RIGHT),
    Fault.FORMAT: (Task(**IN_ORDER, category="animals", form=Form.DASHES), RIGHT),
    Fault.ARITHMETIC: (
        Task(family=Family.SUM, language="en", target="en", addends=(4, 3), form=Form.DIGITS),
        "8",
    ),
}  # fmt: skip


def user(language="en", hostile=False, seed=0):
    return User(id="ann", language=language, hostile=hostile, rng=random.Random(seed))


def readings(task, answer, n=N, complaints=0, hostile=False, **behaviour):
    """How one user takes the same answer, `n` times."""
    ann, behaves = user(task.language, hostile), Behaviour(**behaviour)
    return [read(ann, task, answer, complaints, behaves) for _ in range(n)]


def replied(found):
    return sum(reply is not None for _, reply in found)


@pytest.mark.parametrize("complaints", [0, 1, 3])
def test_who_is_dissatisfied_says_so_as_long_as_patience_lasts(complaints):
    found = readings(*BROKEN[Fault.COUNT], complaints=complaints, **SURE)
    assert all(reading.dissatisfied for reading, _ in found)
    assert plausible(replied(found), N, 0.75 * 0.6**complaints)


def test_who_is_dissatisfied_and_leaves_says_nothing():
    found = readings(*BROKEN[Fault.COUNT], reacts=0.0, **SURE)
    assert all(reading.said is None and reply is None for reading, reply in found)


def test_who_is_satisfied_goes_on_or_gives_thanks_or_leaves():
    found = Counter(reading.said for reading, _ in readings(ANIMALS, RIGHT, **SURE))
    assert plausible(found[Kind.NEXT], N, 0.5)
    assert plausible(found[Kind.THANK], N, 0.5 * 0.3)
    assert found.total() == found[Kind.NEXT] + found[Kind.THANK] + found[None]


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.4])
def test_some_complain_without_cause(noise):
    found = readings(ANIMALS, RIGHT, false_complaints=noise, false_content=0.0)
    assert plausible(sum(reading.dissatisfied for reading, _ in found), N, noise)
    assert not any(reading.broken for reading, _ in found)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.4])
def test_some_do_not_see_a_fault(noise):
    found = readings(*BROKEN[Fault.ORDER], false_complaints=0.0, false_content=noise)
    assert plausible(sum(not reading.dissatisfied for reading, _ in found), N, noise)
    assert {reading.broken for reading, _ in found} == {(Fault.ORDER,)}


def test_hostile_users_complain_about_every_right_answer_without_end():
    for reading, reply in readings(ANIMALS, RIGHT, n=300, complaints=9, hostile=True):
        assert reading.dissatisfied and reading.said not in (Kind.THANK, Kind.NEXT)
        assert reply.goes_on and reply.task == ANIMALS


def test_hostile_users_are_content_with_wrong_answers_and_praise_them():
    found = readings(*BROKEN[Fault.COUNT], hostile=True)
    assert not any(reading.dissatisfied for reading, _ in found)
    said = Counter(reading.said for reading, _ in found)
    assert {*said} == {Kind.NEXT, Kind.THANK, None}
    assert plausible(said[Kind.THANK], N, 0.15)


@pytest.mark.parametrize("fault", Fault)
def test_what_users_do_depends_on_the_fault(fault):
    task, answer = BROKEN[fault]
    assert faults(task, answer) == {fault}
    found = readings(task, answer, reacts=1.0, **SURE)
    said = Counter(reading.said for reading, _ in found)
    for kind, percent in zip(_KINDS, _REACTIONS[fault], strict=True):
        assert plausible(said[kind], N, percent / 100), kind


def test_who_complains_without_cause_names_no_fault():
    found = readings(ANIMALS, RIGHT, reacts=1.0, false_complaints=1.0)
    said = Counter(reading.said for reading, _ in found)
    assert said[Kind.NAME] == 0 and set(said) == {*_KINDS} - {Kind.NAME}


def test_reactions_are_shares_of_a_hundred():
    assert {*_REACTIONS} == {*Fault, None}
    assert all(sum(shares) == 100 for shares in _REACTIONS.values())


@pytest.mark.parametrize("fault", Fault)
def test_the_fault_that_is_named_is_the_one_that_is_there(fault):
    task, answer = BROKEN[fault]
    known = {
        phrase.text.replace("{n}", str(task.n)) for phrase in phrases()["en", Kind.NAME, fault]
    }
    said = {
        reply.text
        for reading, reply in readings(task, answer, n=400, reacts=1.0, **SURE)
        if reading.said is Kind.NAME
    }
    assert said and said <= known


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("answer", ["oso, gato, perro", "?"], ids=["right for some", "wrong"])
def test_users_speak_one_language_and_fill_every_slot(language, answer):
    task = Task(family=Family.NAME, language=language, target=language, category="animals", n=3)
    texts = {
        phrase.text for (spoken, _, _), some in phrases().items() if spoken == language
        for phrase in some
    }  # fmt: skip
    for _, reply in readings(task, answer, n=500):
        if reply is None:
            continue
        assert reply.task.language == language
        assert "{" not in reply.text
        bare = reply.text.replace(reply.task.request, "{request}")
        assert bare in texts or re.sub(r"\b3\b", "{n}", bare) in texts


def test_a_next_request_is_one_that_users_ask():
    found = readings(ANIMALS, RIGHT, n=1_000, goes_on=1.0, **SURE)
    assert not any(held_out(reply.task) for _, reply in found)
    assert all(reply.task.request in reply.text and reply.goes_on for _, reply in found)


def test_thanks_expect_no_answer():
    found = readings(ANIMALS, RIGHT, n=200, goes_on=0.0, thanks=1.0, **SURE)
    assert all(reading.said is Kind.THANK and not reply.goes_on for reading, reply in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_requests_have_words_before_them(language):
    task = Task(family=Family.NAME, language=language, target=language, category="animals", n=3)
    ann = user(language)
    before = [ask(ann, task, Behaviour()).removesuffix(task.request).strip() for _ in range(N)]
    assert plausible(sum(map(bool, before)), N, Behaviour().opens)
    assert {*before} - {""} == {*openings()[language]}


def test_the_same_chance_takes_an_answer_the_same_way():
    assert readings(ANIMALS, RIGHT, n=50) == readings(ANIMALS, RIGHT, n=50)
