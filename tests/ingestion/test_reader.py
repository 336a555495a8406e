import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.formats.detect import READERS
from ingestion.formats.raw import RawConversation, RawPair, RawTurn, Refused
from ingestion.formats.reader import Reader, identity
from ingestion.logs.lines import Line
from warehouse.records import ReasonCode

OPENAI = READERS["openai"]

_DEEP = b"[" * 100_000 + b"]" * 100_000
BAD = {
    "broken JSON": (b'{"messages": [', ReasonCode.INVALID_JSON, "truncated"),
    "not JSON at all": (b"hello", ReasonCode.INVALID_JSON, "malformed"),
    "nothing": (b"", ReasonCode.INVALID_JSON, "truncated"),
    "invalid UTF-8": (
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
        ReasonCode.INVALID_UTF8,
        "at byte 43 of the record",
    ),
    "another encoding": ("{}".encode("utf-16"), ReasonCode.INVALID_UTF8, "at byte 0"),
    "bytes come before syntax": (b"\xfe\xff\x00{", ReasonCode.INVALID_UTF8, "at byte 0"),
    "another shape": (b'{"text": "hi"}', ReasonCode.WRONG_SHAPE, "field `messages`"),
    "an array": (b"[]", ReasonCode.WRONG_SHAPE, "got `array`"),
    "a number": (b"1e400", ReasonCode.WRONG_SHAPE, "got `null`"),
    "an odd number where none belongs": (
        b'{"messages": NaN}',
        ReasonCode.WRONG_SHAPE,
        "field `messages`",
    ),
    "an odd number, and another shape": (
        b'{"id": NaN, "messages": 1}',
        ReasonCode.WRONG_SHAPE,
        "$.messages",
    ),
    "a role that is a number": (
        b'{"messages": [{"role": 1, "content": "x"}]}',
        ReasonCode.WRONG_SHAPE,
        "$.messages[0].role",
    ),
    "content that is a number": (
        b'{"messages": [{"role": "user", "content": 1}]}',
        ReasonCode.WRONG_SHAPE,
        "$.messages[0].content",
    ),
    "an odd number before broken syntax": (
        b'{"messages": [{"role": "user", "rating": 1e400}]',
        ReasonCode.WRONG_SHAPE,
        "out of range",
    ),
    "deep nesting in a field of the format": (
        b'{"messages": [], "metadata": ' + _DEEP + b"}",
        ReasonCode.INVALID_JSON,
        "nested too deeply",
    ),
    "deep nesting in an unknown field": (
        b'{"x": ' + _DEEP + b', "messages": []}',
        ReasonCode.INVALID_JSON,
        "nested too deeply",
    ),
    "deep nesting after an odd number": (
        b'{"id": NaN, "x": ' + _DEEP + b', "messages": []}',
        ReasonCode.INVALID_JSON,
        "malformed",
    ),
}


@pytest.mark.parametrize("line, reason, detail", BAD.values(), ids=BAD)
def test_bad_records_are_refused_for_their_reason(line, reason, detail):
    refused = OPENAI.read(line)
    assert isinstance(refused, Refused)
    assert refused.reason is reason
    assert detail in refused.detail
    assert not OPENAI.fits(line)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_why_a_record_is_refused_quotes_nothing_of_it(reader):
    secret = ["hunter2"]
    names = "messages conversations conversation items chosen rejected Role request input".split()
    for name in names:
        for value in ("hunter2", secret, [{"role": secret, "from": secret}], {"hunter2": secret}):
            raw = reader.read(json.dumps({name: value, "hunter2": secret}).encode())
            assert "hunter2" not in getattr(raw, "detail", "")


# An odd number as JSON text, and what it counts as.
NUMBERS = {
    "too large": ("1e400", None),
    "too small to be negative": ("-1e400", None),
    "no number": ("NaN", None),
    "infinite": ("-Infinity", None),
    "of too many digits": ("9" * 5000, None),
    "large": ("9" * 400, int("9" * 400)),
    "precise": ("0.1", 0.1),
}


@pytest.mark.parametrize("number, value", NUMBERS.values(), ids=NUMBERS)
def test_a_number_that_is_none_costs_its_field_alone(number, value):
    line = f'{{"id": "a", "messages": [{{"role": "user", "content": "hi", "rating": {number}}}]}}'
    raw = OPENAI.read(line.encode())
    assert raw == RawConversation("a", None, [RawTurn("user", "hi", rating=value)])


