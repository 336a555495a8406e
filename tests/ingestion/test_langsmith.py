import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.formats.langsmith import READER
from ingestion.formats.raw import RawConversation, Refused
from warehouse.records import ReasonCode

U, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
MORE = {"role": "user", "content": "more"}
QA = [("user", "q"), ("assistant", "a")]


def _dump(name, **kwargs):
    path = ["langchain", "schema", "messages", name]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}


def _read(**fields):
    return READER.read(json.dumps({"run_type": "llm", "id": "r", **fields}).encode())


def _said(raw):
    assert isinstance(raw, RawConversation), raw
    return [(turn.role, turn.content) for turn in raw.turns]


CALL = _dump(
    "AIMessage",
    content="",
    type="ai",
    tool_calls=[{"name": "find", "args": {"q": "K2"}, "id": "c", "type": "tool_call"}],
    additional_kwargs={"tool_calls": [{"function": {"name": "find", "arguments": "{}"}}]},
)
READ = {
    "messages of OpenAI": (
        {"inputs": {"messages": [U]}, "outputs": {"choices": [{"message": A}]}},
        QA,
    ),
    "JSON texts, as the export has them": (
        {"inputs": json.dumps({"messages": [U]}), "outputs": json.dumps({"messages": [A]})},
        QA,
    ),
    "messages that LangChain dumped": (
        {
            "inputs": {
                "messages": [
                    [
                        _dump("SystemMessage", content="s"),
                        _dump("HumanMessage", content="q", type="human"),
                    ]
                ]
            },
            "outputs": {
                "generations": [[{"text": "a", "message": _dump("AIMessage", content="a")}]]
            },
        },
        [("system", "s"), *QA],
    ),
    "tools": (
        {
            "inputs": {
                "messages": [
                    [
                        _dump("HumanMessage", content="q"),
                        CALL,
                        _dump("ToolMessage", content="r", tool_call_id="c"),
                    ]
                ]
            },
            "outputs": {"generations": [[{"text": "a"}]]},
        },
        [
            ("user", "q"),
            ("assistant", '[tool call] find({"q":"K2"})'),
            ("tool", "r"),
            ("assistant", "a"),
        ],
    ),
    "a model of text": (
        {"inputs": {"prompts": ["q"]}, "outputs": {"generations": [[{"text": "a"}]]}},
        QA,
    ),
    "a chain of question and answer": (
        {"run_type": "chain", "inputs": {"question": "q"}, "outputs": {"answer": "a"}},
        QA,
    ),
    "a chain as JSON texts": (
        {"run_type": "chain", "inputs": '{"input": "q"}', "outputs": '{"output": "a"}'},
        QA,
    ),
    "a graph gives its state back": (
        {
            "run_type": "chain",
            "inputs": {"messages": [{"type": "human", "content": "more"}]},
            "outputs": {
                "messages": [
                    U,
                    A,
                    {"type": "human", "content": "more"},
                    {"type": "ai", "content": "b"},
                ]
            },
        },
        [*QA, ("user", "more"), ("assistant", "b")],
    ),
    "a run that failed": ({"inputs": {"messages": [U]}, "outputs": None, "error": "x"}, QA[:1]),
}


@pytest.mark.parametrize("fields, turns", READ.values(), ids=READ)
def test_what_is_read(fields, turns):
    assert _said(_read(**fields)) == turns


REFUSED = {
    "a tool": ({"run_type": "tool", "inputs": {"input": "q"}}, "run_type tool"),
    "a retriever": ({"run_type": "retriever", "inputs": {"query": "q"}}, "run_type retriever"),
    "a prompt": ({"run_type": "prompt", "inputs": {"question": "q"}}, "run_type prompt"),
    "no messages": ({"run_type": "chain", "inputs": {"k": 3}}, "inputs without messages"),
    "inputs that are none": ({"inputs": None}, "inputs without messages"),
    "no inputs": ({}, "missing required field `inputs`"),
    "a type that is none": ({"run_type": 3, "inputs": {}}, "Expected `str`"),
}


