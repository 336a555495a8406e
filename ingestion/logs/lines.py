"""The lines of a log, whole or of one byte range, in bounded memory."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator

import msgspec

from ingestion.logs import streams
from ingestion.logs.stored import Stored
from ingestion.logs.streams import Broken
from warehouse.records import ReasonCode, Reject

BOM = b"\xef\xbb\xbf"
# Files that were joined to one each bring a mark of their own, and empty ones nothing else.
_MARKS = re.compile(rb"(?:" + BOM + rb")++")


class Line(msgspec.Struct, frozen=True, gc=False):
    """One JSON record of a log: a line, an element of an array, or a row of a table."""

    offset: int  # byte at which it starts in the (decompressed) file; or its row
    data: bytes


class Limits(msgspec.Struct, frozen=True):
    """What hostile or broken files are held to."""

    line_bytes: int  # the longest record
    expansion: int  # the most bytes that one stored byte may hold, once a file has given 64 MiB


class Span(msgspec.Struct, frozen=True, gc=False):
    """A part of a file: bytes of a plain file of lines, row groups of a Parquet file.

    A line belongs to the span that its first byte lies in.
    """

    start: int = 0
    end: int | None = None  # not in it any more; None: up to the file's end


class Pending:
    """The record that is being read. No more of it is kept than the limit, and a digest."""

    def __init__(self, name: str, limit: int, offset: int = 0) -> None:
        self._name = name
        self.limit = limit  # bytes
        self.start(offset)

    def start(self, offset: int) -> None:
        """Begin the next record, there."""
        self.offset = offset
        self.length = 0
        self.too_long = False
        self._parts: list[bytes] = []
        self._digest = hashlib.blake2b(digest_size=16)  # fed only when nothing is kept

    def add(self, piece: bytes) -> None:
        """Take more of it."""
        self.length += len(piece)
        if self.too_long:
            self._digest.update(piece)
            return
        self._parts.append(piece)
        if self.length > self.limit:
            self.too_long = True
            self._let_go()

    def _let_go(self) -> None:
        for part in self._parts:
            self._digest.update(part)
        self._parts.clear()

    def data(self) -> bytes:
        """All of it; of a record that is too long, nothing."""
        return b"".join(self._parts)

    def reject(self, reason: ReasonCode, detail: str) -> Reject:
        """What stands for the record, as far as it was read."""
        self._let_go()
        return Reject(
            reason=reason,
            origin_file=self._name,
            origin_offset=self.offset,
            length=self.length,
            digest=self._digest.hexdigest(),
            detail=detail,
        )

    def reject_long(self) -> Reject:
        """What stands for a record over the limit."""
        return self.reject(ReasonCode.LINE_TOO_LONG, f"the limit is {self.limit} bytes")


def read_lines(name: str, span: Span, limits: Limits) -> Iterator[Line | Reject]:
    """The lines that start in the span, blank ones left out; packed files are one span.

    Holds about one line and one chunk in memory. A line over the limit and what a broken stream
    was cut off in are Rejects. Raises SourceUnavailable.
    """
    end = sys.maxsize if span.end is None else span.end
    with Stored(name) as file:
        if span.start:
            start = file.seek(_first_line(file, span))
            chunks: Iterator[bytes | Broken] = streams.plain(file)
        else:
            start, chunks = 0, streams.chunks(file, limits.expansion)
        splitter = Splitter(Pending(name, limits.line_bytes, start), end)
        for chunk in chunks if start < end else ():
            if isinstance(chunk, Broken):
                yield splitter.pending.reject(chunk.reason, chunk.detail)
                return
            yield from splitter.feed(chunk)
            if splitter.pending.offset >= end:
                return
        yield from splitter.finish()


def _first_line(file: Stored, span: Span) -> int:
    """Where the first line starts that starts in the span; or any place after the span."""
    offset = file.seek(span.start - 1)
    for chunk in streams.plain(file):
        newline = chunk.find(b"\n")
        if newline >= 0:
            return offset + newline + 1
        offset += len(chunk)
        if span.end is not None and offset >= span.end:
            break
    return offset


class Splitter:
    """Cuts a stream of chunks into lines."""

    def __init__(self, pending: Pending, end: int = sys.maxsize) -> None:
        self.pending = pending  # the line that is being read
        self._end = end

    def feed(self, chunk: bytes) -> Iterator[Line | Reject]:
        """Take the next bytes; give the lines that end in them and start before the end."""
        pieces = chunk.split(b"\n")
        last = pieces.pop()
        if pieces:
            self.pending.add(pieces[0])
            yield from self.finish()
            offset = self.pending.offset + self.pending.length + 1
            limit = self.pending.limit
            for data in pieces[1:]:
                if offset >= self._end:
                    break
                length = len(data)
                if length > limit:
                    self.pending.start(offset)
                    self.pending.add(data)
                    yield self.pending.reject_long()
                else:
                    yield from _line(offset, data)
                offset += length + 1
            self.pending.start(offset)
        self.pending.add(last)

    def finish(self) -> Iterator[Line | Reject]:
        """Give the line that is being read, unless it is blank."""
        if self.pending.too_long:
            yield self.pending.reject_long()
            return
        yield from _line(self.pending.offset, self.pending.data())


def _line(offset: int, data: bytes) -> tuple[Line, ...]:
    """The line that starts there, unless it is blank."""
    if data.startswith(BOM) and (marks := _MARKS.match(data)):
        data, offset = data[marks.end() :], offset + marks.end()
    return (Line(offset, data.removesuffix(b"\r")),) if data and not data.isspace() else ()
