"""Erasure: users are forgotten on request, in every snapshot, and kept out from then on.

Files that hold rows of theirs are written anew without them and take their place in one commit;
then the old bytes go. Killed anywhere, it is taken up where it was by erasing the same users again.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, bindparam, delete, select

from warehouse import ledger, manifest, reading, remains
from warehouse.barred import Bar, barred_by
from warehouse.catalog import Catalog
from warehouse.discard import discard, unseen
from warehouse.errors import ErasureUnfinished
from warehouse.ledger import SourceFile
from warehouse.live import LiveFile
from warehouse.manifest import Manifest, Rewritten
from warehouse.publish import named
from warehouse.remains import AtWork
from warehouse.staging import PartitionWriter, StagedFile
from warehouse.store import remove
from warehouse.tables import batch_items, models
from warehouse.traces import Traces, kept
from warehouse.views import refresh_if_stale

# Rows that are held in memory at once, and never more than a row group.
_ROWS = 16_384

# The tables of which every row is a record that the ledger counts.
_RECORDS = ("conversations", "seed_pairs")


class ErasedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that rows were taken out of."""

    path: str
    table: str
    log_date: dt.date
    removed: int  # rows
    left: int  # rows; 0: the file is gone


class ErasureReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure took away."""

    user_keys: tuple[str, ...]
    commit_id: int | None = None  # None: all was committed before
    files: tuple[ErasedFile, ...] = ()  # those of system prompts among them
    prompts: int = 0  # system prompts that nobody else's turns refer to
    nights: dict[dt.date, int] = {}  # records that the ledger counts as suppressed from now on
    models: dict[str, int] = {}  # version -> turns of theirs that it was trained on
    batch_turns: int = 0  # that batches held, finished ones and those of trainers at work
    discarded: int = 0  # files whose bytes were removed
    unpublished: tuple[str, ...] = ()  # files that no commit has named, removed

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the users was found."""
        return not (self.files or self.batch_turns or self.discarded or self.unpublished)

    def lines(self) -> tuple[str, ...]:
        """A line for each file."""
        rewritten = (f"{f.path}: {f.removed} rows removed, {f.left} left" for f in self.files)
        return (
            *rewritten,
            *(f"{path}: removed, it was not published" for path in self.unpublished),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """What an erasure changes of one state of the catalog."""

    files: Sequence[tuple[LiveFile, int]]  # with the rows that go
    prompts: dict[str, list[str]]  # path -> hashes that go
    sources: Sequence[SourceFile]
    nights: dict[dt.date, int]
    models: dict[str, int]
    items: Sequence[str]  # turns that batches hold

    def report(self, keys: Sequence[str], commit_id: int | None) -> ErasureReport:
        return ErasureReport(
            user_keys=tuple(keys),
            commit_id=commit_id,
            files=tuple(
                ErasedFile(
                    path=file.path,
                    table=file.table,
                    log_date=file.log_date,
                    removed=rows,
                    left=file.rows - rows,
                )
                for file, rows in self.files
            ),
            prompts=len({prompt for hashes in self.prompts.values() for prompt in hashes}),
            nights=self.nights,
            models=self.models,
            batch_turns=len(self.items),
        )


def preview(catalog: Catalog, user_keys: Collection[str]) -> ErasureReport:
    """What `erase` would take away, but for what no commit has named. Raises SourceUnavailable."""
    eraser = _Eraser(Traces(catalog.store, user_keys))
    with catalog.read() as connection:
        outline = eraser.outline(connection)
        left = unseen(connection)
    report = outline.report(eraser.traces.keys, None)
    return msgspec.structs.replace(report, discarded=len(left) + len(outline.files))


def erase(
    catalog: Catalog,
    user_keys: Collection[str],
    now: dt.datetime,
    *,
    at_work: AtWork = remains.nobody,
    note: Callable[[str], object] | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> ErasureReport:
    """Forget users, known by their keys, and keep them out from now on.

    `at_work` ends what killed runs have left behind and says which files runs at work have begun.
    `note` is told the path of each new file before there is one. `progress` is told (files
    written anew, files, what).

    Raises SourceUnavailable where a file cannot be searched, and then nothing has changed;
    ErasureUnfinished where anything of the users is left in the end.
    """
    eraser = _Eraser(Traces(catalog.store, user_keys), note, progress)
    try:
        with catalog.read() as connection:
            eraser.rewrite(eraser.outline(connection))
        with catalog.write() as connection:
            # Once more, now that nothing moves: most often all is as it was, and nothing is read.
            outline = eraser.outline(connection)
            commit_id = _commit(connection, catalog, eraser, outline, now)
    finally:
        eraser.clear(catalog)
    refresh_if_stale(catalog)
    with catalog.read() as connection:
        old = unseen(connection)
    discard(catalog, old, now=now)
    prompts = {prompt for hashes in outline.prompts.values() for prompt in hashes}
    unpublished, busy = remains.sweep(catalog, eraser.traces.keys, prompts, at_work, now)
    report = outline.report(eraser.traces.keys, commit_id)
    report = msgspec.structs.replace(report, discarded=len(old), unpublished=tuple(unpublished))
    try:
        remains.verify(catalog, eraser.traces.keys, eraser.traces.turn_ids, busy)
    except ErasureUnfinished as error:
        error.removed = report.lines()
        raise
    return report


def conversations(catalog: Catalog, user_keys: Collection[str]) -> set[str]:
    """The ids of users' conversations that hold DSAT turns: what a report may quote.

    Also those of which only bytes are left, of an erasure that was killed.
    """
    traces = Traces(catalog.store, user_keys)
    with catalog.read() as connection:
        found, _ = kept(connection)
        paths = {file.path for file in found} | set(unseen(connection))
    there = {path for path in paths if path.startswith("data/dsat_turns/")}
    return traces.conversations(path for path in there if (catalog.store / path).exists())


class _Eraser:
    """One erasure: what it found and wrote is not found and written again."""

    def __init__(
        self,
        traces: Traces,
        note: Callable[[str], object] | None = None,
        progress: Callable[[int, int, str], object] | None = None,
    ) -> None:
        self.traces = traces
        self._note = note
        self._begun: list[str] = []
        self._progress = progress
        self._anew: dict[tuple[str, tuple[str, ...]], StagedFile | None] = {}
        self._looked_at: frozenset[str] = frozenset()
        self._prompts: dict[str, list[str]] = {}

    def outline(self, connection: Connection) -> _Outline:
        """What is to be done in this state."""
        shown, live = kept(connection)
        found = self.traces.look_at_all(shown)
        self._look_at_prompts(shown, bool(found))
        records: Counter[tuple[dt.date, str]] = Counter()
        for file in found:
            if file.table in _RECORDS and file.path in live:
                records[file.log_date, file.part] += self.traces.rows[file.path]
        nights: Counter[dt.date] = Counter()
        for (night, _), count in sorted(records.items()):
            nights[night] += count
        counts = self.traces.rows | {path: len(gone) for path, gone in self._prompts.items()}
        lineage = [file for file in found if file.table == "lineage" and file.path in live]
        return _Outline(
            files=[(file, counts[file.path]) for file in shown if counts[file.path]],
            prompts=self._prompts,
            sources=ledger.suppressing(connection, records),
            nights=dict(nights),
            models=self.traces.models(lineage),
            items=remains.in_batches(connection, sorted(self.traces.turn_ids)),
        )

    def _look_at_prompts(self, shown: Sequence[LiveFile], found: bool) -> None:
        paths = frozenset(file.path for file in shown)
        if paths != self._looked_at:
            self._prompts = self.traces.prompts(shown) if found else {}
            self._looked_at = paths

    def rewrite(self, outline: _Outline) -> list[Rewritten]:
        """Write each of the files anew, unless it was written so before."""
        changes = []
        for done, (file, rows) in enumerate(outline.files):
            if self._progress:
                self._progress(done, len(outline.files), "files written anew")
            key = (file.path, tuple(outline.prompts.get(file.path, ())))
            if key not in self._anew:
                self._anew[key] = None if rows == file.rows else self._without(file, key[1])
            changes.append(Rewritten(path=file.path, anew=self._anew[key]))
        return changes

    def clear(self, catalog: Catalog) -> None:
        """Remove what was written and no commit has named: others were faster, or it failed."""
        for path in set(self._begun) - named(catalog, self._begun):
            remove(catalog.store / path)

    def _begin(self, path: str) -> None:
        self._begun.append(path)
        if self._note:
            self._note(path)

    def _without(self, file: LiveFile, prompts: Sequence[str]) -> StagedFile:
        column, values = ("prompt_hash", prompts) if prompts else ("user_key", self.traces.keys)
        writer = PartitionWriter(self.traces.store, file.partition, self._begin)
        gone = pa.array(values, pa.string())
        for batch in reading.batches(self.traces.store, file, rows=_ROWS):
            writer.write(batch.filter(pc.invert(pc.is_in(batch[column], value_set=gone))))
        return writer.close()


def _commit(
    connection: Connection,
    catalog: Catalog,
    eraser: _Eraser,
    outline: _Outline,
    now: dt.datetime,
) -> int | None:
    """None where there is nothing to change."""
    keys = eraser.traces.keys
    barred = set(keys) <= barred_by(connection, Bar.ERASED)
    if barred and not outline.files and not outline.items:
        return None
    gone = delete(batch_items).where(batch_items.c.turn_id == bindparam("turn"))
    if outline.items:
        connection.execute(gone, [{"turn": turn_id} for turn_id in set(outline.items)])
    erased = select(models.c.version, models.c.erased_turns)
    before = {row.version: row.erased_turns for row in connection.execute(erased)}
    commit_id = manifest.next_id(connection)
    change = Manifest(
        commit_id=commit_id,
        kind="erase",
        subject=f"users: {len(keys)}",
        committed_at=now,
        rewritten=eraser.rewrite(outline),
        sources=list(outline.sources),
        flagged={version: before[version] + n for version, n in outline.models.items()},
        erased=keys,
    )
    manifest.commit(connection, catalog.store, change)
    return commit_id
