"""What a judge's replies say beside the win rate: figures, and the requests that they take."""

import json
import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoint.outcome import Outcome, Unanswered
from tests.chat_server import Handler, completion
from tests.training.judging.conftest import shown
from training.compare import Comparer
from training.examples import Example
from training.judging.judgement import Answers, judgement, rated
from training.judging.questions import Verdict
from training.judging.wildbench import Grade
from training.tools import ByJudge
from warehouse.errors import SourceUnavailable

A2, A1, TIE, B1, B2 = Grade
WIN, SLIGHT, EVEN = (Verdict(first=a, second=b) for a, b in ((A2, B2), (A1, B1), (TIE, TIE)))
LOST = Unanswered(Outcome.TIMED_OUT)


def rows(*lengths: tuple[int, int]) -> Answers:
    """Answers of so many characters, each of another user."""
    return Answers(
        ours=tuple("x" * ours for ours, _ in lengths),
        theirs=tuple("x" * theirs for _, theirs in lengths),
        clusters=tuple(map(str, range(len(lengths)))),
    )


def test_slight_wins_of_long_answers_are_ties() -> None:
    found = judgement([WIN, SLIGHT, SLIGHT, LOST], rows((900, 9), (900, 9), (9, 9), (9, 9)))
    assert (found.reward.value, found.reward.n, found.length_margin) == (0.5, 3, 500)
    assert found.length_controlled.rate.n == 3
    assert found.ratings is None


def test_a_candidate_that_wins_by_length_alone_has_half_of_equal_length() -> None:
    lose = Verdict(first=B1, second=A1)
    lengths = rows(*[(200, 100)] * 20, *[(100, 200)] * 10)
    found = judgement([SLIGHT] * 20 + [lose] * 10, lengths)
    assert found.reward.value == pytest.approx(1 / 6), "it is within K"
    assert found.length_controlled.slope > 0
    lc = found.length_controlled.rate
    assert lc.value == pytest.approx(0.5, abs=0.01) and lc.low <= lc.value <= lc.high


def test_where_nothing_was_said_there_is_no_figure() -> None:
    found = judgement([LOST, LOST], rows((1, 1), (1, 1)))
    assert math.isnan(found.reward.value) and math.isnan(found.length_controlled.rate.value)


def test_ratings_are_paired() -> None:
    found = rated([9, LOST, 5, 7], [5, 9, LOST, 7], list("abcd"))
    assert (found.candidate.value, found.parent.value, found.change.value) == (6, 2, 4)
    assert (found.change.n, found.change.clusters, found.unrated) == (2, 2, 2)


def test_too_many_without_a_rating_make_no_figure() -> None:
    found = rated([9, LOST], [5, 9], list("ab"), enough=False)
    assert math.isnan(found.change.value)
    assert (found.candidate.n, found.unrated) == (0, 1)


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 10)), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_exchanged_policies_exchange_the_change(marks: list[tuple[int, int]]) -> None:
    ours, theirs = zip(*marks, strict=True)
    users = [str(n % 3) for n in range(len(marks))]
    one, other = rated(ours, theirs, users), rated(theirs, ours, users)
    assert one.change.value == pytest.approx(-other.change.value)
    assert one.change.value == pytest.approx(one.candidate.value - one.parent.value)
    assert -8 <= one.candidate.value <= 10


def says(handler: Handler) -> None:
    """Prefers and rates what is longer; "mute" gets no rating."""
    asked = shown(handler.asked)
    if "answer" not in asked:
        one, other = len(asked["answer_a"]), len(asked["answer_b"])
        said = {"choice": str(A1 if one > other else B1 if one < other else TIE)}
    elif asked["answer"] == "mute":
        said = {"choice": "none"}
    else:
        said = {"score": min(len(asked["answer"]), 10)}
    handler.reply(200, completion(json.dumps(said)))


def kinds(requests: list) -> Counter[str]:
    return Counter("rating" if "answer" in shown(one) else "comparison" for one in requests)


@pytest.fixture
def examples(make_examples: Callable[[int], list[Example]]) -> list[Example]:
    return make_examples(3)


OURS, THEIRS = ("aaaaaaa", "aaaaaaaa", "a"), ("aaa", "aaa", "aaaa")


def test_the_replies_to_comparisons_are_used_and_none_is_asked_beyond(
    serve, judge, examples
) -> None:
    server = serve(says)
    comparer: Comparer = ByJudge(judge=judge(server))
    told = comparer.prefer(examples, OURS, THEIRS)
    assert told.preferences == [0.75, 0.75, 0.25]
    assert told.judgement is not None and told.judgement.ratings is None
    assert told.judgement.reward.value == pytest.approx(0.5 / 3)
    assert told.judgement.reward.clusters == 3
    assert kinds(server.seen) == {"comparison": 6}


def test_ratings_are_asked_for_once_it_has_compared(serve, judge, examples) -> None:
    server = serve(says)
    told = ByJudge(judge=judge(server), rate=True).prefer(examples, OURS, THEIRS)
    assert told.judgement is not None and told.judgement.ratings is not None
    ratings = told.judgement.ratings
    assert ratings.candidate.value == pytest.approx((16 / 3 - 5) * 2)
    assert ratings.change.value == pytest.approx((16 - 10) / 3 * 2)
    assert ratings.unrated == 0
    assert kinds(server.seen[:6]) == {"comparison": 6}
    assert kinds(server.seen[6:]) == {"rating": 6}


def test_ratings_that_fail_are_counted_and_the_win_rate_stands(serve, judge, examples) -> None:
    made = judge(serve(says), max_failed_share=0.2)
    by = ByJudge(judge=made, rate=True)
    few = by.prefer(examples, ("mute", "aa", "aa"), ("aaa", "aaa", "a")).judgement
    assert few is not None and few.ratings is not None
    assert (few.ratings.unrated, few.ratings.change.n) == (1, 2)
    many = by.prefer(examples, ("mute", "mute", "aa"), ("aaa", "aaa", "a"))
    assert many.preferences == [0.75, 0.75, 0.75]
    assert many.judgement is not None and many.judgement.ratings is not None
    assert (many.judgement.ratings.unrated, many.judgement.ratings.change.n) == (2, 0)


def test_a_budget_is_for_the_comparisons_first(serve, judge, examples) -> None:
    server = serve(says)
    told = ByJudge(judge=judge(server, max_calls=6), rate=True).prefer(examples, OURS, THEIRS)
    assert told.preferences == [0.75, 0.75, 0.25]
    assert told.judgement is not None and told.judgement.ratings is not None
    assert told.judgement.ratings.unrated == 6
    assert len(server.seen) == 6
    with pytest.raises(SourceUnavailable, match="comparisons"):
        ByJudge(judge=judge(serve(says), account="b", max_calls=0), rate=True).prefer(
            examples, ("b", "bb", "bbb"), THEIRS
        )
