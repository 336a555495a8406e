import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.formats.payloads import conversation_id, exchange, settle, spoken, unpacked
from ingestion.formats.raw import RawTurn
from ingestion.formats.scores import Feedback

U, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
S = {"role": "system", "content": "s"}
QA = [("user", "q"), ("assistant", "a")]


def _dump(name, **kwargs):
    path = ["langchain", "schema", "messages", name]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}


def _said(turns):
    return [(turn.role, turn.content) for turn in turns]


EXCHANGES = {
    "messages and a text": ([U], "a", QA),
    "messages and a message": ([U], A, QA),
    "messages and messages": ([U], [A], QA),
    "an object with messages": ({"messages": [U], "model": "m"}, {"messages": [A]}, QA),
    "one message": (U, A, QA),
    "JSON text": (json.dumps([U]), json.dumps(A), QA),
    "JSON text in an object": ({"input": json.dumps({"messages": [U]})}, "a", QA),
    "choices": ([U], {"choices": [{"index": 0, "message": A}, {"message": U}]}, QA),
    "choices of text": ([U], {"choices": [{"text": "a"}]}, QA),
    "generations of text": ([U], {"generations": [[{"text": "a", "message": None}]]}, QA),
    "generations of messages": (
        {"messages": [[_dump("HumanMessage", content="q", type="human")]]},
        {"generations": [[{"text": "a", "message": _dump("AIMessage", content="a")}]]},
        QA,
    ),
    "a class without a type": (
        [_dump("SystemMessage", content="s"), _dump("HumanMessage", content="q")],
        _dump("AIMessageChunk", content="a"),
        [("system", "s"), *QA],
    ),
    "a chat message with a role of its own": (
        [_dump("ChatMessage", content="q", role="user")],
        A,
        QA,
    ),
    "types in place of roles": (
        [{"type": "human", "content": "q"}],
        {"type": "ai", "content": "a"},
        QA,
    ),
    "types with data": ([{"type": "human", "data": {"content": "q"}}], A, QA),
    "pairs": ([["user", "q"]], ["assistant", "a"], QA),
    "one pair": (["human", "q"], "a", QA),
    "history and a question": (
        {"chat_history": [U, A], "input": "more"},
        {"output": "b"},
        [*QA, ("user", "more"), ("assistant", "b")],
    ),
    "a question and its history come back": (
        {"chat_history": [U, A], "input": "more"},
        {"input": "more", "chat_history": [U, A], "output": "b"},
        [*QA, ("user", "more"), ("assistant", "b")],
    ),
    "a system prompt beside": ({"system": "s", "messages": [U]}, "a", [("system", "s"), *QA]),
    "a system prompt in parts": (
        {"system": [{"type": "text", "text": "s"}], "messages": [U]},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
        [("system", "s"), *QA],
    ),
    "a system prompt that is there already": (
        {"instructions": "other", "messages": [S, U]},
        "a",
        [("system", "s"), *QA],
    ),
    "Responses": (
        {"instructions": "s", "input": [{"type": "message", **U}]},
        {"output": [{"type": "reasoning", "summary": []}, {"type": "message", **A}]},
        [("system", "s"), *QA],
    ),
    "calls of Responses": (
        [
            U,
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "r"},
        ],
        A,
        [("user", "q"), ("assistant", "[tool call] f({})"), ("tool", "r"), ("assistant", "a")],
    ),
    "Gemini": (
        {"contents": [{"role": "user", "parts": [{"text": "q"}]}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}}]},
        QA,
    ),
    "results of tools are no words of the user": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "content": "r"},
                    {"type": "text", "text": "q"},
                ],
            }
        ],
        "a",
        [("tool", "r"), *QA],
    ),
    "results of tools alone": (
        [U, {"role": "user", "content": [{"type": "tool_result", "content": "r"}]}],
        "a",
        [("user", "q"), ("tool", "r"), ("assistant", "a")],
    ),
    "what the model says to itself": ([U], [{"role": "reasoning", "content": "hm"}, A], QA),
    "an answer that is data": (
        [U],
        {"city": "Paris"},
        [("user", "q"), ("assistant", '{"city":"Paris"}')],
    ),
    "an answer that is JSON stays as it is": (
        [U],
        '{"answer": "Paris"}',
        [("user", "q"), ("assistant", '{"answer": "Paris"}')],
    ),
    "no answer": ([U], None, [("user", "q")]),
    "an empty answer": ([U], "", [("user", "q")]),
    "an answer with calls only": (
        [U],
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]},
        [("user", "q"), ("assistant", "[tool call] f()")],
    ),
    "the state that comes back holds what was put in": (
        {"messages": [{"role": "user", "content": "more"}]},
        {
            "messages": [
                U,
                A,
                {"role": "user", "content": "more"},
                {"role": "assistant", "content": "b"},
            ]
        },
        [*QA, ("user", "more"), ("assistant", "b")],
    ),
    "a state without the system prompt": (
        [S, U],
        {"messages": [U, A]},
        [("system", "s"), *QA],
    ),
    "a state with it": ([S, U], [S, U, A], [("system", "s"), *QA]),
    "a state of something else": (
        [{"role": "user", "content": "more"}],
        [U, A],
        [("user", "more"), *QA],
    ),
    "roles in capitals": ([{"role": "User", "content": "q"}], {"role": "AI", "content": "a"}, QA),
    "a role that nobody knows is kept": (
        [U, {"role": "narrator", "content": "x"}],
        "a",
        [("user", "q"), ("narrator", "x"), ("assistant", "a")],
    ),
    "choices that were put in": ({"question": "q", "choices": [{"text": "x"}]}, "a", []),
    "no messages": ({"documents": []}, "a", []),
    "text": ("q", "a", []),
    "something among messages that is none": ([U, {"id": 7}], "a", []),
    "a batch of several prompts": ([[U], [A]], "a", []),
    "a role without a word": ({"role": "user", "id": 3}, "a", []),
    "nothing": (None, None, []),
    "no list": ({"messages": 3}, "a", []),
    "empty lists": ({"messages": [[]]}, {"generations": [[]]}, []),
}


