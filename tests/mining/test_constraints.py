import pytest
from hypothesis import given
from hypothesis import strategies as st

CASES = {
    "a number with its unit": ("max 20 words", "shorten it to 20 words", True),
    "a digit alone numbers a list": ("2", "give me 2 ideas", False),
    "a programming language": ("in python", "python one liner to flatten a list", True),
    "a format": ("as a table", "compare them in a table", True),
    "without": ("no nuts!", "cake, no nuts", True),
    "with and without": ("with nuts", "cake without nuts", False),
    "accents left out": ("en frances", "traduce en francés", True),
    "German": ("ohne Zucker", "ein Kuchen ohne Zucker bitte", True),
    "Chinese": ("不要辣椒", "做菜，不要辣椒", True),
    "Russian": ("без сахара же", "торт без сахара", True),
    "a question": ("in python?", "python one liner to flatten a list", False),
    "not asked before": ("in python", "flatten a list", False),
    "a long follow-up": ("in python " + "x" * 200, "python one liner", False),
    "empty": ("", "", False),
}


@pytest.mark.parametrize("text, user, expected", CASES.values(), ids=CASES)
def test_restated(lexicon, text, user, expected):
    assert lexicon.constraints.restated(text, ["hello", user]) == expected


@given(st.text(max_size=150))
def test_more_requests_restate_no_less(lexicon, text):
    names = lexicon.constraints
    assert names.restated(text, [text]) == names.restated(text, ["", text])
