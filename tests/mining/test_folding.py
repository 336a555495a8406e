import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.folding import fold

CASES = {
    "ASCII": ("no", "no"),
    "accents": ("¿está mal? tá", "¿esta mal? ta"),
    "combining accents": ("esta\u0301 mal", "esta mal"),
    "full width": ("ｎｏ！　好", "no! 好"),
    "Cyrillic keeps its letters": ("ещё мой", "еще мой"),
    "Arabic": ("أُعيدي كمّل", "اعيدي كمل"),
    "Hindi": ("ग़लत हूँ", "गलत हूं"),
    "Chinese": ("對，寫錯", "对,写错"),
    "joiners": ("👍\u200d\ufe0f", "👍"),
}


@pytest.mark.parametrize("text, folded", CASES.values(), ids=CASES)
def test_fold(text, folded):
    assert fold(text)[0] == folded


@given(st.text(max_size=60))
def test_spans_are_found_again(text):
    folded, place = fold(text)
    for start in range(len(folded)):
        first, last = place(start, start + 1)
        assert 0 <= first < last <= len(text)
        assert fold(text[first:last])[0] == folded[start]