@pytest.mark.parametrize("asked, answered, turns", EXCHANGES.values(), ids=EXCHANGES)
def test_exchanges(asked, answered, turns):
    assert _said(exchange(asked, answered)) == turns


SPOKEN = {
    "text": ("q", "a", QA),
    "a question": ({"question": "q"}, {"answer": "a"}, QA),
    "an input": ({"input": "q"}, {"output": "a"}, QA),
    "JSON text with a question": ('{"query": "q"}', "a", QA),
    "JSON of the user's own": ('{"a": 1}', "a", [("user", '{"a": 1}'), ("assistant", "a")]),
    "prompts": ({"prompts": ["q"]}, {"generations": [[{"text": "a"}]]}, QA),
    "no answer": ("q", None, [("user", "q")]),
    "an answer in a shape of its own": ("q", {"documents": []}, [("user", "q")]),
    "nothing asked": ("", "a", []),
    "several prompts": ({"prompts": ["q", "r"]}, "a", []),
    "a number": (3, "a", []),
    "a list": (["q"], "a", []),
}


@pytest.mark.parametrize("asked, answered, turns", SPOKEN.values(), ids=SPOKEN)
def test_spoken(asked, answered, turns):
    assert _said(spoken(asked, answered)) == turns


def _turns(letters):
    roles = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [RawTurn(roles[letter], letter) for letter in letters]


IDS = {
    "the first exchange": ("S", "T", "sua", "T"),
    "a later one": ("S", "T", "suaua", "S"),
    "a later one without an answer": ("S", "T", "uau", "S"),
    "tools before the first answer": ("S", "T", "uata", "T"),
    "no trace": ("S", None, "ua", "S"),
    "no session": (None, "T", "uaua", "T"),
    "neither": (None, None, "uaua", None),
    "numbers": (7, 8, "uaua", 7),
    "odd ids": ([], True, "uaua", None),
    "an empty session": ("", "T", "uaua", "T"),
    "no user": ("S", "T", "a", "T"),
}


@pytest.mark.parametrize("session, trace, letters, known", IDS.values(), ids=IDS)
def test_what_a_conversation_is_known_by(session, trace, letters, known):
    assert conversation_id(session, trace, _turns(letters)) == known


def test_a_call_tells_of_its_last_turns():
    turns = _turns("uaua")
    said = Feedback(thumb=-1, rating=2.0)
    settle(turns, said, model="m", asked_at="09:00", answered_at="09:01")
    assert [turn.timestamp for turn in turns] == [None, None, "09:00", "09:01"]
    assert [turn.model for turn in turns] == [None, "m", None, "m"]
    assert [turn.thumb for turn in turns] == [None, None, None, -1]
    assert turns[-1].rating == 2.0


def test_feedback_without_an_answer_says_nothing_of_the_one_before():
    turns = _turns("uau")
    settle(turns, Feedback(thumb=1), model="m", asked_at=1, answered_at=2)
    assert [turn.thumb for turn in turns] == [None, None, None]


def test_the_times_of_messages_come_first():
    turns = exchange([{**U, "timestamp": 5}], {**A, "created_at": 6})
    settle(turns, Feedback(), model=None, asked_at=1, answered_at=2)
    assert [turn.timestamp for turn in turns] == [5, 6]


PACKED = {
    "an object": ('{"a": 1}', {"a": 1}),
    "a list after blanks": (" \n[1]", [1]),
    "escapes that come apart too late": (r'["a\ud800b\u0000c"]', ["a\ufffdbc"]),
    "text": ("hello", "hello"),
    "text that begins like JSON": ("[1] is a footnote", "[1] is a footnote"),
    "a number": ("3", "3"),
    "too deep": ("[" * 100_000, "[" * 100_000),
    "no text": (3, 3),
}


@pytest.mark.parametrize("value, held", PACKED.values(), ids=PACKED)
def test_unpacked(value, held):
    assert unpacked(value) == held


_NAMES = ("role", "content", "parts", "messages", "input", "output", "choices", "generations")
_MORE = ("message", "kwargs", "id", "type", "data", "chat_history", "system", "text", "tool_calls")
_WORDS = ("user", "assistant", "human", "tool_result", "HumanMessage", '[{"role":"user"}]', "{}")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(_WORDS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES + _MORE), inner, max_size=6)
    ),
    max_leaves=14,
)


@settings(max_examples=300)
@given(VALUES, VALUES)
def test_every_payload_has_turns_or_none(asked, answered):
    for turns in (exchange(asked, answered), spoken(asked, answered)):
        assert all(isinstance(turn.role, str) for turn in turns)
        assert all(isinstance(turn.content, str) for turn in turns)
        assert isinstance(conversation_id("S", "T", turns), str)
