"""A JSON array -> its elements, cut out byte for byte, in bounded memory.

Only strings and brackets are looked at: what an element means, and whether it is JSON at all, is
for the readers of formats to say. Commas that are missing or too many do no harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ingestion.logs import streams
from ingestion.logs.lines import BOM, Limits, Line, Pending
from ingestion.logs.stored import Stored
from ingestion.logs.streams import Broken
from warehouse.records import ReasonCode, Reject

DEEPEST = 512  # brackets in brackets of one element; logs of chats have fewer than 20

# Possessive throughout (`++`, `*+`), so that no input makes them go back and search again.
_BEFORE = re.compile(rb"[ \t\r\n" + BOM + rb"]*+")
_BLANK = re.compile(rb"[ \t\r\n]*+")
_GAP = re.compile(rb"[ \t\r\n,]*+")
_BARE = re.compile(rb'[^ \t\r\n,"\[\]{}]*+')
_IN_STRING = re.compile(rb"[^\"\\]*+(?:\\.[^\"\\]*+)*+", re.DOTALL)
# Up to and with the next bracket outside of strings; the empty group where there is none.
_TO_BRACKET = re.compile(
    rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+([\[\]{}]?)', re.DOTALL
)


def read_elements(name: str, limits: Limits) -> Iterator[Line | Reject]:
    """The elements of the array that the file holds, and where each starts.

    Holds about one element and one chunk in memory. An element that is too long or nested too
    deeply is one Reject; so is all that follows after garbage, and what a file or a stream that
    ends too early was cut off in. Raises SourceUnavailable.
    """
    scanner = Scanner(name, limits.line_bytes)
    with Stored(name) as file:
        for chunk in streams.chunks(file, limits.expansion):
            if isinstance(chunk, Broken):
                yield scanner.cut_off(chunk)
                return
            yield from scanner.feed(chunk)
    yield from scanner.end()


class Scanner:
    """Where in an array a stream of chunks has come to."""

    def __init__(self, name: str, limit: int) -> None:
        self._pending = Pending(name, limit)  # the element that is being read
        self._state: Callable[[bytes, int], int] = self._before
        self._offset = 0  # of the chunk
        self._found: list[Line | Reject] = []
        self._opener = b""  # the first byte of the element
        self._depth = 0
        self._too_deep = False
        self._escaped = False  # the last chunk ended behind a backslash

    def feed(self, chunk: bytes) -> list[Line | Reject]:
        """Take the next bytes; give the elements that end in them."""
        self._found = []
        position = 0
        while position < len(chunk):
            position = self._state(chunk, position)
        self._offset += len(chunk)
        return self._found

    def end(self) -> list[Reject]:
        """What stands for the rest of an array that is not whole."""
        if self._state == self._after:
            return []
        if self._state == self._garbage:
            return [self._pending.reject(ReasonCode.INVALID_JSON, "no JSON array from here on")]
        detail = "the file ends inside of its array; the elements before were read"
        return [self.cut_off(Broken(ReasonCode.TRUNCATED_STREAM, detail))]

    def cut_off(self, broken: Broken) -> Reject:
        """What stands for the rest of a stream that broke here."""
        if self._state in (self._between, self._after):
            self._pending.start(self._offset)
        return self._pending.reject(broken.reason, broken.detail)

    # Each state takes bytes of the chunk from a position and gives the position it came to.

    def _before(self, chunk: bytes, position: int) -> int:
        position = _end(_BEFORE, chunk, position)
        if position < len(chunk):
            if chunk[position : position + 1] != b"[":
                return self._give_up(position)
            self._state = self._between
            position += 1
        return position

    def _between(self, chunk: bytes, position: int) -> int:
        position = _end(_GAP, chunk, position)
        opener = chunk[position : position + 1]
        if opener == b"]":
            self._state = self._after
            return position + 1
        if opener == b"}":
            return self._give_up(position)
        if opener:
            self._pending.start(self._offset + position)
            self._opener, self._depth, self._too_deep = opener, 0, False
            if opener == b'"':
                return self._open_string(position)
            self._state = self._nested if opener in b"{[" else self._bare
        return position

    def _bare(self, chunk: bytes, position: int) -> int:
        end = _end(_BARE, chunk, position)
        self._pending.add(chunk[position:end])
        if end < len(chunk):
            self._finish()
        return end

    def _nested(self, chunk: bytes, position: int) -> int:
        end = self._through_brackets(chunk, position)
        self._pending.add(chunk[position:end])
        if self._depth == 0:
            self._close(chunk[end - 1 : end])
        elif end < len(chunk):
            return self._open_string(end)
        return end

    def _through_brackets(self, chunk: bytes, position: int) -> int:
        """To the element's end; or the chunk's; or the quote of a string that the chunk ends in."""
        depth, end = self._depth, position
        for match in _TO_BRACKET.finditer(chunk, position):
            bracket, end = match[1], match.end()
            if bracket == b"{" or bracket == b"[":
                depth += 1
                if depth > DEEPEST:
                    self._too_deep = True
            elif bracket:
                depth -= 1
            if depth == 0 or not bracket:
                break
        self._depth = depth
        return end

    def _open_string(self, position: int) -> int:
        self._pending.add(b'"')
        self._state = self._string
        return position + 1

    def _string(self, chunk: bytes, position: int) -> int:
        end = _end(_IN_STRING, chunk, position + self._escaped)
        stop = chunk[end : end + 1]
        self._escaped = stop == b"\\"  # the chunk ends behind it
        end += len(stop)
        self._pending.add(chunk[position:end])
        if stop == b'"':
            if self._depth:
                self._state = self._nested
            else:
                self._finish()
        return end

    def _close(self, bracket: bytes) -> None:
        if (self._opener, bracket) not in ((b"{", b"}"), (b"[", b"]")):
            self._state = self._garbage
        else:
            self._finish()

    def _finish(self) -> None:
        pending = self._pending
        if pending.too_long:
            self._found.append(pending.reject_long())
        elif self._too_deep:
            detail = f"nested more than {DEEPEST} deep"
            self._found.append(pending.reject(ReasonCode.INVALID_JSON, detail))
        else:
            self._found.append(Line(pending.offset, pending.data()))
        self._state = self._between

    def _after(self, chunk: bytes, position: int) -> int:
        position = _end(_BLANK, chunk, position)
        return position if position == len(chunk) else self._give_up(position)

    def _give_up(self, position: int) -> int:
        self._pending.start(self._offset + position)
        self._state = self._garbage
        return position

    def _garbage(self, chunk: bytes, position: int) -> int:
        self._pending.add(chunk[position:])
        return len(chunk)


def _end(pattern: re.Pattern[bytes], chunk: bytes, position: int) -> int:
    """Where the match of a pattern that always matches ends."""
    match = pattern.match(chunk, position)
    return match.end() if match else position