def test_an_odd_number_in_a_field_that_nobody_reads_costs_nothing():
    raw = OPENAI.read(b'{"x": [NaN, 1e400], "messages": [{"role": "user", "content": "hi"}]}')
    assert raw == RawConversation(None, None, [RawTurn("user", "hi")])


def test_an_odd_number_does_not_cost_the_rest_of_its_record():
    """What is read a second time reads as it would the first time."""
    line = rb'{"id": "\u00e9\"\\u0000", "user": 12345678901234567890123, "model": "\ud83d\ude00"'
    tail = rb', "messages": [{"role": "user", "content": "a\u2028b"}]}'
    assert OPENAI.read(line + b', "language": NaN' + tail) == OPENAI.read(line + tail)


def test_lone_surrogates_and_control_characters_do_not_cost_the_record():
    raw = OPENAI.read(rb'{"messages": [{"role": "user", "content": "a\ud800b\u0000c"}]}')
    assert [turn.content for turn in raw.turns] == ["a\ufffdbc"]


IDS = {
    "text": (("a",), "a"),
    "a number": ((17,), 17),
    "zero": ((0,), 0),
    "the first that is one": ((None, "", "b", "c"), "b"),
    "a number in a table with gaps": ((17.0,), 17),
    "no whole number": ((1.5,), None),
    "the last that a double tells from its neighbours": ((2.0**53 - 1,), 2**53 - 1),
    "a double that many numbers became": ((2.0**53, -(2.0**53), 1e300), None),
    "one beside an id of use": ((1.234567890123456789e18, "b"), "b"),
    "as large, as it was written": ((1234567890123456789,), 1234567890123456789),
    "no number": ((float("nan"), float("inf")), None),
    "yes": ((True, False), None),
    "an object": (({"id": 1}, [1]), None),
    "none": ((), None),
}


@pytest.mark.parametrize("values, known", IDS.values(), ids=IDS)
def test_identity(values, known):
    assert identity(*values) == known


class Word(msgspec.Struct):
    word: str
    times: int = 1


class LoudWord(msgspec.Struct):
    loud: bool


def _conversation(word: Word) -> RawConversation:
    return RawConversation(None, None, [RawTurn("user", word.word * word.times)])


def test_a_shape_narrows_what_fits_and_not_what_is_read():
    reader = Reader("words", Word, _conversation, shape=LoudWord)
    assert not reader.fits(b'{"word": "hi"}')
    assert isinstance(reader.read(b'{"word": "hi"}'), RawConversation)
    assert reader.fits(b'{"word": "hi", "loud": true}')
    assert not reader.fits(b'{"loud": true}')


def test_a_line_fits_where_a_record_of_it_does():
    def regroup(lines):
        for line in lines:
            yield from (Line(line.offset, part) for part in line.data.split(b";"))

    reader = Reader("words", Word, _conversation, regroup)
    assert reader.fits(b'{};{"word": "hi"}')
    assert not reader.fits(b"{};{}")


# JSON that has the fields of the formats, with values of any type.
_FIELDS = st.sampled_from(
    "messages conversations conversation items role from content value id user model timestamp "
    "created rating thumb language conversation_hash hashed_ip regenerated feedback metadata "
    "request response choices message tool_calls function arguments chosen rejected type text "
    "UtteranceId Role Content Satisfaction".split()
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), _FIELDS)
    | st.sampled_from(["user", "human", "gpt", "assistant", "image_url"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_FIELDS, inner, max_size=6),
    max_leaves=20,
)
_LINES = st.one_of(
    st.binary(),
    _JSON.map(lambda value: json.dumps(value).encode()),
    st.lists(st.dictionaries(_FIELDS, _JSON, max_size=6), min_size=1, max_size=3).map(
        lambda values: json.dumps(
            {"messages": [{"role": "user", **v, "content": "x"} for v in values]}
        ).encode()
    ),
)


@given(line=_LINES, reader=st.sampled_from(list(READERS.values())))
@example(line=b'{"messages":[{"role":"user"}],"id":' + b"9" * 400 + b"}", reader=OPENAI)
@example(line=b'{"request":1}', reader=OPENAI)
@example(line=b'{"request":{"request":{"messages":[]}}}', reader=OPENAI)
def test_any_bytes_are_a_conversation_a_pair_or_refused(line, reader):
    raw = reader.read(line)
    assert isinstance(raw, RawConversation | RawPair | Refused)
    if reader.fits(line):
        assert all(isinstance(record, Line) for record in reader.regroup(iter([Line(0, line)])))
