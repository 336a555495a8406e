"""What a question comes to, whatever the endpoint does."""

import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from endpoint.asking import GIVE_UP_AFTER, Asker
from endpoint.ledger import spent
from endpoint.outcome import Outcome, Unanswered
from endpoint.timing import LONGEST_WAIT, Timing
from endpoint.transport import REPLY_BYTES
from tests.chat_server import (
    ChatServer,
    Handler,
    body,
    completion,
    half,
    reset,
    say,
    serving,
    status,
)

RED = '{"colour": "red"}'
GOOD = say(RED)
HUGE = body(b" " * (REPLY_BYTES + 1))

# What the server does at first, with the waits before each next attempt; then it answers.
MENDED = {
    "429 that says when": (status(429, Retry_After="7"), [7.0]),
    "429 that does not": (status(429), [1.0]),
    "408": (status(408), [1.0]),
    "500": (status(500), [1.0]),
    "503 that says when": (status(503, Retry_After="2"), [2.0]),
    "a connection that is reset": (reset, [1.0]),
    "half a body": (half, [1.0]),
    "broken JSON": (body(b'{"choices": ['), [1.0]),
    "JSON of another shape": (body(b'{"choices": []}'), [1.0]),
    "bytes that are no text": (body(b"\xff\xfe"), [1.0]),
    "a page in place of JSON": (body(completion(RED), Content_Type="text/html"), [1.0]),
    "compressed against our word": (body(b"\x1f\x8b", Content_Encoding="gzip"), [1.0]),
    "tokens below nothing": (body(completion(RED, (-1, 0))), [1.0]),
}
LASTING = {
    "400": (status(400), Outcome.REFUSED),
    "a key that is refused": (status(401), Outcome.REFUSED),
    "a page that moved": (status(404), Outcome.REFUSED),
    "a body without end": (HUGE, Outcome.TOO_LARGE),
    "429 for longer than a night": (status(429, Retry_After="3600"), Outcome.RATE_LIMITED),
    "429 until a far date": (
        status(429, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"),
        Outcome.RATE_LIMITED,
    ),
}


@pytest.mark.parametrize("bad, slept", MENDED.values(), ids=MENDED)
def test_what_passes_is_tried_again(serve, asker, waits, bad, slept) -> None:
    server = serve(bad, GOOD)
    answers = asker(server).ask(["1"])
    assert answers.values[0].colour == "red"
    assert waits == slept
    assert (answers.report.requests, answers.report.answered, answers.report.asked) == (2, 1, 1)


@pytest.mark.parametrize("bad, outcome", LASTING.values(), ids=LASTING)
def test_what_lasts_is_tried_once(serve, asker, waits, bad, outcome) -> None:
    server = serve(bad, GOOD)
    answers = asker(server).ask(["1"])
    assert answers.values == [Unanswered(outcome)]
    assert answers.report.failed == {outcome: 1}
    assert (len(server.seen), waits) == (1, [])


def test_attempts_are_bounded_and_further_and_further_apart(serve, asker, waits) -> None:
    server = serve(status(500))
    answers = asker(server, attempts=4).ask(["1"])
    assert answers.values == [Unanswered(Outcome.SERVER_ERROR)]
    assert (len(server.seen), waits) == (4, [1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    "attempt, chance, asked, seconds",
    {
        "no jitter": (0, 0.0, None, 1.0),
        "the most jitter": (0, 1.0, None, 0.5),
        "bounded": (30, 0.0, None, LONGEST_WAIT),
        "never less than asked for": (0, 0.0, "5", 5.0),
        "a header that is none": (0, 0.0, "soon", 1.0),
        "a header of any length": (0, 0.0, "9" * 5000, None),
        "a date that is past": (0, 0.0, "Fri, 31 Dec 1999 23:59:59 GMT", 1.0),
    }.values(),
)
def test_waits(attempt, chance, asked, seconds) -> None:
    assert Timing(chance=lambda: chance).wait(attempt, asked) == seconds


def test_a_time_out(serve, asker) -> None:
    released = threading.Event()
    server = serve(lambda handler: released.wait(5))
    answers = asker(server, attempts=1, timeout_s=0.05).ask(["1"])
    released.set()
    assert answers.values == [Unanswered(Outcome.TIMED_OUT)]


def test_bytes_that_drip_are_a_time_out_too(serve, asker) -> None:
    """Each chunk comes in time; all of them do not."""
    clock = iter(range(0, 10_000, 20))
    timing = Timing(sleep=lambda _: None, clock=lambda: next(clock))
    server = serve(body(b" " * 100_000))
    answers = asker(server, attempts=1, timeout_s=30, timing=timing).ask(["1"])
    assert answers.values == [Unanswered(Outcome.TIMED_OUT)]


def test_nobody_there(serve, asker) -> None:
    with serving(GOOD) as gone:
        pass
    answers = asker(gone, attempts=2).ask(["1"])
    assert answers.values == [Unanswered(Outcome.NO_CONNECTION)]
    assert answers.report.tokens_in == 0, "nothing was sent that could be billed"


def test_a_redirect_takes_the_key_nowhere(serve, asker, monkeypatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret-key")
    other = serve(GOOD)
    server = serve(status(307, Location=f"{other.url}/chat/completions"))
    answers = asker(server, api_key_env="JUDGE_KEY").ask(["1"])
    assert answers.values == [Unanswered(Outcome.REDIRECTED)]
    assert server.headers[0]["Authorization"] == "Bearer secret-key"
    assert other.seen == []


def test_the_request(serve, asker) -> None:
    server = serve(GOOD)
    asker(server, max_reply_tokens=50).ask(["1"])
    (sent,) = server.seen
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("m", 0, 50)
    assert [message["content"] for message in sent["messages"]] == [
        "Name a colour.",
        "<data>1</data>",
    ]
    assert "Authorization" not in server.headers[0]


# What the model says in place of the shape.
MISSHAPEN = {
    "prose": "red, I think",
    "nothing": "",
    "no words at all": None,
    "a further field": '{"colour": "red", "note": "x"}',
    "another type": '{"colour": 7}',
    "a list": '["red"]',
    "two answers": RED + RED,
}


@pytest.mark.parametrize("said", MISSHAPEN.values(), ids=MISSHAPEN)
def test_another_shape_is_mended_once(serve, asker, said) -> None:
    server = serve(say(said), GOOD)
    answers = asker(server).ask(["1"])
    assert answers.values[0].colour == "red"
    assert (answers.report.repaired, answers.report.requests) == (1, 2)
    assert server.seen[1]["messages"][2:] == [
        {"role": "assistant", "content": said or ""},
        {"role": "user", "content": "JSON!"},
    ]


def test_then_it_is_a_counted_failure(serve, asker) -> None:
    server = serve(say("red"))
    answers = asker(server).ask(["1"])
    assert answers.values == [Unanswered(Outcome.WRONG_SHAPE)]
    assert answers.report.failed == {Outcome.WRONG_SHAPE: 1}
    assert len(server.seen) == 2


def test_a_fence_around_json_is_no_failure(serve, asker) -> None:
    server = serve(say(f"```json\n{RED}\n```"))
    assert asker(server).ask(["1"]).values[0].colour == "red"


def test_what_was_answered_is_not_asked_again(serve, asker) -> None:
    server = serve(GOOD)
    first = asker(server).ask(["1", "2", "1"])
    assert (len(server.seen), first.report.answered) == (2, 2), "equal ones are one question"
    again = asker(server).ask(["2", "1"])
    assert len(server.seen) == 2
    assert (again.report.cached, again.report.asked, again.report.requests) == (2, 0, 0)


@pytest.mark.parametrize("change", [{"model": "n"}, {"digest": "d2"}], ids=str)
def test_another_model_or_wording_is_another_question(serve, asker, change) -> None:
    server = serve(GOOD)
    asker(server).ask(["1"])
    assert asker(server, **change).ask(["1"]).report.asked == 1


def test_an_answer_of_a_former_shape_is_asked_for_again(serve, asker, tmp_path) -> None:
    server = serve(GOOD)
    asker(server).ask(["1"])
    with closing(sqlite3.connect(tmp_path / "judge.sqlite")) as db, db:
        db.execute("UPDATE answers SET answer = '{}'")
    assert asker(server).ask(["1"]).report.asked == 1


def test_failures_are_not_kept(serve, asker) -> None:
    server = serve(status(400), GOOD)
    asker(server).ask(["1"])
    assert asker(server).ask(["1"]).values[0].colour == "red"


def test_answers_come_in_the_order_of_the_questions(serve, asker) -> None:
    def slow_at_first(handler: Handler) -> None:
        text = re.search(r"<data>(.*)</data>", handler.asked["messages"][1]["content"])[1]
        time.sleep(0.02 if text == "0" else 0)
        handler.reply(200, completion(json.dumps({"colour": text})))

    names = [str(n) for n in range(20)]
    answers = asker(serve(slow_at_first), concurrency=4).ask(names)
    assert [answer.colour for answer in answers.values] == names


def test_no_more_requests_at_once_than_allowed(serve, asker) -> None:
    together = threading.Barrier(3)

    def meet(handler: Handler) -> None:
        together.wait(5)  # so three are open at once, whatever the machine's pace
        GOOD(handler)

    server = serve(meet)
    asker(server, concurrency=3).ask([str(n) for n in range(9)])
    assert server.at_once == 3


BUDGETS = {
    "calls": {"max_calls": 2},
    # Of two requests 110 each are spent, and a third might take more than is left.
    "tokens": {"max_tokens": 220 + 280},
    "money": {"max_cost": 0.000_50, "price_in": 1, "price_out": 1},
}


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_beyond_the_budget_nothing_is_asked(serve, asker, budget, tmp_path) -> None:
    server = serve(GOOD)
    answers = asker(server, **budget).ask(["1", "2", "3", "4"])
    assert answers.report.not_asked == {Outcome.OVER_BUDGET: 2}
    assert answers.values[2:] == [Unanswered(Outcome.OVER_BUDGET)] * 2
    assert len(server.seen) == 2
    again = asker(server, **budget).ask(["1", "5"])
    assert (again.report.cached, again.report.asked) == (1, 0), "a restart brings no new budget"
    assert asker(server, account="the next night", **budget).ask(["5"]).report.asked == 1
    assert spent(tmp_path / "judge.sqlite", "night").requests == 2


def test_attempts_that_fail_are_in_the_budget(serve, asker) -> None:
    server = serve(status(500))
    answers = asker(server, attempts=9, max_calls=3).ask(["1", "2"])
    assert len(server.seen) == 3
    assert answers.report.failed == {Outcome.SERVER_ERROR: 1}
    assert answers.report.not_asked == {Outcome.OVER_BUDGET: 1}


def test_the_cost_log(serve, asker, tmp_path) -> None:
    server = serve(status(500), GOOD, say("red"), say("red"))
    answers = asker(server, price_in=2.0, price_out=10.0).ask(["1", "2"])
    found = spent(tmp_path / "judge.sqlite", "night")
    assert found.by_outcome == {"answered": 3, "server_error": 1}
    assert (found.tokens_in, found.tokens_out) == (300, 30)
    assert found.cost == pytest.approx(300 * 2e-6 + 30 * 10e-6)
    assert answers.report.cost == pytest.approx(found.cost)


def test_a_server_that_counts_no_tokens_is_booked_at_the_worst(serve, asker) -> None:
    server = serve(say(RED, tokens=None))
    report = asker(server).ask(["1"]).report
    assert report.tokens_in >= len("Name a colour.<data>1</data>")
    assert report.tokens_out == 200


def test_a_dead_endpoint_is_given_up(serve, asker, waits) -> None:
    server = serve(status(503))
    judge = asker(server, attempts=2)
    report = judge.ask([str(n) for n in range(100)]).report
    assert report.failed == {Outcome.SERVER_ERROR: GIVE_UP_AFTER}
    assert report.not_asked == {Outcome.GAVE_UP: 100 - GIVE_UP_AFTER}
    assert len(server.seen) == 2 * GIVE_UP_AFTER
    assert judge.ask(["more"]).report.not_asked == {Outcome.GAVE_UP: 1}


def test_now_and_then_a_failure_is_no_dead_endpoint(serve, asker) -> None:
    server = serve(*([status(400)] * (GIVE_UP_AFTER - 1) + [GOOD]) * 3)
    report = asker(server).ask([str(n) for n in range(3 * GIVE_UP_AFTER)]).report
    assert (report.answered, report.not_asked) == (3, {})


def test_without_a_store_nothing_is_asked(serve, asker, tmp_path) -> None:
    (tmp_path / "broken").write_bytes(b"this is no database, and never was one" * 100)
    server = serve(GOOD)
    for store in (tmp_path / "broken", tmp_path / "none" / "judge.sqlite"):
        report = asker(server, store=str(store)).ask(["1"]).report
        assert report.not_asked == {Outcome.STORE_UNUSABLE: 1}
    assert server.seen == []
    assert spent(tmp_path / "broken", "night") is None
    assert spent(tmp_path / "nowhere", "night") is None


def test_what_stops_the_caller_stops_the_questions(serve, asker) -> None:
    def stop(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    server = serve(GOOD)
    with pytest.raises(KeyboardInterrupt):
        asker(server).ask([str(n) for n in range(50)], stop)
    assert len(server.seen) < 50


def test_two_processes_share_answers_and_budget(
    serve: Callable[..., ChatServer], asker: Callable[..., Asker], tmp_path: Path
) -> None:
    """Two askers have a connection each, as two processes would."""
    server = serve(GOOD)
    one, two = asker(server, max_calls=20, concurrency=4), asker(server, max_calls=20)
    names = [str(n) for n in range(30)]
    threads = [threading.Thread(target=a.ask, args=(names,)) for a in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.seen) == spent(tmp_path / "judge.sqlite", "night").requests == 20
