"""What a log file holds, how it is cut into spans, and the records of a span."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from ingestion.logs import arrays, columns, lines, streams
from ingestion.logs.lines import Limits, Line, Span
from ingestion.logs.places import LogFile
from ingestion.logs.stored import Stored
from ingestion.logs.streams import Broken
from warehouse.records import Reject

_BLANK = b" \t\r\n" + lines.BOM


class Container(StrEnum):
    """What records lie in. Told by a file's content, never by its name."""

    LINES = "lines"  # one JSON value a line
    ARRAY = "array"  # one JSON array, over any number of lines
    PARQUET = "parquet"


def container(name: str, limits: Limits) -> Container:
    """What the file of that name (path or URL) is. Raises SourceUnavailable."""
    with Stored(name) as file:
        magic = file.read(len(columns.MAGIC))
        if magic == columns.MAGIC:
            return Container.PARQUET
        file.seek(0)
        return _text_container(streams.chunks(file, limits.expansion), limits.line_bytes)


def _text_container(chunks: Iterator[bytes | Broken], longest: int) -> Container:
    """An array, unless its first line is one by itself, or cannot begin one of records."""
    line, ended = bytearray(), False  # the first that is not blank
    for chunk in chunks:
        if isinstance(chunk, Broken):
            break
        rest = chunk
        if not ended:
            begun, newline, rest = (chunk if line else chunk.lstrip(_BLANK)).partition(b"\n")
            line += begun
            ended = bool(newline)
        if line and not line.startswith(b"["):
            return Container.LINES
        if len(line) > longest:
            break
        if rest.strip():
            return Container.ARRAY if _begins_array(line) else Container.LINES
    return Container.ARRAY if line else Container.LINES


def _begins_array(line: bytes | bytearray) -> bool:
    """Of a line that begins with a bracket, and others follow."""
    if line[1:].lstrip()[:1] not in (b"", b"{", b"["):
        return False  # "[2026-03-01 10:00:01] INFO started"
    try:
        msgspec.json.decode(line, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return True
    except RecursionError:
        return not line.rstrip().endswith(b"]")
    return False


def spans(file: LogFile, container: Container, shard_bytes: int) -> list[Span]:
    """The parts that a file is read in, in order, each of about that many stored bytes.

    Arrays and packed files are one span, since they are read from their start only. Raises
    SourceUnavailable.
    """
    match container:
        case Container.PARQUET:
            return columns.row_groups(file.name, file.size, shard_bytes)
        case Container.LINES if not _is_packed(file.name):
            count = max(1, -(-file.size // shard_bytes))
            borders = [file.size * i // count for i in range(count)]
            return [Span(a, b) for a, b in zip(borders, [*borders[1:], None], strict=True)]
    return [Span()]


def _is_packed(name: str) -> bool:
    with Stored(name) as file:
        return streams.is_packed(file.read(streams.MAGIC))


def read(name: str, container: Container, span: Span, limits: Limits) -> Iterator[Line | Reject]:
    """The records of a span, in order. Nothing is read before the first is asked for.

    Holds about one record and one chunk in memory. Raises SourceUnavailable.
    """
    match container:
        case Container.LINES:
            return lines.read_lines(name, span, limits)
        case Container.ARRAY:
            return arrays.read_elements(name, limits)
        case Container.PARQUET:
            return columns.read_rows(name, span, limits)
