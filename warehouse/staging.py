"""Writing immutable Parquet files before anyone knows of them.

A staged file has a name that was never used (a uuid), so what a killed attempt leaves behind is
an orphan and never a conflict. A file counts only once a publish has named it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.errors import CorruptStaging
from warehouse.schema import TABLES, Partition, shape
from warehouse.store import is_local, parquet_file, remove

# A row group is flushed at whichever comes first; 100k rows is the low end of what scans well,
# 64 MB keeps one writer's memory flat when texts are long.
ROW_GROUP_ROWS = 100_000
ROW_GROUP_BYTES = 64 * 2**20
# Dictionary pages help where values repeat, and only cost time on text and hashes.
_PLAIN = {
    *("content", "answer", "feedback", "chosen", "rejected"),
    *("turn_id", "answer_turn_id", "conversation_id", "pair_id", "content_hash", "chain"),
}


class StagedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer says of a file that it has closed: all that a publish needs to trust it."""

    table: str
    log_date: dt.date
    part: str
    path: str  # relative to the store's root, with forward slashes
    rows: int
    bytes: int
    sha256: str
    stats: dict[str, list[str | None]]  # column -> [min, max] as text, of the sort columns
    shape: str | None = None  # digest of its schema (`schema.shape`)

    @property
    def partition(self) -> Partition:
        """The partition that the file would join."""
        return Partition(self.table, self.log_date, self.part)


class _HashingFile:
    """A file object that hashes what passes, so that no file is read twice."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._is_local = is_local(path)
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self.bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        # On the disk before a commit can name it; an object store says so by closing.
        try:
            if self._is_local:
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class PartitionWriter:
    """Writes one Parquet file of one partition: batches in, a `StagedFile` out.

    `note` is told the file's path, relative to `store`, before there is a file: whoever keeps
    such notes can remove what a killed writer left behind.
    """

    def __init__(
        self, store: Path, partition: Partition, note: Callable[[str], object] | None = None
    ) -> None:
        self.partition = partition
        self._store = store
        self._schema = TABLES[partition.table]
        folder = Path("data") / partition.table / f"log_date={partition.log_date.isoformat()}"
        if is_local(store):
            (store / folder).mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{uuid.uuid4().hex}.parquet"
        if note is not None:
            note(self._path.as_posix())
        self._file = _HashingFile(store / self._path)
        dictionary = [name for name in _top_level(self._schema) if name not in _PLAIN]
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            self._schema,
            compression="zstd",
            use_dictionary=dictionary,
            version="2.6",
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self.pending_bytes = 0  # of Arrow memory: rows that wait for their row group
        self._rows = 0
        self._stats: dict[str, tuple[Any, Any]] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; they reach the disk a row group at a time."""
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self.pending_bytes += batch.nbytes
        if self._pending_rows >= ROW_GROUP_ROWS or self.pending_bytes >= ROW_GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """End the row group: what was written so far leaves the memory."""
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending, self._schema)
        for name in ("event_ts",):
            if name in self._schema.names:
                self._widen(name, table.column(name))
        with self._given_up_on_error():
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self._rows += table.num_rows
        self._pending, self._pending_rows, self.pending_bytes = [], 0, 0

    def close(self) -> StagedFile:
        """Finish the file. The writer cannot be used afterwards."""
        self.flush()
        with self._given_up_on_error():
            self._writer.close()
            self._file.close()
        return StagedFile(
            table=self.partition.table,
            log_date=self.partition.log_date,
            part=self.partition.part,
            path=self._path.as_posix(),
            rows=self._rows,
            bytes=self._file.bytes,
            sha256=self._file.hexdigest(),
            stats={name: [_text(low), _text(high)] for name, (low, high) in self._stats.items()},
            shape=shape(self._schema),
        )

    @contextmanager
    def _given_up_on_error(self) -> Iterator[None]:
        """Of a disk that is full, say: the half of a file would only take up more of it."""
        try:
            yield
        except OSError:
            self._writer.is_open = False  # or it tries to go on when it is collected
            with suppress(OSError):
                self._file.close()
            remove(self._store / self._path)
            raise

    def _widen(self, name: str, column: pa.ChunkedArray) -> None:
        bounds = pc.min_max(column).as_py()
        known = [v for v in (*self._stats.get(name, ()), *bounds.values()) if v is not None]
        if known:
            self._stats[name] = (min(known), max(known))


def _top_level(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if not pa.types.is_nested(field.type)]


def _text(value: Any) -> str | None:
    return None if value is None else value.isoformat()


def verify(store: Path, staged: StagedFile) -> None:
    """Check a staged file against its writer's word: it exists, its size, its rows.

    Raises CorruptStaging. The digest is left to `maintain`: it was taken while writing, and
    reading every byte again would double the cost of a night.
    """
    path = store / staged.path
    try:
        size = path.stat().st_size
        with parquet_file(path) as file:
            rows = file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise CorruptStaging(
            f"{path}: cannot be read back ({type(error).__name__}). Nothing was published; run "
            "the stage again."
        ) from error
    if (size, rows) != (staged.bytes, staged.rows):
        raise CorruptStaging(
            f"{path}: {size} bytes and {rows} rows on disk, {staged.bytes} and {staged.rows} "
            "written. Nothing was published; run the stage again."
        )
