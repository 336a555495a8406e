import json

import pytest

from ingestion import normalize
from ingestion.formats.openai import READER
from ingestion.formats.raw import RawConversation, RawTurn, Refused
from warehouse.records import ReasonCode


def read(record):
    raw = READER.read(json.dumps(record).encode())
    assert not isinstance(raw, Refused), raw
    return raw


def asked(*messages, **fields):
    """An openai record in which the messages follow a user's."""
    return read({"messages": [{"role": "user", "content": "?"}, *messages], **fields})


CALL = {"id": "c1", "type": "function", "function": {"name": "height", "arguments": '{"of": "K2"}'}}
CONTENTS = {
    "text": ({"content": "hi"}, "hi"),
    "null": ({"content": None}, ""),
    "left out": ({}, ""),
    "parts": ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
    "parts of the Responses API": (
        {"content": [{"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b"}]},
        "a\nb",
    ),
    "one part, no list": ({"content": {"type": "text", "text": "a"}}, "a"),
    "text among parts": ({"content": ["a", {"type": "text", "text": "b"}]}, "a\nb"),
    "an image": (
        {"content": [{"type": "image_url", "image_url": {"url": "x"}}, "b"]},
        "[image]\nb",
    ),
    "an input image": ({"content": [{"type": "input_image", "file_id": "x"}]}, "[image]"),
    "a sound": ({"content": [{"type": "input_audio", "input_audio": {}}]}, "[audio]"),
    "a file": ({"content": [{"type": "file", "file": {"file_id": "x"}}]}, "[file]"),
    "odd parts": ({"content": [None, 1, True, [], {}, {"type": 1}, {"text": 1}, "a"]}, "a"),
    "no parts": ({"content": []}, ""),
    "a refusal": ({"content": None, "refusal": "I cannot."}, "I cannot."),
    "a refusal as a part": ({"content": [{"type": "refusal", "refusal": "I can't."}]}, "I can't."),
    "an odd refusal": ({"content": None, "refusal": {"why": 1}}, ""),
    "an answer by voice": ({"content": None, "audio": {"id": "x", "transcript": "hi"}}, "hi"),
    "an odd answer by voice": ({"content": None, "audio": {"transcript": 1}}, ""),
    "a tool call": ({"content": None, "tool_calls": [CALL]}, '[tool call] height({"of": "K2"})'),
    "a tool call after text": (
        {"content": "Let me see.", "tool_calls": [CALL]},
        'Let me see.\n[tool call] height({"of": "K2"})',
    ),
    "two tool calls": (
        {"tool_calls": [CALL, CALL]},
        '[tool call] height({"of": "K2"})\n[tool call] height({"of": "K2"})',
    ),
    "a function call": (
        {"content": None, "function_call": {"name": "height", "arguments": "{}"}},
        "[tool call] height({})",
    ),
    "a function call after text": (
        {"content": "Let me see.", "function_call": {"name": "height", "arguments": "{}"}},
        "Let me see.\n[tool call] height({})",
    ),
    "arguments that are no text": (
        {"tool_calls": [{"function": {"name": "height", "arguments": {"of": ["K2"]}}}]},
        '[tool call] height({"of":["K2"]})',
    ),
    "odd calls": ({"content": "a", "tool_calls": [1, None], "function_call": 2}, "a"),
    "no calls": ({"content": "a", "tool_calls": [], "function_call": None}, "a"),
}


@pytest.mark.parametrize("fields, content", CONTENTS.values(), ids=CONTENTS)
def test_content(fields, content):
    assert asked({"role": "assistant", **fields}).turns[1].content == content


def test_tool_messages():
    (_, _, tool, _) = asked(
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "8611"}]},
        {"role": "assistant", "content": "8,611 m."},
    ).turns
    assert (tool.role, tool.content) == ("tool", "8611")


def test_fields():
    raw = asked(
        {
            "role": "assistant",
            "content": "hello",
            "model": "gpt-4o-mini",
            "language": "fr",
            "timestamp": "2023-04-09T00:03:00Z",
            "rating": 4,
            "thumb": "down",
            "regenerated": True,
            "edited": False,
        },
        {"role": "user", "content": "no", "created_at": 5},
        conversation_id=42,
        id="request-7",
        user="ann",
        model="gpt-4o",
        language="English",
        country="FR",
        opt_out=True,
        created=1680998573,
    )
    assert raw == RawConversation(
        id=42,
        user="ann",
        turns=[
            RawTurn("user", "?", "gpt-4o", "English", 1680998573),
            RawTurn(
                role="assistant",
                content="hello",
                model="gpt-4o-mini",
                language="fr",
                timestamp="2023-04-09T00:03:00Z",
                thumb="down",
                rating=4,
                regenerated=True,
                edited=False,
            ),
            RawTurn("user", "no", "gpt-4o", "English", 5),
        ],
        country="FR",
        opted_out=True,
    )


