import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.formats.langfuse import READER
from ingestion.formats.raw import RawConversation, Refused
from warehouse.records import ReasonCode

U, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
MORE = {"role": "user", "content": "more"}
QA = [("user", "q"), ("assistant", "a")]
LATER = [*QA, ("user", "more"), ("assistant", "b")]


def _read(**fields):
    return READER.read(json.dumps({"id": "o-1", **fields}).encode())


def _said(raw):
    assert isinstance(raw, RawConversation), raw
    return [(turn.role, turn.content) for turn in raw.turns]


READ = {
    "a generation of the API": ({"type": "GENERATION", "input": [U], "output": A}, QA),
    "a generation of the export": (
        {"type": "GENERATION", "input": json.dumps([U]), "output": json.dumps(A)},
        QA,
    ),
    "a generation of text": ({"type": "GENERATION", "input": "q", "output": "a"}, QA),
    "a request and a response": (
        {"type": "GENERATION", "input": {"messages": [U]}, "output": {"choices": [{"message": A}]}},
        QA,
    ),
    "a later exchange": (
        {"type": "GENERATION", "input": [U, A, MORE], "output": "b"},
        LATER,
    ),
    "a span with messages": ({"type": "SPAN", "input": {"messages": [U]}, "output": "a"}, QA),
    "a type in small letters": ({"type": "generation", "input": "q", "output": "a"}, QA),
    "a trace": ({"input": "q", "output": "a", "timestamp": "2026-03-01"}, QA),
    "a trace whose generation says more": (
        {
            "input": "more",
            "output": "b",
            "observations": [
                {"type": "SPAN", "input": "x", "output": "y"},
                {"type": "GENERATION", "input": [U, A, MORE], "output": "b", "model": "m"},
                "odd",
            ],
        },
        LATER,
    ),
    "a trace whose generation says the same": (
        {"input": "q", "output": "a", "observations": [{"type": "GENERATION", "input": [U]}]},
        QA,
    ),
    "an unanswered generation": ({"type": "GENERATION", "input": [U], "output": None}, QA[:1]),
    "unicode": (
        {"type": "GENERATION", "input": "¿qué? 🏔", "output": "é"},
        [("user", "¿qué? 🏔"), ("assistant", "é")],
    ),
}


@pytest.mark.parametrize("fields, turns", READ.values(), ids=READ)
def test_what_is_read(fields, turns):
    assert _said(_read(**fields)) == turns


REFUSED = {
    "a span of text": ({"type": "SPAN", "input": "q", "output": "a"}, "SPAN observation"),
    "an event": ({"type": "EVENT", "input": {"clicks": 3}}, "EVENT observation"),
    "a retriever": ({"type": "RETRIEVER", "input": "q", "output": ["d"]}, "RETRIEVER observation"),
    "a generation of nothing": ({"type": "GENERATION", "input": ""}, "GENERATION observation"),
    "a type of its own": ({"type": "secret words", "input": "q"}, "observation of unknown type"),
    "a type that is none": ({"type": ["SPAN"], "input": "q"}, "observation of unknown type"),
    "a trace of nothing": ({"input": None}, "trace without messages"),
    "no input": ({"type": "GENERATION"}, "missing required field `input`"),
}


