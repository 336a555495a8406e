"""The files of one shard: rows of any night in, staged files out, in bounded memory."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter, StagedFile
from warehouse.store import remove

# Records laid out as Arrow at once: fewer cost more calls, 1,000 cost 1.3 times the CPU (the
# garbage collector walks what is alive). The bytes bound memory where records are long.
LIST_RECORDS = 100
LIST_BYTES = 4 * 2**20
# Of records that wait for their night's list to fill, where a log is not sorted by time.
WAITING_BYTES = 128 * 2**20
_ROW_BYTES = 500  # that a row costs beside its text, about
# Nights with open files; the one that was written to least recently gives way.
OPEN_NIGHTS = 6
# Of Arrow memory, over all open files: rows that wait for their row group.
PENDING_BYTES = 64 * 2**20
# A file is closed at so much Arrow memory; Parquet is smaller. Only between lists of records, so
# that the turns of a conversation, which are in one list, stay in one file.
FILE_BYTES = 512 * 2**20

# Told the path of a data file, relative to the warehouse's store, before there is one.
Note = Callable[[str], object]


class _Waiting(msgspec.Struct):
    """Rows of one night that are not laid out yet."""

    rows: defaultdict[str, list[Any]]  # by table
    records: int = 0
    bytes: int = 0


class _Open(msgspec.Struct):
    """The open files of one night."""

    writers: dict[str, PartitionWriter]  # by table
    bytes: int = 0  # of Arrow memory, written so far


class NightFiles:
    """Writes the rows of one part of the warehouse, night by night."""

    def __init__(self, store: Path, part: str, note: Note) -> None:
        self._store = store
        self._part = part
        self._note = note
        self._waiting: dict[dt.date, _Waiting] = {}
        self._waiting_bytes = 0
        self._open: dict[dt.date, _Open] = {}  # least recently written to first
        self._begun: list[str] = []  # paths of all files
        self._closed: list[StagedFile] = []

    def add(self, log_date: dt.date, size: int, *, records: int = 1, **rows: Sequence[Any]) -> None:
        """Add the rows, by table, that records of `size` bytes, all in all, were made into."""
        night = self._waiting.get(log_date)
        if night is None:
            night = self._waiting[log_date] = _Waiting(defaultdict(list))
        for table, found in rows.items():
            night.rows[table] += found
            size += _ROW_BYTES * len(found)
        night.records += records
        night.bytes += size
        self._waiting_bytes += size
        if night.records >= LIST_RECORDS or night.bytes >= LIST_BYTES:
            self._lay_out(log_date)
        elif self._waiting_bytes >= WAITING_BYTES:
            self._lay_out(max(self._waiting, key=lambda date: self._waiting[date].bytes))

    def close(self) -> list[StagedFile]:
        """Finish all files; those that were written, in the order of their closing."""
        for log_date in sorted(self._waiting):
            self._lay_out(log_date)
        for log_date in list(self._open):
            self._close(log_date)
        return self._closed

    def discard(self) -> None:
        """Remove every file that was begun."""
        for night in self._open.values():
            for writer in night.writers.values():
                with suppress(OSError, pa.ArrowException):  # of a full disk, say: it goes anyway
                    writer.close()
        for path in self._begun:
            remove(self._store / path)

    def _lay_out(self, log_date: dt.date) -> None:
        night = self._waiting.pop(log_date)
        self._waiting_bytes -= night.bytes
        files = self._open[log_date] = self._open.pop(log_date, _Open({}))
        for table, rows in night.rows.items():
            if not rows:
                continue
            batch = to_batch(table, log_date, rows)
            if table not in files.writers:
                partition = Partition(table, log_date, self._part)
                files.writers[table] = PartitionWriter(self._store, partition, self._begin)
            files.writers[table].write(batch)
            files.bytes += batch.nbytes
        if files.bytes >= FILE_BYTES:
            self._close(log_date)
        if len(self._open) > OPEN_NIGHTS:
            self._close(next(iter(self._open)))
        self._bound_pending()

    def _begin(self, path: str) -> None:
        self._begun.append(path)
        self._note(path)

    def _bound_pending(self) -> None:
        writers = [writer for night in self._open.values() for writer in night.writers.values()]
        while sum(writer.pending_bytes for writer in writers) > PENDING_BYTES:
            max(writers, key=lambda writer: writer.pending_bytes).flush()

    def _close(self, log_date: dt.date) -> None:
        writers = self._open.pop(log_date).writers
        self._closed += [writer.close() for writer in writers.values()]
