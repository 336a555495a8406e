import datetime as dt
import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import normalize
from ingestion.languages import CODES
from warehouse.records import Role

LINES = {
    "nothing to mend": (rb'{"a": "b\nc \u4e2d"}', rb'{"a": "b\nc \u4e2d"}'),
    "a lone high surrogate": (rb'"x\ud83dy"', rb'"x\ufffdy"'),
    "a lone low surrogate": (rb'"x\uDE00y"', rb'"x\ufffdy"'),
    "a pair stays": (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
    "a high one before a pair": (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
    "NUL goes": (rb'"a\u0000b"', rb'"ab"'),
    "DEL goes, escaped or not": (b'"a\\u007fb\x7fc"', b'"abc"'),
    "C1 controls go, escaped or not": ('"a\\u009Bb\u009bc\u0085d"'.encode(), b'"abcd"'),
    "what only looks like one stays": (
        '"\u00a0\u00bfé\u0430"'.encode(),
        '"\u00a0\u00bfé\u0430"'.encode(),
    ),
    "backspace and form feed go": (rb'"a\b\fb"', rb'"ab"'),
    "tab, newline and return stay": (
        rb'"\t\n\r\u0009\u000a\u000D"',
        rb'"\t\n\r\u0009\u000a\u000D"',
    ),
    "an escaped backslash is text": (rb'"C:\\u0000"', rb'"C:\\u0000"'),
    "a backslash, then NUL": (rb'"\\\u0000"', rb'"\\"'),
    "two in a row": (rb'"\u0000\u001f\ud800\ud800"', rb'"\ufffd\ufffd"'),
}


@pytest.mark.parametrize("line, mended", LINES.values(), ids=LINES)
def test_clean_line(line, mended):
    assert normalize.clean_line(line) == mended


# Code points of every kind that a log may hold, the troublesome ones often.
_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\\bfu0d\ud800\udbff\udc00\udfff\x00\x08\t\n\x0c\r\x1f\x7f\x85\x9b"),
    )
)


@given(_TEXT, st.booleans())
def test_cleaned_strings_can_be_stored_and_cleaning_again_changes_nothing(text, escaped):
    line = json.dumps(text, ensure_ascii=escaped).encode(errors="replace")
    cleaned = normalize.clean_line(line)
    assert normalize.clean_line(cleaned) == cleaned
    stored = msgspec.json.decode(cleaned, type=str)
    stored.encode()
    assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n\r" for c in stored)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_other_text_stays_as_it_is(text):
    line = json.dumps(text).encode()
    assert msgspec.json.decode(normalize.clean_line(line)) == text


ROLES = {
    "human": Role.USER,
    "User": Role.USER,
    " prompter ": Role.USER,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "bing": Role.ASSISTANT,
    "bard": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "function_call": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "function": Role.TOOL,
    "observation": Role.TOOL,
    "tool": Role.TOOL,
    "narrator": None,
    "": None,
}


@pytest.mark.parametrize("name, role", ROLES.items(), ids=repr)
def test_role(name, role):
    assert normalize.role(name) is role


_MOMENT = dt.datetime(2023, 4, 9, 0, 2, 53, tzinfo=dt.UTC)
TIMES = {
    "epoch seconds": (1680998573, _MOMENT),
    "epoch milliseconds": (1680998573000, _MOMENT),
    "epoch as text": ("1680998573", _MOMENT),
    "epoch milliseconds as text, not a date of 1711": (
        "1711123121234",
        dt.datetime(2024, 3, 22, 15, 58, 41, 234_000, tzinfo=dt.UTC),
    ),
    "epoch microseconds and fractions as text": (
        "1711123121234000.0",
        dt.datetime(2024, 3, 22, 15, 58, 41, 234_000, tzinfo=dt.UTC),
    ),
    "eight digits are a date": ("20230409", _MOMENT.replace(hour=0, minute=0, second=0)),
    "digits beyond the calendar": ("9" * 500, None),
    "fractions": (1680998573.5, _MOMENT.replace(microsecond=500_000)),
    "ISO with Z": ("2023-04-09T00:02:53Z", _MOMENT),
    "ISO with an offset": ("2023-04-09T02:02:53+02:00", _MOMENT),
    "ISO without a zone is UTC": ("2023-04-09 00:02:53", _MOMENT),
    "as data sets print it": ("2023-04-09 00:02:53 UTC", _MOMENT),
    "milliseconds as pandas prints them": ("2023-04-09T00:02:53.000Z", _MOMENT),
    "words": ("yesterday", None),
    "empty": ("", None),
    "not a number": (float("nan"), None),
    "beyond the calendar": (10**400, None),
    "infinite, as text": ("inf", None),
    "before the calendar, with a zone": ("0001-01-01T00:00:00+05:00", None),
    "a truth value": (True, None),
    "an object": ({"$date": 1}, None),
    "missing": (None, None),
}


