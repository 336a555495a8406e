"""What teaches nothing is told by its words, and what teaches something is left alone."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.unfit import is_service_error, is_venting

VENTING = [
    "fuck you", "you idiot", "FUCK!!!", "wtf", "omg you are so stupid", "stupid bot", "ugh",
    "you are a complete moron!!", "I hate you", "wtf bro", "ugh, fuck this", "connard !", "傻逼",
    "shut up", "lol you idiot", "you are dumb",
]  # fmt: skip
SAYS_SOMETHING = [
    "useless", "bad answer", "that's wrong, idiot", "wtf is this", "you idiot, I said in French",
    "no", "???", "", "...", "are you stupid? it's 42", "fuck, that does not compile",
    "I hate this answer", "stupid question, but why?", "who wrote 'The Idiot'?", "wow", "so?",
    "idiot-proof steps please", "translate: fuck you", "dumb it down", "'you idiot'",
    "my boss is an idiot", "go on", "really?", "man", "stop halting", "rolling", "stupid", "dumb",
]  # fmt: skip
ERRORS = [
    "Network error", "Something went wrong. Please try again later.", "503 Service Unavailable",
    "An error occurred while generating the response.", "⚠️ Internal server error",
    "Rate limit exceeded. Try again in 20 s.", '{"error": {"message": "overloaded"}}',
    "Error: request timed out", "The server had an error while processing your request. Sorry "
    "about that!", "The model is currently overloaded. Please retry.",
    "API error, please try again", "API 错误，请稍后再试", "抱歉，系统繁忙，请稍后再试。",
    "网络错误",
    "Here is the first half of it:\n- one\n[Network error]", "Sure\n[Response interrupted]",
]  # fmt: skip
ANSWERS = [
    "", "A network error means that the packets got lost.", "503 Service Unavailable means that "
    "the server is down.", "Sydney.", "Something went wrong in 1914: the alliances.",
    "An error occurred in line 3: you forgot a bracket.", "[1, 2, 3]",
    'Return {"error": "not found"}', "Print this:\nnetwork error", "the request was refused",
    "I'm sorry, but I can't help with that.", "API error handling in Go returns an error.",
    "网络错误的常见原因有三个：路由器、DNS 和防火墙。", "请求失败时，应先检查状态码。",
]  # fmt: skip


@pytest.mark.parametrize("text", VENTING)
def test_a_mood_is_no_feedback(text: str) -> None:
    assert is_venting(text)


@pytest.mark.parametrize("text", SAYS_SOMETHING)
def test_what_speaks_of_the_answer_is_feedback(text: str) -> None:
    assert not is_venting(text)


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_of_the_service_is_no_answer(text: str) -> None:
    assert is_service_error(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_what_speaks_of_errors_is_an_answer(text: str) -> None:
    assert not is_service_error(text)


def test_hardly_any_written_example_is_venting(authored) -> None:
    rows = [json.loads(line) for line in authored.read_text().splitlines()]
    found = [row for row in rows if is_venting(row["follow_up"])]
    assert len(found) < 10
    assert not [row for row in found if row["label"] in ("correction", "refinement")]
    assert not [row for row in rows if is_service_error(row["assistant"])]


@given(st.text())
def test_any_text_is_looked_at(text: str) -> None:
    is_venting(text)
    is_service_error(text)


def test_a_long_text_costs_little() -> None:
    start = time.process_time()
    for text in ("fuck " * 200_000, "error " * 200_000, "\n" * 1_000_000):
        is_venting(text)
        is_service_error(text)
    assert time.process_time() - start < 0.5
