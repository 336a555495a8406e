"""Scores by a judge's ratings."""

import json
import math

import pytest

from endpoint.outcome import Outcome
from tests.chat_server import Handler, completion
from tests.training.judging.conftest import shown
from training.scorers.base import Scorer
from training.scorers.judged import JudgedScorer
from warehouse.errors import SourceUnavailable


def rate(handler: Handler) -> None:
    """By the answer's length; "mute" gets no score."""
    answer = shown(handler.asked)["answer"]
    reply = "I would rather not." if answer == "mute" else json.dumps({"score": len(answer)})
    handler.reply(200, completion(reply))


def test_scores_stand_where_their_answers_do(serve, judge, make_examples) -> None:
    server = serve(rate)
    scorer: Scorer = JudgedScorer(judge=judge(server))
    found = scorer.score(make_examples(3), [["a", "aaa"], [], ["aa"]])
    assert found == [[1, 3], [], [2]]
    assert [shown(request)["request"] for request in server.seen] == [
        make_examples(3)[n].prompt[-1].content for n in (0, 0, 2)
    ]
    assert scorer.name == "judged:m:rate_v1"


def test_what_the_user_said_next_is_not_shown(serve, judge, make_examples) -> None:
    server = serve(rate)
    (example,) = make_examples(1)
    JudgedScorer(judge=judge(server)).score([example], [["a"]])
    text = json.dumps(server.seen)
    assert example.feedback not in text
    assert example.rejected not in text


def test_where_the_judge_cannot_say_there_is_no_number(serve, judge, make_examples) -> None:
    made = judge(serve(rate), max_failed_share=0.5)
    ((one, two),) = JudgedScorer(judge=made).score(make_examples(1), [["mute", "aa"]])
    assert math.isnan(one)
    assert two == 2
    assert made.summary.failed == {Outcome.WRONG_SHAPE: 1}
    with pytest.raises(SourceUnavailable, match="1 of 1 ratings"):
        JudgedScorer(judge=made).score(make_examples(1), [["mute"]])


def test_answers_belong_to_turns(serve, judge, make_examples) -> None:
    with pytest.raises(ValueError):
        JudgedScorer(judge=judge(serve(rate))).score(make_examples(2), [["a"]])
