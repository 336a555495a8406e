import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ingestion.formats.mapping import reader
from ingestion.formats.mapping_options import Mapping
from ingestion.formats.paths import at
from ingestion.formats.raw import RawConversation, RawTurn, Refused
from warehouse.errors import SettingsError
from warehouse.records import ReasonCode

MESSAGES = Mapping(messages="chat.log", role="who", content="said")
TEXTS = Mapping(user_text="question", assistant_text="answer.text")


def _read(mapping, record):
    return reader(mapping).read(json.dumps(record).encode())


PATHS = {
    "a field": ({"a": 1}, "a", 1),
    "a field of a field": ({"a": {"b": 1}}, "a.b", 1),
    "a name with dots": ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
    "a name with dots below": ({"a": {"b.c": 1}}, "a.b.c", 1),
    "a position": ({"a": [{"b": 1}, {"b": 2}]}, "a.1.b", 2),
    "a position that is not there": ({"a": []}, "a.0", None),
    "no position": ({"a": [1]}, "a.b", None),
    "a field of text": ({"a": "b"}, "a.b", None),
    "nothing there": ({}, "a.b", None),
    "no path": ({"": 1}, "", None),
    "a value that is false": ({"a": {"b": False}}, "a.b", False),
}


@pytest.mark.parametrize("value, path, found", PATHS.values(), ids=PATHS)
def test_paths(value, path, found):
    assert at(value, path) == found


def test_messages():
    mapping = Mapping(
        id="meta.session",
        messages="chat.log",
        role="who",
        content="said",
        time="at",
        model="record.meta.model",
        language="lang",
        rating="stars",
        thumb="vote",
        regenerated="again",
        edited="changed",
        user="meta.user",
        country="meta.country",
        opt_out="meta.private",
        roles={"customer": "user", "1": "assistant"},
    )
    answer = {"who": 1, "said": [{"type": "text", "text": "a"}], "at": 9, "stars": 4, "vote": "up"}
    record = {
        "meta": {"session": 7, "model": "m", "user": "ann", "country": "FR", "private": True},
        "chat": {
            "log": [
                {"who": "customer", "said": "¿q?", "lang": "es", "again": True, "changed": False},
                answer,
            ]
        },
    }
    raw = _read(mapping, record)
    assert raw == RawConversation(
        id=7,
        user="ann",
        turns=[
            RawTurn("user", "¿q?", model="m", language="es", regenerated=True, edited=False),
            RawTurn("assistant", "a", model="m", timestamp=9, rating=4, thumb="up"),
        ],
        country="FR",
        opted_out=True,
    )


def test_texts():
    mapping = Mapping(
        id="id",
        user_text="question",
        assistant_text="answer.text",
        time="at",
        model="answer.model",
        language="record.lang",
        thumb="answer.vote",
    )
    answer = {"text": "a", "model": "m", "vote": -1}
    raw = _read(mapping, {"id": "x", "question": "q", "answer": answer, "at": 9, "lang": "en"})
    assert raw.turns == [
        RawTurn("user", "q", timestamp=9, language="en"),
        RawTurn("assistant", "a", timestamp=9, language="en", model="m", thumb=-1),
    ]


TURNS = {
    "messages as JSON text": (
        MESSAGES,
        {"chat": {"log": '[{"who": "user", "said": "q"}]'}},
        [RawTurn("user", "q")],
    ),
    "a role as it is": (
        MESSAGES,
        {"chat": {"log": [{"who": "Human", "said": None}]}},
        [RawTurn("Human", "")],
    ),
    "a role that a table made a number with a point": (
        Mapping(messages="log", role="who", content="said", roles={"1": "user"}),
        {"log": [{"who": 1.0, "said": "q"}]},
        [RawTurn("user", "q")],
    ),
    "no messages": (MESSAGES, {"chat": {"log": []}}, []),
    "a path from the record": (
        Mapping(messages="record.log", role="who", content="said"),
        {"log": [{"who": "user", "said": "q"}]},
        [RawTurn("user", "q")],
    ),
    "a question without an answer": (TEXTS, {"question": "q"}, [RawTurn("user", "q")]),
    "questions alone": (Mapping(user_text="q"), {"q": "q", "a": "a"}, [RawTurn("user", "q")]),
}


@pytest.mark.parametrize("mapping, record, turns", TURNS.values(), ids=TURNS)
def test_turns(mapping, record, turns):
    assert _read(mapping, record).turns == turns


REFUSED = {
    "no list": (MESSAGES, {"chat": {"log": 3}}, "no list at messages = 'chat.log'"),
    "nothing at the path": (MESSAGES, {"chat": []}, "no list at messages = 'chat.log'"),
    "a message that is none": (
        MESSAGES,
        {"chat": {"log": [{"who": "user"}, "x"]}},
        "message 1 has nothing at role = 'who'",
    ),
    "a message without a role": (
        MESSAGES,
        {"chat": {"log": [{"said": "secret"}]}},
        "message 0 has nothing at role = 'who'",
    ),
    "no question": (TEXTS, {"answer": {"text": "secret"}}, "no text at user_text = 'question'"),
    "a question that is no text": (TEXTS, {"question": 3}, "no text at user_text = 'question'"),
    "an array": (TEXTS, ["secret"], "Expected `object`, got `array`"),
}


@pytest.mark.parametrize("mapping, record, detail", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(mapping, record, detail):
    assert _read(mapping, record) == Refused(ReasonCode.WRONG_SHAPE, detail)
    assert not reader(mapping).fits(json.dumps(record).encode())


INCOMPLETE = {
    "nothing": ({}, "lacks messages"),
    "messages alone": ({"messages": "m"}, "lacks role"),
    "no content": ({"messages": "m", "role": "r"}, "lacks content"),
    "no messages": ({"role": "r", "content": "c"}, "lacks messages"),
    "an answer alone": ({"assistant_text": "a"}, "lacks user_text"),
    "both ways": ({"messages": "m", "user_text": "q"}, "names messages and user_text"),
}


@pytest.mark.parametrize("options, complaint", INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_mapping_that_is_incomplete_says_so(options, complaint):
    with pytest.raises(SettingsError, match=rf"\[ingestion.mapping\] {complaint}"):
        reader(Mapping(**options))


ODD_SETTINGS = {
    "a role that is none": ({"roles": {"bot": "robot"}}, "roles.bot"),
    "an unknown key": ({"roll": "who"}, "roll"),
}


@pytest.mark.parametrize("options, key", ODD_SETTINGS.values(), ids=ODD_SETTINGS)
def test_odd_settings_are_refused(options, key):
    with pytest.raises(ValidationError, match=key):
        TypeAdapter(Mapping).validate_python(options)


def test_its_name():
    assert reader(TEXTS).name == "mapping"


_NAMES = st.sampled_from(["chat", "log", "who", "said", "question", "answer", "text"])
_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner),
    max_leaves=10,
)
READERS = [reader(MESSAGES), reader(TEXTS)]


@settings(max_examples=200)
@given(_ODD, st.sampled_from(READERS))
def test_odd_values_are_a_record_or_a_refusal(record, mapped):
    data = json.dumps(record).encode()
    assert isinstance(mapped.read(data), RawConversation | Refused)