@pytest.mark.parametrize("fields, detail", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(fields, detail):
    refused = _read(**fields)
    assert isinstance(refused, Refused)
    assert refused.reason is ReasonCode.WRONG_SHAPE
    assert detail in refused.detail
    assert "secret" not in refused.detail


API = {
    "traceId": "t-1",
    "sessionId": "s-1",
    "userId": "ann",
    "model": "gpt-4o",
    "startTime": "2026-03-01T20:15:00.000Z",
    "endTime": "2026-03-01T20:15:02.000Z",
}
EXPORT = {
    "trace_id": "t-1",
    "session_id": "s-1",
    "user_id": "ann",
    "provided_model_name": "gpt-4o",
    "start_time": "2026-03-01T20:15:00.000Z",
    "end_time": "2026-03-01T20:15:02.000Z",
}


@pytest.mark.parametrize("names", [API, EXPORT], ids=["API", "export"])
def test_the_names_of_the_api_and_of_the_export(names):
    raw = _read(type="GENERATION", input=[U, A, MORE], output="b", **names)
    assert (raw.id, raw.user) == ("s-1", "ann")
    assert [turn.model for turn in raw.turns] == [None, "gpt-4o", None, "gpt-4o"]
    times = [turn.timestamp for turn in raw.turns]
    assert times == [None, None, "2026-03-01T20:15:00.000Z", "2026-03-01T20:15:02.000Z"]
    assert READER.fits(json.dumps({"id": 1, "input": [U], **names}).encode())


IDS = {
    "the first exchange": ({"input": [U], "traceId": "t", "sessionId": "s"}, "t"),
    "a later one": ({"input": [U, A, MORE], "traceId": "t", "sessionId": "s"}, "s"),
    "without a session": ({"input": [U, A, MORE], "traceId": "t"}, "t"),
    "a trace": ({"input": [U]}, "o-1"),
    "empty, as exports write null": ({"input": [U, A, MORE], "traceId": "t", "sessionId": ""}, "t"),
    "ids that are none": ({"input": [U], "traceId": {}, "sessionId": []}, "o-1"),
}


@pytest.mark.parametrize("fields, known", IDS.values(), ids=IDS)
def test_what_it_is_known_by(fields, known):
    assert _read(output="a", **fields).id == known


SCORES = {
    "a thumb": ([{"name": "user-feedback", "value": 1, "dataType": "BOOLEAN"}], (1, None)),
    "a thumb down": ([{"name": "thumb", "value": 0, "data_type": "BOOLEAN"}], (-1, None)),
    "a rating": ([{"name": "rating", "value": 4, "dataType": "NUMERIC"}], (None, 4.0)),
    "a category": (
        [{"name": "user-feedback", "value": 0, "stringValue": "good", "dataType": "CATEGORICAL"}],
        (1, None),
    ),
    "an evaluator's": ([{"name": "user-feedback", "value": 1, "source": "EVAL"}], (None, None)),
    "a reviewer's": ([{"name": "rating", "value": 1, "source": "ANNOTATION"}], (None, None)),
    "the user's": ([{"name": "rating", "value": 1, "source": "API"}], (None, 1.0)),
    "odd scores": (["x", None, {}, {"name": 3, "value": []}], (None, None)),
    "no list": ({"name": "rating"}, (None, None)),
}


@pytest.mark.parametrize("scores, said", SCORES.values(), ids=SCORES)
def test_scores_are_of_the_answer(scores, said):
    raw = _read(type="GENERATION", input=[U, A, MORE], output="b", scores=scores)
    assert (raw.turns[-1].thumb, raw.turns[-1].rating) == said
    assert all(turn.thumb is turn.rating is None for turn in raw.turns[:-1])


def test_a_trace_takes_its_model_from_a_generation():
    generation = {"type": "GENERATION", "input": "q", "output": "a", "providedModelName": "m"}
    raw = _read(input="q", output="a", timestamp="2026-03-01", observations=[generation])
    assert raw.turns[1].model == "m"
    assert raw.turns[0].timestamp == "2026-03-01"


OTHERS = {
    "an instruction of some data set": {"id": 1, "input": "q", "output": "a"},
    "a run of LangSmith": {
        "id": 1,
        "run_type": "llm",
        "trace_id": "t",
        "inputs": {"messages": [U]},
    },
    "a span without messages": {"id": "o", "traceId": "t", "type": "SPAN", "input": "q"},
}


@pytest.mark.parametrize("record", OTHERS.values(), ids=OTHERS)
def test_what_does_not_fit(record):
    assert not READER.fits(json.dumps(record).encode())


_ODD = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_FIELDS = [*API, *EXPORT, "id", "input", "output", "type", "scores", "observations", "timestamp"]


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(_FIELDS), _ODD | st.just([U])))
def test_odd_values_are_a_record_or_a_refusal(fields):
    assert isinstance(_read(**{"input": [U], **fields}), RawConversation | Refused)
