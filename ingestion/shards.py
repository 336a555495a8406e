"""Logs cut into units of work: planned by the driver, each staged whole by one worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from ingestion.formats import mapping
from ingestion.formats.detect import HEAD, READERS, detect, named
from ingestion.formats.mapping_options import Mapping
from ingestion.formats.raw import Raw, Refused
from ingestion.formats.reader import Reader
from ingestion.logs import contents
from ingestion.logs.contents import Container
from ingestion.logs.lines import Limits, Line, Span
from ingestion.logs.places import LogFile
from ingestion.options import IngestionOptions
from warehouse.records import ReasonCode, Reject

# Bytes of records that are looked at, at most: fifty long ones must not fill the memory.
_HEAD_BYTES = 32 * 2**20


class Shard(msgspec.Struct, frozen=True, gc=False):
    """A log file, or a part of one, and how to read it."""

    file: LogFile
    container: Container
    span: Span
    format: str | None  # None: no reader knows its shape, every record is rejected
    source: str  # name of the log stream

    @property
    def id(self) -> str:
        """Names all that its rows depend on, but for what is the same for the whole run."""
        span = f"{self.span.start}-{'' if self.span.end is None else self.span.end}"
        what = f"{self.container} {self.format} {self.source}"
        return f"{self.file.name} {self.file.sha256} {span} {what}"


class _Sized(msgspec.Struct, frozen=True):
    shard: Shard
    size: int  # bytes, about


def plan(files: Sequence[LogFile], options: IngestionOptions) -> list[Shard]:
    """The shards of a run, in the order in which workers should be dealt them.

    Raises SettingsError for a format that is not known, SourceUnavailable for a log that cannot
    be read.
    """
    shards = [shard for file in files for shard in _cut(file, options)]
    return [sized.shard for sized in _deal(shards, options.workers)]


def limits(options: IngestionOptions) -> Limits:
    """The settings in the units of the reader."""
    return Limits(line_bytes=options.max_line_mb * 2**20, expansion=options.max_expansion)


def lines_of(shard: Shard, reader: Reader, limits: Limits) -> Iterator[Line | Reject]:
    """The records of a shard. Raises SourceUnavailable."""
    return reader.regroup(contents.read(shard.file.name, shard.container, shard.span, limits))


def records(
    planned: Iterable[Shard], limits: Limits, mapped: Mapping, name: str
) -> Iterator[Line | Reject]:
    """All records of the log of that name. Raises SourceUnavailable."""
    for shard in planned:
        if shard.file.name == name:
            yield from lines_of(shard, reader_of(shard.format, mapped), limits)


def reader_of(name: str | None, mapped: Mapping) -> Reader:
    """The reader of the format of that name. Raises SettingsError where there is none."""
    match name:
        case None:
            return _Unknown()
        case "mapping":
            return mapping.reader(mapped)
    return named(name)


class _Unknown(Reader):
    """Reads a log whose shape nobody knows: every record is refused."""

    def __init__(self) -> None:
        detail = f"none of {', '.join(READERS)}, by the file's first {HEAD} records"
        self._refused = Refused(ReasonCode.UNKNOWN_FORMAT, detail)
        super().__init__("unknown", Any, lambda record: self._refused)

    def read(self, line: bytes) -> Raw:
        """Not even decoded."""
        return self._refused


def _cut(file: LogFile, options: IngestionOptions) -> list[_Sized]:
    container = contents.container(file.name, limits(options))
    reader = _reader(file, container, options)
    joined = reader is not None and reader.joins
    spans = [Span()] if joined else contents.spans(file, container, options.shard_mb * 2**20)
    name = reader.name if reader else None
    source = options.source or name or "unknown"
    return [
        _Sized(Shard(file, container, span, name, source), file.size // len(spans))
        for span in spans
    ]


def _reader(file: LogFile, container: Container, options: IngestionOptions) -> Reader | None:
    """The named one, or by the file's first records; one's own mapping is asked first."""
    if options.format != "auto":
        return reader_of(options.format, options.mapping)
    head = _head(contents.read(file.name, container, Span(), limits(options)))
    if options.mapping != Mapping():
        mapped = mapping.reader(options.mapping)
        if sum(map(mapped.fits, head)) * 2 > len(head):
            return mapped
    return detect(head)


def _head(records: Iterator[Line | Reject]) -> list[bytes]:
    head: list[bytes] = []
    size = 0
    for record in islice(records, HEAD):
        if isinstance(record, Line):
            head.append(record.data)
            size += len(record.data)
        if size >= _HEAD_BYTES:
            break
    return head


def _deal(shards: Sequence[_Sized], workers: int) -> list[_Sized]:
    """Largest first, there and back (A B, B A, ...): of n workers, each gets every n-th shard."""
    by_size = sorted(
        shards, key=lambda sized: (-sized.size, sized.shard.file.name, sized.shard.span.start)
    )
    rounds = [by_size[start : start + workers] for start in range(0, len(by_size), workers)]
    return [
        sized
        for number, dealt in enumerate(rounds)
        for sized in (dealt if number % 2 == 0 or len(dealt) < workers else reversed(dealt))
    ]