@pytest.mark.parametrize("value, moment", TIMES.values(), ids=TIMES)
def test_timestamp(value, moment):
    assert normalize.timestamp(value) == moment


@given(st.datetimes(timezones=st.timezones()))
def test_any_moment_comes_back_as_utc(moment):
    found = normalize.timestamp(moment.isoformat())
    if found is not None:
        assert found == moment.astimezone(dt.UTC)
        assert found.tzinfo is dt.UTC


LANGUAGES = {
    "English": "en",
    "en-US": "en",
    "zh_Hans": "zh",
    "CHINESE": "zh",
    "Bokmal": "nb",
    " nynorsk ": "nn",
    "Scottish Gaelic": "gd",
    "de": "de",
    "Klingon": None,
    "xx": None,
    "": None,
    3: None,
    None: None,
}


@pytest.mark.parametrize("value, code", LANGUAGES.items(), ids=repr)
def test_language(value, code):
    assert normalize.language(value) == code


def test_languages_are_all_of_iso_639_1():
    codes = set(CODES.values())
    assert len(codes) == 183
    assert all(len(code) == 2 and CODES[code] == code for code in codes)


THUMBS = {
    "a number": (1, 1),
    "a number below zero": (-1, -1),
    "a number in a table with gaps": (1.0, 1),
    "one below zero in such a table": (-1.0, -1),
    "a word": ("up", 1),
    "a word in any case": ("Thumbs_Down", -1),
    "another word": ("dislike", -1),
    "zero": (0, None),
    "nothing": ("", None),
    "another number": (2, None),
    "half": (0.5, None),
    "no number": (float("nan"), None),
}


@pytest.mark.parametrize("value, thumb", THUMBS.values(), ids=THUMBS)
def test_thumb(value, thumb):
    assert normalize.thumb(value) == thumb


def test_a_truth_value_is_a_thumb_and_an_object_is_none():
    assert (normalize.thumb(True), normalize.thumb(False)) == (1, -1)
    assert normalize.thumb({"up": 1}) is None


RATINGS = {
    "whole": (4, 4.0),
    "text": ("3.5", 3.5),
    "zero is a rating": (0, 0.0),
    "words": ("good", None),
    "infinite": (float("inf"), None),
    "too large": (10**400, None),
    "a truth value": (True, None),
    "missing": (None, None),
}


@pytest.mark.parametrize("value, rating", RATINGS.values(), ids=RATINGS)
def test_rating(value, rating):
    assert normalize.rating(value) == rating


FLAGS = {
    "yes": ("yes", True),
    "a number": (1, True),
    "a number in a table with gaps": (1.0, True),
    "zero in such a table": (0.0, False),
    "half": (0.5, None),
    "infinite": (float("inf"), None),
    "no": ("False", False),
    "zero": ("0", False),
    "a word": ("perhaps", None),
    "another number": (2, None),
    "nothing": (None, None),
    "a list": ([True], None),
}


@pytest.mark.parametrize("value, flag", FLAGS.values(), ids=FLAGS)
def test_flag(value, flag):
    assert normalize.flag(value) is flag


def test_text_that_looks_the_same_becomes_the_same():
    assert normalize.text("cafe\u0301 \u212b") == "caf\u00e9 \u00c5"


@given(st.text())
def test_text_is_settled_at_once(said):
    assert normalize.text(normalize.text(said)) == normalize.text(said)
