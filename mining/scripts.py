"""Which script a text is mostly written in."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum

SAMPLE_CHARS = 100
# Of a text's letters: below, it is a mixture and no script's.
MOSTLY = 0.6
FEWEST_LETTERS = 2


class Script(StrEnum):
    """Scripts of the lexicon's languages."""

    LATIN = "latin"
    CYRILLIC = "cyrillic"
    ARABIC = "arabic"
    DEVANAGARI = "devanagari"
    HAN = "han"
    KANA = "kana"
    HANGUL = "hangul"


# Scripts by the upper byte of a code point: a table of 256 stays in the processor's cache, where
# one of all code points does not.
_BLOCKS: dict[int, Script] = {
    **dict.fromkeys((0x01, 0x1E), Script.LATIN),
    **dict.fromkeys((0x04, 0x05), Script.CYRILLIC),
    **dict.fromkeys((0x06, 0x07), Script.ARABIC),
    0x09: Script.DEVANAGARI,
    0x30: Script.KANA,
    **dict.fromkeys(range(0x34, 0xA0), Script.HAN),
    **dict.fromkeys(range(0xAC, 0xD8), Script.HANGUL),
}
_LATIN_1 = bytes(code for code in range(0x100) if not chr(code).isalpha())
_KANA = re.compile("[\u3041-\u30ff]+")  # the upper byte holds Chinese punctuation as well


def scripts_in(text: str) -> frozenset[Script]:
    """All scripts that a character of the text is of, but for Latin."""
    return frozenset(_BLOCKS[block] for block in set(_upper(text)) & _BLOCKS.keys())


def script(text: str) -> Script | None:
    """The script of most letters among the first SAMPLE_CHARS; None where none has most.

    Japanese is KANA: its text holds both, Chinese holds no kana.
    """
    sample = text[:SAMPLE_CHARS]
    letters = Counter(
        {Script.LATIN: len(sample.encode("latin-1", "ignore").translate(None, _LATIN_1))}
    )
    if not sample.isascii():
        for block, count in Counter(_upper(sample)).items():
            if block in _BLOCKS:
                letters[_BLOCKS[block]] += count
        letters[Script.KANA] = sum(map(len, _KANA.findall(sample)))
    total = letters.total()
    if letters[Script.KANA] * 10 > total:
        letters[Script.KANA] += letters.pop(Script.HAN, 0)
    most, count = letters.most_common(1)[0]
    return most if count >= max(FEWEST_LETTERS, MOSTLY * total) else None


def _upper(text: str) -> bytes:
    return text.encode("utf-16-le", "ignore")[1::2]