METADATA = {
    "conversation_id": "c-1",
    "user_id": "ann",
    "model": "gpt-4o",
    "language": "en",
    "country": "FR",
    "opt_out": "true",
}


def test_metadata():
    raw = asked(id="request-7", metadata=METADATA)
    assert (raw.id, raw.user, raw.country, raw.opted_out) == ("c-1", "ann", "FR", "true")
    assert (raw.turns[0].model, raw.turns[0].language) == ("gpt-4o", "en")


def test_metadata_comes_after_what_the_record_says():
    own = {"conversation_id": 0, "user_id": "bob", "model": "m", "country": "DE"}
    raw = asked(**own, metadata=METADATA | {"session_id": "s"})
    assert (raw.user, raw.country, raw.turns[0].model) == ("bob", "DE", "m")
    assert raw.turns[0].language == "en"


IDS = {
    "of the conversation": ({"conversation_id": "c", "session_id": "s", "id": "r"}, "c"),
    "of the session": ({"session_id": "s", "id": "r"}, "s"),
    "of the session, in the metadata": ({"metadata": {"session_id": "s"}, "id": "r"}, "s"),
    "of the record": ({"id": "r", "metadata": {"topic": "x"}}, "r"),
    "of the response": ({"response": {"id": "chatcmpl-4"}}, "chatcmpl-4"),
    "odd": ({"conversation_id": {"$oid": 1}, "id": True}, None),
    "an odd one beside a good one": ({"conversation_id": [1], "id": "r"}, "r"),
    "odd metadata": ({"metadata": "s", "id": "r"}, "r"),
    "zero beside metadata": ({"conversation_id": 0, "metadata": {"conversation_id": "c"}}, 0),
    "empty beside metadata": ({"conversation_id": "", "metadata": {"conversation_id": "c"}}, "c"),
}


@pytest.mark.parametrize("fields, known", IDS.values(), ids=IDS)
def test_ids(fields, known):
    assert asked(**fields).id == known


GIVEN = {"thumb": "up", "rating": 3, "regenerated": True, "edited": True}
FEEDBACK = {
    "an object": (GIVEN, GIVEN),
    "a thumb by itself": ("down", {"thumb": "down"}),
    "nothing said": ({"comment": "x"}, {}),
    "odd": ([1], {"thumb": [1]}),
}


@pytest.mark.parametrize("feedback, expected", FEEDBACK.values(), ids=FEEDBACK)
def test_feedback_on_a_message_or_on_the_last_answer(feedback, expected):
    told = RawTurn("assistant", "a", **expected)
    answer = {"role": "assistant", "content": "a"}
    assert asked(answer | {"feedback": feedback}).turns[1] == told
    _, first, last, _ = asked(
        answer, answer, {"role": "user", "content": "no"}, feedback=feedback
    ).turns
    assert (first, last) == (RawTurn("assistant", "a"), told)


def test_feedback_of_a_message_comes_before_that_of_the_record():
    answer = {"role": "assistant", "thumb": 1, "feedback": {"thumb": -1, "rating": 2}}
    turn = asked(answer, feedback={"rating": 5, "edited": True}).turns[1]
    assert (turn.thumb, turn.rating, turn.edited) == (1, 2, True)


def test_feedback_without_an_answer_is_nobodys():
    assert asked(feedback={"thumb": "up"}).turns == [RawTurn("user", "?")]


def test_odd_values_cost_their_field_and_not_the_conversation():
    odd = {"rating": {"stars": 5}, "thumb": [1], "regenerated": "yes", "timestamp": {"$date": 0}}
    (_, turn) = asked({"role": "assistant", **odd}, user={"name": "x"}, model=7).turns
    assert normalize.rating(turn.rating) is None
    assert normalize.thumb(turn.thumb) is None
    assert normalize.timestamp(turn.timestamp) is None


NO_REQUESTS = {
    "null": None,
    "an id": "r-1",
    "a list": [],
    "of another endpoint": {"prompt": "hi"},
    "odd messages": {"messages": 7},
    "within a request": {"request": {"messages": []}},
}


@pytest.mark.parametrize("request_", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_record_without_messages_is_refused(request_):
    line = json.dumps({"request": request_, "response": "hello"}).encode()
    assert READER.read(line).reason is ReasonCode.WRONG_SHAPE
