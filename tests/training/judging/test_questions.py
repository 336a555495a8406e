"""What a judge is shown, and what two replies make together."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoint.outcome import Outcome, Unanswered
from training.judging.questions import (
    ANSWER,
    EARLIER_MESSAGES,
    POINTS,
    Candidate,
    Choice,
    Comparison,
    Verdict,
    both_orders,
    compare_prompt,
    rate_prompt,
    rating,
    verdict,
)
from training.judging.wildbench import Grade
from warehouse.records import Message, Role


def said(*texts: str) -> tuple[Message, ...]:
    """A conversation that ends with a user's message."""
    roles = (Role.USER, Role.ASSISTANT)
    return tuple(
        Message(role=roles[(len(texts) - 1 - i) % 2], content=t) for i, t in enumerate(texts)
    )


def test_changed_wordings_are_new_files() -> None:
    """Frozen: verdicts are kept under these digests."""
    assert (compare_prompt().id, compare_prompt().digest[:16]) == ("compare_v1", "45724760e46fb0fb")
    assert (rate_prompt().id, rate_prompt().digest[:16]) == ("rate_v1", "c3341311e660cb72")


def test_the_prompt_names_every_grade() -> None:
    for text in (compare_prompt().system, compare_prompt().repair):
        assert all(f'"{grade}"' in text for grade in Grade)


@given(st.text(), st.text(), st.text(), st.lists(st.text(), max_size=3))
@settings(max_examples=30)
def test_texts_cannot_leave_their_fields(
    request: str, one: str, other: str, points: list[str]
) -> None:
    asked = Comparison(context=said(request), answer=one, other=other, checklist=tuple(points))
    for data, a, b in zip(both_orders(asked), (one, other), (other, one), strict=True):
        shown = compare_prompt().messages(data)[1]["content"]
        assert shown.count("<data>") == shown.count("</data>") == 1
        assert json.loads(data) == {
            "history": [], "request": request, "checklist": points, "answer_a": a, "answer_b": b
        }  # fmt: skip


def test_what_is_shown_is_bounded() -> None:
    asked = Candidate(
        context=said(*["x" * 10_000] * 21), answer="y" * 99_000 + "z", checklist=("p" * 900,) * 50
    )
    shown = json.loads(rating(asked))
    assert len(shown["history"]) == EARLIER_MESSAGES
    assert shown["history"][-1]["role"] == "assistant"
    assert len(shown["checklist"]) == POINTS
    assert "[... 93001 characters left out ...]" in shown["answer"]
    assert shown["answer"].endswith("yz")
    assert len(shown["answer"]) < sum(ANSWER) + 50
    assert len(rating(asked)) < 25_000


A2, A1, TIE, B1, B2 = Grade
# What the two orders say -> preference for the answer that is A in the first, and B in the second.
PREFERENCES = {
    "much better, both": (A2, B2, 1.0),
    "slightly better, both": (A1, B1, 0.75),
    "much and slightly better": (A2, B1, 0.875),
    "a tie, both": (TIE, TIE, 0.5),
    "slightly better, and a tie": (A1, TIE, 0.625),
    "a tie, and much worse": (TIE, A2, 0.25),
    "much worse, both": (B2, A2, 0.0),
    "the first place, twice": (A2, A2, 0.5),
    "the first place, more and less": (A2, A1, 0.5),
    "the second place, more and less": (B1, B2, 0.5),
}


@pytest.mark.parametrize("one, two, expected", PREFERENCES.values(), ids=PREFERENCES)
def test_preference(one: Grade, two: Grade, expected: float) -> None:
    assert verdict(Choice(one), Choice(two)) == Verdict(first=one, second=two)
    assert Verdict(first=one, second=two).preference == expected


K = 500
# What the two orders say, with answers of so many characters -> reward.
REWARDS = {
    "slightly better, both": (A1, B1, 0, 0, 0.5),
    "and more than K longer: a tie": (A1, B1, K + 1, 0, 0.0),
    "and K longer": (A1, B1, K, 0, 0.5),
    "and much shorter": (A1, B1, 0, 9 * K, 0.5),
    "slightly worse, the other more than K longer": (B1, A1, 0, K + 1, 0.0),
    "slightly worse, the other much shorter": (B1, A1, 9 * K, 0, -0.5),
    "much and slightly better: the slight half alone is lost": (A2, B1, K + 1, 0, 0.5),
    "much better however long": (A2, B2, 9 * K, 0, 1.0),
    "the first place, twice": (A2, A1, K + 1, 0, 0.0),
}


@pytest.mark.parametrize("one, two, chars, other, expected", REWARDS.values(), ids=REWARDS)
def test_reward(one: Grade, two: Grade, chars: int, other: int, expected: float) -> None:
    said = Verdict(first=one, second=two)
    assert said.reward(chars, other, length_margin=K) == expected


def test_one_order_alone_is_no_verdict() -> None:
    lost = Unanswered(Outcome.TIMED_OUT)
    assert verdict(Choice(A2), lost) == verdict(lost, Choice(A2)) == lost


@given(st.sampled_from(Grade), st.sampled_from(Grade))
@settings(max_examples=25)
def test_exchanged_answers_exchange_the_preference(one: Grade, two: Grade) -> None:
    said = Verdict(first=one, second=two)
    assert Verdict(first=two, second=one).preference == 1 - said.preference
    assert said.reward() == 2 * said.preference - 1
    assert 0 <= said.preference <= 1
    if said.disagreed:
        assert said.preference == 0.5


def test_equal_answers_are_a_tie() -> None:
    assert Comparison(context=said("q"), answer=" a\n", other="a").is_tie
    assert not Comparison(context=said("q"), answer="a", other="A").is_tie
