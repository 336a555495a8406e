import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.formats.otel import READER
from ingestion.formats.raw import RawConversation, Refused
from ingestion.logs.lines import Line
from warehouse.records import ReasonCode, Reject


def _message(role, text):
    return {"role": role, "parts": [{"type": "text", "content": text}]}


U, A, MORE = _message("user", "q"), _message("assistant", "a"), _message("user", "more")
QA = [("user", "q"), ("assistant", "a")]
ATTRIBUTES = {"gen_ai.input.messages": [U], "gen_ai.output.messages": [A]}
TEXTS = {name: json.dumps(value) for name, value in ATTRIBUTES.items()}


def _value(value):
    """A value as OTLP writes it."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(inner) for inner in value]}}
    return {"kvlistValue": {"values": _pairs(value)}}


def _pairs(fields):
    return [{"key": key, "value": _value(value)} for key, value in fields.items()]


def _read(record):
    return READER.read(json.dumps(record).encode())


def _said(raw):
    assert isinstance(raw, RawConversation), raw
    return [(turn.role, turn.content) for turn in raw.turns]


NESTED = {"gen_ai": {"input": {"messages": [U]}, "output": {"messages": [A]}}}
SHAPES = {
    "flat attributes": {"attributes": ATTRIBUTES},
    "attributes of JSON text": {"attributes": TEXTS},
    "nested attributes": {"attributes": NESTED},
    "attributes as JSON text": {"attributes": json.dumps(ATTRIBUTES)},
    "OTLP's list": {"attributes": _pairs(TEXTS)},
    "OTLP's list of structures": {"attributes": _pairs(ATTRIBUTES)},
    "the body of an event": {"eventName": "e", "attributes": [], "body": _value(ATTRIBUTES)},
    "a flat body": {"attributes": {"gen_ai.request.model": "m"}, "body": ATTRIBUTES},
    "a body of JSON text": {"body": {"stringValue": json.dumps(ATTRIBUTES)}},
    "an event of a span": {
        "attributes": {"gen_ai.request.model": "m"},
        "events": [{"name": "other"}, {"name": "e", "attributes": ATTRIBUTES}],
    },
}


@pytest.mark.parametrize("record", SHAPES.values(), ids=SHAPES)
def test_where_messages_lie(record):
    assert _said(_read(record)) == QA
    assert READER.fits(json.dumps(record).encode())


CALL = {"type": "tool_call", "id": "c", "name": "find", "arguments": {"q": "K2"}}
MESSAGES = {
    "tools": (
        {
            "gen_ai.input.messages": [
                U,
                {"role": "assistant", "parts": [CALL]},
                {
                    "role": "tool",
                    "parts": [{"type": "tool_call_response", "id": "c", "response": "r"}],
                },
            ],
            "gen_ai.output.messages": [{**A, "finish_reason": "stop"}],
        },
        [
            ("user", "q"),
            ("assistant", '[tool call] find({"q":"K2"})'),
            ("tool", "r"),
            ("assistant", "a"),
        ],
    ),
    "a picture": (
        {
            "gen_ai.input.messages": [
                {
                    "role": "user",
                    "parts": [{"type": "uri", "modality": "image", "uri": "x"}, *U["parts"]],
                }
            ],
            "gen_ai.output.messages": [A],
        },
        [("user", "[image]\nq"), ("assistant", "a")],
    ),
    "reasoning": (
        {
            "gen_ai.input.messages": [U],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "reasoning", "content": "hm"}, *A["parts"]],
                }
            ],
        },
        QA,
    ),
    "choices": ({**ATTRIBUTES, "gen_ai.output.messages": [A, _message("assistant", "b")]}, QA),
    "system instructions": (
        {**ATTRIBUTES, "gen_ai.system_instructions": [{"type": "text", "content": "s"}]},
        [("system", "s"), *QA],
    ),
    "system instructions as JSON text": (
        {**ATTRIBUTES, "gen_ai.system_instructions": '[{"type": "text", "content": "s"}]'},
        [("system", "s"), *QA],
    ),
    "system instructions as text": (
        {**ATTRIBUTES, "gen_ai.system_instructions": "s"},
        [("system", "s"), *QA],
    ),
    "system instructions that are there already": (
        {
            "gen_ai.system_instructions": "other",
            "gen_ai.input.messages": [_message("system", "s"), U],
            "gen_ai.output.messages": [A],
        },
        [("system", "s"), *QA],
    ),
    "messages of Chat Completions": (
        {
            "gen_ai.input.messages": [{"role": "user", "content": "q"}],
            "gen_ai.output.messages": [A],
        },
        QA,
    ),
    "no answer": ({"gen_ai.input.messages": [U]}, QA[:1]),
    "no parts": ({"gen_ai.input.messages": [{"role": "user", "parts": []}]}, [("user", "")]),
}


@pytest.mark.parametrize("attributes, turns", MESSAGES.values(), ids=MESSAGES)
def test_messages(attributes, turns):
    assert _said(_read({"attributes": attributes})) == turns


REFUSED = {
    "a span of something else": {"name": "GET /", "attributes": {"http.route": "/"}},
    "no attributes": {"name": "x"},
    "odd attributes": {"attributes": 3, "body": "text", "events": [3]},
    "messages that are none": {"attributes": {"gen_ai.input.messages": "q"}},
    "an answer alone": {"attributes": {"gen_ai.output.messages": [A]}},
    "an envelope without a chat": {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x"}]}]}]},
}


@pytest.mark.parametrize("record", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(record):
    refused = _read(record)
    assert refused == Refused(ReasonCode.WRONG_SHAPE, "no gen_ai.input.messages")
    assert not READER.fits(json.dumps(record).encode())


LATER = {**ATTRIBUTES, "gen_ai.input.messages": [U, A, MORE]}
IDS = {
    "the first exchange": (ATTRIBUTES, "t"),
    "a later one": (LATER, "c"),
}


@pytest.mark.parametrize("attributes, known", IDS.values(), ids=IDS)
@pytest.mark.parametrize("name", ["gen_ai.conversation.id", "session.id"])
@pytest.mark.parametrize(
    "trace", [{"traceId": "t"}, {"trace_id": "t"}, {"context": {"trace_id": "t"}}], ids=str
)
def test_what_it_is_known_by(attributes, known, name, trace):
    assert _read({"attributes": {**attributes, name: "c"}, **trace}).id == known


USERS = {
    "the user": ({"user.id": "ann", "enduser.id": "bob"}, "ann"),
    "the end user": ({"enduser.id": "bob"}, "bob"),
    "none": ({"user.id": ""}, None),
}


@pytest.mark.parametrize("attributes, user", USERS.values(), ids=USERS)
def test_users(attributes, user):
    assert _read({"attributes": {**ATTRIBUTES, **attributes}}).user == user


MODELS = {
    "that answered": (
        {"gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-8"},
        "gpt-4o-8",
    ),
    "that was asked": ({"gen_ai.request.model": "gpt-4o"}, "gpt-4o"),
    "unknown": ({}, None),
}


@pytest.mark.parametrize("attributes, model", MODELS.values(), ids=MODELS)
def test_models(attributes, model):
    assert [t.model for t in _read({"attributes": {**ATTRIBUTES, **attributes}}).turns] == [
        None,
        model,
    ]


TIMES = {
    "a span of OTLP": (
        {"startTimeUnixNano": "1772396100000000000", "endTimeUnixNano": 1772396102500000000},
        [1772396100.0, 1772396102.5],
    ),
    "a span of an SDK": (
        {"start_time": "2026-03-01T20:15:00Z", "end_time": "2026-03-01T20:15:02Z"},
        ["2026-03-01T20:15:00Z", "2026-03-01T20:15:02Z"],
    ),
    "an event": ({"timeUnixNano": "1772396100000000000"}, [1772396100.0, 1772396100.0]),
    "an event of an SDK": ({"timestamp": "2026-03-01T20:15:00Z"}, ["2026-03-01T20:15:00Z"] * 2),
    "a time that is not known": ({"startTimeUnixNano": "0", "timeUnixNano": 0}, [None, None]),
    "a number too large": ({"startTimeUnixNano": 10**400}, [10**400, None]),
}


@pytest.mark.parametrize("fields, times", TIMES.values(), ids=TIMES)
def test_times(fields, times):
    assert [turn.timestamp for turn in _read({"attributes": ATTRIBUTES, **fields}).turns] == times


SPAN = {"name": "chat", "traceId": "t", "attributes": _pairs(TEXTS)}
OTHER = {"name": "GET /", "traceId": "t", "attributes": []}


def _envelope(*spans, kind="Spans"):
    """An OTLP envelope with a scope for every two spans, spaced as people write it."""
    name = {"Spans": "spans", "Logs": "logRecords"}[kind]
    scopes = [
        {"scope": {"name": "x"}, name: list(spans[at : at + 2])} for at in range(0, len(spans), 2)
    ]
    resource = {"resource": {"attributes": _pairs({"service.name": "é"})}, f"scope{kind}": scopes}
    return json.dumps({f"resource{kind}": [resource]}, indent=1, ensure_ascii=False).encode()


def _lines(*data):
    return list(READER.regroup(iter([Line(100, line) for line in data])))


@pytest.mark.parametrize("kind", ["Spans", "Logs"])
def test_an_envelope_comes_apart_at_the_bytes_of_its_chats(kind):
    second = {**SPAN, "traceId": "u"}
    data = _envelope(OTHER, SPAN, SPAN, OTHER, second, kind=kind)
    lines = _lines(data)
    assert [_read(json.loads(line.data)).id for line in lines] == ["t", "t", "u"]
    assert len({line.offset for line in lines}) == 3
    for line in lines:
        start = line.offset - 100
        assert data[start : start + len(line.data)] == line.data
    assert READER.fits(data)


def test_spans_may_stand_after_logs():
    logs, spans = _envelope(SPAN, kind="Logs"), _envelope({**SPAN, "traceId": "u"})
    data = logs[:-1] + b"," + spans[1:]
    places = [(line.offset - 100, line.data) for line in _lines(data)]
    assert len({start for start, _ in places}) == 2
    assert all(data[start : start + len(found)] == found for start, found in places)


STAY = {
    "an envelope of other spans": _envelope(OTHER),
    "an empty envelope": b'{"resourceSpans": []}',
    "a damaged envelope": _envelope(SPAN)[:-1],
    "an envelope of another shape": b'{"resourceSpans": {"scopeSpans": 3}}',
    "an envelope nested too deeply": b'{"resourceSpans": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a span": json.dumps(SPAN).encode(),
    "a span that speaks of envelopes": json.dumps({**SPAN, "resourceSpans": None}).encode(),
    "no JSON": b'"resourceLogs"',
}


@pytest.mark.parametrize("data", STAY.values(), ids=STAY)
def test_other_lines_stay_one_record(data):
    assert _lines(data) == [Line(100, data)]


def test_rejects_pass():
    reject = Reject(
        reason=ReasonCode.LINE_TOO_LONG,
        origin_file="f",
        origin_offset=0,
        length=9,
        digest="0" * 32,
        detail="",
    )
    assert list(READER.regroup(iter([reject]))) == [reject]


def test_values_that_nest_without_end_are_cut():
    value: dict = {"stringValue": "x"}
    for _ in range(300):
        value = {"arrayValue": {"values": [value]}}
    assert isinstance(
        _read({"attributes": [{"key": "gen_ai.input.messages", "value": value}]}), Refused
    )


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "value", "stringValue", "arrayValue", "values", "a"]), inner
        )
    ),
    max_leaves=6,
)
_FIELDS = ["attributes", "body", "events", "traceId", "trace_id", "context", "startTimeUnixNano"]
_NAMES = ["gen_ai.system_instructions", "gen_ai.output.messages", "gen_ai.conversation.id"]


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from([*_FIELDS, "end_time", "timestamp"]), _ODD),
    st.dictionaries(st.sampled_from([*_NAMES, "user.id", "gen_ai.request.model"]), _ODD),
)
def test_odd_values_are_a_record_or_a_refusal(fields, attributes):
    known = {"attributes": {"gen_ai.input.messages": [U], **attributes}}
    assert isinstance(_read({**known, **fields}), RawConversation | Refused)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["resourceSpans", "resourceLogs"]), _ODD, min_size=1))
def test_odd_envelopes_are_counted(envelope):
    assert len(_lines(json.dumps(envelope).encode())) == 1
