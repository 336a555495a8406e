"""Texts as rules see them: one way of writing where people have several.

Accents are left out ("tá", "ta"), as are Arabic vowel signs and hamza and the Hindi nukta;
full-width forms become ASCII, traditional characters simplified ones. Patterns are folded by the
same letters, so a rule is written as its language is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

Place = Callable[[int, int], tuple[int, int]]  # a span of the folded text -> of the text

# Characters that rules use and that differ; Japanese rules are folded with them all the same.
_TRADITIONAL = (
    "對錯誤確實說講問過還這個為麼樣嗎沒無語話廢謝讚點長換寫試來給會開關聽覺覽題單簡複雜詳細節"
    "貴難歡愛幫該應張滿態剛據認識總結論輸準許樂氣癡腦瘋後邊裡裏從繼續號碼兒學習資訊條終極遠離"
    "壞煩鐘記憶體顯筆圖軟網頁檔設錄電視聲讓課際價錢買賣車輕鬆緊"
)
_SIMPLIFIED = (
    "对错误确实说讲问过还这个为么样吗没无语话废谢赞点长换写试来给会开关听觉览题单简复杂详细节"
    "贵难欢爱帮该应张满态刚据认识总结论输准许乐气痴脑疯后边里里从继续号码儿学习资讯条终极远离"
    "坏烦钟记忆体显笔图软网页档设录电视声让课际价钱买卖车轻松紧"
)
_SAME = {
    "ё": "е", "Ё": "Е",
    "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ک": "ك", "ی": "ي",
    "ँ": "ं", "\u0958": "क", "\u0959": "ख", "\u095a": "ग", "\u095b": "ज", "\u095c": "ड",
    "\u095d": "ढ", "\u095e": "फ", "\u095f": "य",
}  # fmt: skip
_PUNCTUATION = {"\u3000": " ", "\u00a0": " ", "。": ".", "、": ",", "؟": "?", "،": ",", "؛": ";"}
# Signs that stand on a letter, and joiners: left out.
_SIGNS = (
    *range(0x300, 0x370), *range(0x64B, 0x653), 0x670, 0x640, 0x93C,
    *range(0x200B, 0x2010), 0xFE0F, 0xFEFF,
)  # fmt: skip


def _letters() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys(_SIGNS)
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        first = unicodedata.normalize("NFD", chr(code))[0]
        if first.isascii():
            table[code] = first
    table |= dict(zip(map(ord, _TRADITIONAL), _SIMPLIFIED, strict=True))
    table |= {ord(char): same for char, same in _SAME.items()}
    return table


_LETTERS = _letters()
_FOLDED: dict[int, str | None] = (
    _LETTERS
    | {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | {ord(mark): plain for mark, plain in _PUNCTUATION.items()}
)
_FOLDABLE = re.compile(f"[{''.join(re.escape(chr(code)) for code in sorted(_FOLDED))}]")


def fold(text: str) -> tuple[str, Place]:
    """A text in one way of writing, and how spans in it are found again in the text."""
    if text.isascii():
        return text, _as_is
    folded = _FOLDABLE.sub(_folded, text)
    return folded, _as_is if len(folded) == len(text) else _Kept(text)


def _folded(match: re.Match[str]) -> str:
    return _FOLDED[ord(match.group())] or ""


def fold_letters(pattern: str) -> str:
    """A pattern in one way of writing; its punctuation is left alone."""
    return pattern if pattern.isascii() else pattern.translate(_LETTERS)


def _as_is(start: int, end: int) -> tuple[int, int]:
    return start, end


class _Kept:
    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, start: int, end: int) -> tuple[int, int]:
        kept = [
            at for at, char in enumerate(self._text) if _FOLDED.get(ord(char), char) is not None
        ]
        return kept[start], kept[end - 1] + 1
