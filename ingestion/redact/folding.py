"""A text as the rules see it.

Rows of numbers stand one by one, full-width characters are ASCII, escapes are what they stand for,
and what marks italics is no part of a word.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from ingestion.redact.spans import Span

# Two dozen numbers with a space or mark between them, or three lines of eight: a table, a sequence.
# RE2 and re read both of them alike.
ROW = (
    r"\b\d+(?:\.\d+)?(?: -?\d+(?:\.\d+)?){23,}"
    r"|\b\d+(?:[\-/.]\d+){23,}"
    r"|(?:\b\d+(?:\.\d+)?(?: -?\d+(?:\.\d+)?){7,} ?\n){3,}"
)
WIDE = r"[０-９Ａ-Ｚａ-ｚ＠]"  # what is worth folding, in RE2

# Possessive, so that no text takes re long.
_ROW = re.compile(ROW.replace("+", "++").replace(",}", ",}+").encode())
_ENDS = bytes.maketrans(b" ", b"\n")
_MARKS_END = bytes.maketrans(b"-/.", b"\n" * 3)

# Ends of lines, tabs and quotes as JSON text writes them. Patterns that begin with one byte and
# templates without groups are what re is fast at.
_END = re.compile(rb"\\[nrt]")
_QUOTE = re.compile(rb'\\"')

# Markdown's italics and bold by underscores, as far as one line goes. Each part begins where the
# one before has to end, so no text takes re long; `=` and quotes are code: its names keep theirs.
_UNDERLINED = re.compile(
    rb"(_(?<![0-9A-Za-z_.)\]/=\-]_)_{0,2}+)(?=[^\s_])"
    rb"((?:[^_\n\"=`]++|(?<=[0-9A-Za-z])_++(?=[0-9A-Za-z]))++)"
    rb"(?<=\S)(_{1,3}+)(?![0-9A-Za-z_(])"
)

# U+FF01 to U+FF5E in UTF-8, but for the brackets, of which placeholders are made.
_FULL_WIDTH = re.compile(rb"\xef\xbc[\x81-\xba\xbc\xbe\xbf]|\xef\xbd[\x81-\x9e]")
_SAVED = 2  # bytes less in ASCII


def one_by_one(text: bytes) -> bytes:
    """The same bytes with the numbers of every row on lines of their own.

    Of two dozen numbers in a row, some three look like a phone; they are no groups of one.
    """
    return _ROW.sub(lambda row: row[0].translate(_ENDS if b" " in row[0] else _MARKS_END), text)


def unmarked(text: bytes) -> bytes:
    """As many bytes, in which no escape and no underscore of Markdown touches a word.

    An escape would be a letter right before what follows it, and so would an underscore for RE2.
    """
    if b"\\" in text:
        # The space keeps the length, and rules allow it before the end of a line.
        text = _QUOTE.sub(b'""', _END.sub(b" \n", text))
    return _UNDERLINED.sub(_quoted, text) if b"_" in text else text


def _quoted(marked: re.Match[bytes]) -> bytes:
    # Backticks: in no rule are they part of a value, and spaces could join two numbers.
    return b"`" * len(marked[1]) + marked[2] + b"`" * len(marked[3])


class Narrow:
    """A text with its full-width characters in ASCII, and the way back."""

    def __init__(self, text: bytes) -> None:
        self.text = _FULL_WIDTH.sub(_ascii, text)
        self._at = [
            match.start() - _SAVED * i for i, match in enumerate(_FULL_WIDTH.finditer(text))
        ]

    def widened(self, span: Span) -> Span:
        """A span of the narrow text, in the text as it was."""
        return Span(self._wide(span.start), self._wide(span.end), span.kind, span.value)

    def _wide(self, place: int) -> int:
        return place + _SAVED * bisect_left(self._at, place)


def _ascii(match: re.Match[bytes]) -> bytes:
    return bytes((ord(match[0].decode()) - 0xFEE0,))
