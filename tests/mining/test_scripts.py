import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.scripts import Script, script, scripts_in

CASES = {
    "Latin": ("It is Sydney", Script.LATIN),
    "accents": ("Où ça ?", Script.LATIN),
    "Russian": ("Это Сидней", Script.CYRILLIC),
    "Arabic": ("هذا غلط", Script.ARABIC),
    "Hindi": ("यह गलत है", Script.DEVANAGARI),
    "Chinese with its punctuation": ("是的。好，《书》", Script.HAN),
    "Japanese holds both": ("東京都の天気", Script.KANA),
    "Korean": ("안녕하세요", Script.HANGUL),
    "half and half": ("сало salo", None),
    "no letters": ("42 !?", None),
    "emoji": ("👍👍", None),
    "empty": ("", None),
}


@pytest.mark.parametrize("text, expected", CASES.values(), ids=CASES)
def test_script(text, expected):
    assert script(text) is expected


@given(st.text(max_size=150))
def test_the_script_of_a_text_is_in_it(text):
    found = script(text)
    assert found in (None, Script.LATIN) or found in scripts_in(text)
