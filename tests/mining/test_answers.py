import pytest

from mining.answers import Ending, ending

CASES = {
    "a full stop": ("It is Sydney.", Ending.CLOSED),
    "a Chinese full stop": ("是悉尼。", Ending.CLOSED),
    "an emoji": ("Done 🎉", Ending.CLOSED),
    "a list": ("- milk\n- eggs", Ending.OPEN),
    "a word that wants another": ("He went to the", Ending.CUT_OFF),
    "the same in Russian": ("Он увидел, что", Ending.CUT_OFF),
    "a comma": ("The first step is to wait, and then,", Ending.CUT_OFF),
    "a letter to sign": ("See you soon.\n\nKind regards,", Ending.CLOSED),
    "an open fence": ("```python\nprint(1)", Ending.CUT_OFF),
    "a closed fence": ("```python\nprint(1)\n```", Ending.CLOSED),
    "an address": ("See https://example.com/", Ending.CLOSED),
    "empty": ("", Ending.CLOSED),
}


@pytest.mark.parametrize("answer, expected", CASES.values(), ids=CASES)
def test_ending(answer, expected):
    assert ending(answer) is expected
