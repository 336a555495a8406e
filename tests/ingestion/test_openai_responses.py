"""Logs of requests: what a response adds to the messages that it answers."""

import json

import pytest

from ingestion.formats.openai import READER
from ingestion.formats.raw import RawConversation, RawTurn, Refused


def read(record):
    raw = READER.read(json.dumps(record).encode())
    assert not isinstance(raw, Refused), raw
    return raw


def asked(*messages, **fields):
    """An openai record in which the messages follow a user's."""
    return read({"messages": [{"role": "user", "content": "?"}, *messages], **fields})


CALL = {"id": "c1", "type": "function", "function": {"name": "height", "arguments": '{"of": "K2"}'}}


SAID = {"content": "hello"}
ANSWER = {"role": "assistant", **SAID}
RESPONSES = {
    "a response": {"response": {"choices": [{"index": 0, "message": ANSWER}]}},
    "the first of several": {
        "response": {"choices": [{"message": ANSWER}, {"message": {"role": "assistant"}}]}
    },
    "the first that has one": {"response": {"choices": [{}, {"message": ANSWER}]}},
    "choices beside the messages": {"choices": [{"message": ANSWER}]},
    "choices beside no response": {"choices": [{"message": ANSWER}], "response": None},
    "a message that does not say whose": {"response": {"choices": [{"message": SAID}]}},
    "such a one beside the messages": {"choices": [{"message": SAID}]},
    "a message beside no choices": {"response": {"choices": None, **SAID}},
    "JSON text of a response": {"response": json.dumps({"choices": [{"message": ANSWER}]})},
    "JSON text of a message": {"response": json.dumps(ANSWER)},
    "a message": {"response": ANSWER},
    "text": {"response": "hello"},
    "a tool call": {
        "response": {
            "choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [CALL]}}]
        }
    },
}


@pytest.mark.parametrize("fields", RESPONSES.values(), ids=RESPONSES)
def test_response_is_the_last_message(fields):
    question = [{"role": "user", "content": "hi"}]
    beside = read({"messages": question, **fields})
    apart = read({"request": {"messages": question}, **fields})
    assert beside == apart
    assert [turn.role for turn in beside.turns] == ["user", "assistant"]
    assert beside.turns[1].content in ("hello", '[tool call] height({"of": "K2"})')


NO_RESPONSES = {
    "none": {},
    "null": {"response": None},
    "an error": {"response": {"error": {"message": "overloaded"}}},
    "no choices": {"response": {"choices": []}},
    "odd": {"response": [1, 2]},
    "odd choices": {"choices": {"a": 1}},
    "an empty answer": {"choices": [{"message": {"role": "assistant", "content": ""}}]},
}


@pytest.mark.parametrize("fields", NO_RESPONSES.values(), ids=NO_RESPONSES)
def test_request_without_a_readable_response_stays(fields):
    assert asked(**fields).turns == [RawTurn("user", "?")]


# What the messages end with, and the answer -> all that is said after the first question.
REPEATED = {
    "the answer": ([ANSWER], "hello", ["hello"]),
    "the answer, trimmed": ([ANSWER], "hello\n", ["hello"]),
    "another answer": ([ANSWER], "hi", ["hello", "hi"]),
    "the user's text": ([{"role": "user", "content": "hello"}], "hello", ["hello", "hello"]),
}


@pytest.mark.parametrize("messages, answer, said", REPEATED.values(), ids=REPEATED)
def test_answer_that_the_messages_have_already_is_not_said_twice(messages, answer, said):
    turns = asked(*messages, choices=[{"message": {"content": answer}}]).turns
    assert [turn.content for turn in turns[1:]] == said


JSON_ANSWERS = {
    "an object": '{"name": "K2", "height": 8611}',
    "with a role": '{"role": "guide", "content": "up"}',
    "with choices": '{"choices": ["left", "right"]}',
    "with choices of objects": '{"choices": [{"text": "left"}]}',
    "with content": '{"content": "hello"}',
    "a list": '[{"role": "assistant", "content": "hello"}]',
    "broken": '{"choices": [',
}


@pytest.mark.parametrize("text", JSON_ANSWERS.values(), ids=JSON_ANSWERS)
def test_an_answer_that_is_json_stays_as_it_is(text):
    assert [turn.content for turn in asked(response=text).turns] == ["?", text]


AGAIN = {"role": "user", "content": "again?"}
# What follows the first question, and the rest of the record -> whether the first answer is judged.
JUDGED = {
    "no call": ([ANSWER], {}, True),
    "no call, and a question since": ([ANSWER, AGAIN], {}, True),
    "a call that failed": ([ANSWER, AGAIN], {"response": {"error": {"message": "busy"}}}, False),
    "a call without an answer": ([ANSWER, AGAIN], {"response": None}, False),
    "choices without an answer": ([ANSWER, AGAIN], {"choices": []}, False),
    "a call of which only the messages have the answer": ([ANSWER], {"response": {}}, True),
    "a call that was answered": ([ANSWER, AGAIN], {"response": "yes"}, False),
}


@pytest.mark.parametrize("messages, fields, judged", JUDGED.values(), ids=JUDGED)
def test_feedback_on_a_call_is_of_its_own_answer(messages, fields, judged):
    turns = asked(*messages, feedback="down", **fields).turns
    assert (turns[1].thumb == "down") is judged
    answered = turns[-1].role == "assistant"
    assert [turn.thumb for turn in turns].count("down") == (answered or judged)


def test_request_log():
    raw = read(
        {
            "timestamp": "2026-03-01T20:15:00Z",
            "request": {
                "model": "gpt-4o",
                "user": "ann",
                "messages": [{"role": "user", "content": "hi"}],
                "metadata": {"session_id": "s-1"},
                "timestamp": "ignored: the record has its own",
            },
            "response": {
                "id": "chatcmpl-4",
                "created": 1772396100,
                "model": "gpt-4o-2024-08-06",
                "choices": [{"message": ANSWER}],
            },
            "feedback": {"thumb": "up"},
        },
    )
    question = RawTurn("user", "hi", "gpt-4o", timestamp="2026-03-01T20:15:00Z")
    answer = RawTurn("assistant", "hello", "gpt-4o-2024-08-06", None, 1772396100, thumb="up")
    assert raw == RawConversation("s-1", "ann", [question, answer])
