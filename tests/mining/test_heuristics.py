import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining import phrases
from mining.answers import AnswerState
from mining.conversations import FollowUp
from mining.heuristics import read
from mining.rules import load_lexicon
from warehouse.records import Category

STATES = {
    "plain": ("It is Sydney.", AnswerState.PLAIN),
    "asked": ("Which one do you mean?", AnswerState.ASKED),
    "asked, then a bracket": ('Shall I go on (or "stop"?)', AnswerState.ASKED),
    "asked in Chinese": ("您要几个？", AnswerState.ASKED),
    "refused, then asked": ("I cannot help with that. Anything else?", AnswerState.REFUSED),
    "code": ("```\nx\n```", AnswerState.CODE),
    "empty": ("", AnswerState.PLAIN),
}


def structural(reading) -> set[str]:
    return {e.rule for e in reading.evidence if e.end == 0}


EXAMPLES = [
    (sign.id, example, wanted)
    for sign in load_lexicon(phrases.load).signs.values()
    for wanted, examples in ((True, sign.positive), (False, sign.negative))
    for example in examples
]


@pytest.mark.parametrize("sign, example, wanted", EXAMPLES)
def test_examples_of_a_sign(lexicon, sign, example, wanted):
    reading = read(example.built(), lexicon)
    assert (sign in structural(reading) | {e.rule for e in reading.feedback}) == wanted


def test_every_sign_has_examples(lexicon):
    assert all(sign.positive and sign.negative for sign in lexicon.signs.values())


def test_go_on_is_no_neutral_sign_where_the_answer_owes_the_rest(lexicon, follow_up):
    owed = read(follow_up("go on", answer="He opened the door and saw that the"), lexicon)
    assert Category.NEUTRAL not in owed.categories
    assert Category.NEUTRAL in read(follow_up("go on"), lexicon).categories


@pytest.mark.parametrize("answer, state", STATES.values(), ids=STATES)
def test_answer_state(lexicon, follow_up, answer, state):
    assert read(follow_up("ok", answer=answer), lexicon).answer_state is state


@pytest.mark.parametrize("thumb, rule", [(-1, "thumb_down_v1"), (1, "thumb_up_v1")])
def test_explicit_feedback_is_kept_apart(lexicon, follow_up, thumb, rule):
    reading = read(follow_up("ok", thumb=thumb), lexicon)
    assert [e.rule for e in reading.feedback] == [rule]
    assert rule not in structural(reading)


@settings(max_examples=150)
@given(st.text(max_size=700), st.text(max_size=200), st.text(max_size=200))
def test_spans_lie_inside_the_text(lexicon, text, user, answer):
    reading = read(FollowUp(user=user, answer=answer, follow_up=text, earlier=(user,)), lexicon)
    for evidence in reading.evidence:
        assert 0 <= evidence.start <= evidence.end <= len(text)
    alike = reading.likeness
    assert all(0 <= value <= 1 for value in (alike.repeated, alike.rephrased, alike.echoed))


LONG = {
    "one word": "no " * 350_000,
    "no space": "x" * 1_000_000,
    "Chinese": "不对，在5行内重写" * 100_000,
    "marks": "?!" * 500_000,
    "fences": "```" * 350_000,
    "quotations": "\"'“" * 350_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_no_text_is_slow(lexicon, text):
    long = FollowUp(user=text, answer=text, follow_up=text, earlier=(text,) * 50)
    read(long, lexicon)
    start = time.process_time()
    for _ in range(10):
        read(long, lexicon)
    assert time.process_time() - start < 0.5
