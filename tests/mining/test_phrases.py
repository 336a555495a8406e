import subprocess
import sys

import pytest

from mining import phrases
from mining.rulefile import Rule

CASES = {
    "as written": ("you didn't ask for it", "didn't ask"),
    "any case": ("YOU DIDN'T ASK", "DIDN'T ASK"),
    "inside brackets": ("(didn't ask!)", "didn't ask"),
    "without the apostrophe": ("you didnt ask for it", "didnt ask"),
    "the first of two": ("no thanks, you didn't ask", "thanks"),
    "part of a word": ("Thanksgiving", None),
    "other words between": ("didn't even ask", None),
    "empty": ("", None),
}


@pytest.fixture(scope="module")
def rule() -> Rule:
    return Rule(
        id="a_v1",
        category="complaint",
        scope="edges",
        weight=1.0,
        source="test",
        phrases=("didn't ask", "thanks"),
        positive=(),
        negative=(),
    )


@pytest.mark.parametrize("text, found", CASES.values(), ids=CASES)
def test_find(rule, text, found):
    span = phrases.load("en", [rule]).find(rule, text)
    assert (text[slice(*span)] if span else None) == found


def test_spacy_is_loaded_late_and_without_torch():
    code = (
        "import sys; from mining import phrases; assert 'spacy' not in sys.modules; "
        "phrases.load('en', []); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