@pytest.mark.parametrize("fields, detail", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(fields, detail):
    refused = _read(**fields)
    assert isinstance(refused, Refused)
    assert refused.reason is ReasonCode.WRONG_SHAPE
    assert detail in refused.detail


LATER = {"inputs": {"messages": [U, A, MORE]}, "outputs": A, "trace_id": "t"}
FIRST = {"inputs": {"messages": [U]}, "outputs": A, "trace_id": "t"}
IDS = {
    "a thread": ({**LATER, "extra": {"metadata": {"thread_id": "h"}}}, "h"),
    "a session of the metadata": ({**LATER, "extra": {"metadata": {"session_id": "h"}}}, "h"),
    "a conversation": ({**LATER, "extra": {"metadata": {"conversation_id": 7}}}, 7),
    "a thread of the run": ({**LATER, "thread_id": "h"}, "h"),
    "metadata as JSON text": ({**LATER, "extra": '{"metadata": {"thread_id": "h"}}'}, "h"),
    "never the project": ({**LATER, "session_id": "project"}, "t"),
    "the first exchange": ({**FIRST, "extra": {"metadata": {"thread_id": "h"}}}, "t"),
    "a thread alone": ({**FIRST, "trace_id": None, "id": None, "thread_id": "h"}, "h"),
    "neither": ({**FIRST, "trace_id": None}, "r"),
    "odd metadata": ({**LATER, "extra": {"metadata": ["thread_id"]}}, "t"),
    "odd extra": ({**LATER, "extra": 3}, "t"),
}


@pytest.mark.parametrize("fields, known", IDS.values(), ids=IDS)
def test_what_it_is_known_by(fields, known):
    assert _read(**fields).id == known


def test_fields():
    metadata = {"ls_model_name": "gpt-4o", "user_id": "ann", "thread_id": "h"}
    raw = _read(
        **LATER,
        start_time="2026-03-01T20:15:00",
        end_time="2026-03-01T20:15:02",
        extra={"metadata": metadata},
    )
    assert raw.user == "ann"
    assert [turn.model for turn in raw.turns] == [None, "gpt-4o", None, "gpt-4o"]
    times = [turn.timestamp for turn in raw.turns]
    assert times == [None, None, "2026-03-01T20:15:00", "2026-03-01T20:15:02"]


def test_the_model_of_the_call_where_the_metadata_names_none():
    raw = _read(**FIRST, extra={"invocation_params": {"model": "gpt-4o"}})
    assert raw.turns[1].model == "gpt-4o"


STATS = {
    "a thumb": ({"user_score": {"n": 1, "avg": 1.0}}, (1, None)),
    "a thumb down": ({"user_score": {"n": 1, "avg": 0.0}}, (-1, None)),
    "several users": ({"user_score": {"n": 4, "avg": 0.75}}, (None, 0.75)),
    "a label": ({"user_feedback": {"n": 1, "avg": None, "values": {"thumbs_down": 1}}}, (-1, None)),
    "labels that differ": (
        {"user_feedback": {"n": 2, "avg": None, "values": {"good": 1, "bad": 1}}},
        (None, None),
    ),
    "a rating": ({"rating": {"n": 1, "avg": 4}}, (None, 4.0)),
    "JSON text": ('{"user_score": {"n": 1, "avg": 1}}', (1, None)),
    "a number by itself": ({"thumb": -1}, (-1, None)),
    "an evaluator's": ({"correctness": {"n": 1, "avg": 0.0}}, (None, None)),
    "odd stats": ({"user_score": [], "rating": {"avg": {}}, "x": None}, (None, None)),
    "no stats": (None, (None, None)),
}


@pytest.mark.parametrize("stats, said", STATS.values(), ids=STATS)
def test_feedback_is_of_the_answer(stats, said):
    answer = _read(**FIRST, feedback_stats=stats).turns[-1]
    assert (answer.thumb, answer.rating) == said


_ODD = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_FIELDS = ["outputs", "id", "trace_id", "thread_id", "start_time", "extra", "feedback_stats"]


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([*_FIELDS, "inputs", "run_type"]), _ODD))
def test_odd_values_are_a_record_or_a_refusal(fields):
    assert isinstance(_read(**{"inputs": {"messages": [U]}, **fields}), RawConversation | Refused)


def test_its_records_fit():
    assert READER.fits(json.dumps({"run_type": "llm", **FIRST}).encode())
    assert not READER.fits(json.dumps({"messages": [U, A]}).encode())
