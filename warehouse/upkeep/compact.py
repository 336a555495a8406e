"""Compaction: the small files of a partition become few, and those of an older shape today's.

Only within a partition, which is what a run replaces: a file that held two of them could not be
replaced with one. The rows stay in their order, and the files they come from stay readable for
older snapshots until they are collected.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, select

from warehouse import durable, manifest, reading
from warehouse.catalog import Catalog
from warehouse.errors import CorruptStaging
from warehouse.live import LiveFile, live, newest_commit
from warehouse.manifest import Manifest
from warehouse.schema import TABLES, Partition, shape
from warehouse.staging import PartitionWriter, StagedFile, verify
from warehouse.store import remove
from warehouse.tables import files
from warehouse.upkeep import Progress, no_progress
from warehouse.upkeep.check import Damage, damage
from warehouse.views import refresh_if_stale

_ROWS = 16_384  # that are held in memory at once, and what waits for its row group
_FILES = 500  # of one group: databases bound how many values a query has


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Files of one partition, in the order of their rows, that become one."""

    files: tuple[LiveFile, ...]
    erasure: int  # the newest commit that erased users when these were listed

    @property
    def partition(self) -> Partition:
        """Of all of them."""
        return self.files[0].partition

    @property
    def paths(self) -> list[str]:
        """Of all of them."""
        return [file.path for file in self.files]


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the groups."""

    files_before: int = 0  # of the groups that were compacted
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    skipped: int = 0  # groups that another run has changed meanwhile
    damaged: tuple[Damage, ...] = ()  # files whose groups were left as they are


def plan(catalog: Catalog, *, target: int) -> list[Group]:
    """What to compact: files below `target` bytes that are not alone, and those of older shapes."""
    with catalog.read() as connection:
        erasure = newest_commit(connection, kind="erase")
        found = [file for table in TABLES for file in live(connection, table)]
    by_partition: defaultdict[Partition, list[LiveFile]] = defaultdict(list)
    for file in found:
        if file.bytes < target or not _is_of_today(file):
            by_partition[file.partition].append(file)
    due = [some for some in by_partition.values() if _is_due(some)]
    staged = cache(lambda commit_id: _staged(catalog.store, commit_id))
    groups = []
    for some in due:
        some.sort(key=lambda file: (file.commit_id, staged(file.commit_id).get(file.path, -1)))
        groups += [Group(files=tuple(g), erasure=erasure) for g in _filled(some, target)]
    return [group for group in groups if _is_due(group.files)]


def compact(
    catalog: Catalog,
    groups: Sequence[Group],
    *,
    now: dt.datetime,
    progress: Progress = no_progress,
) -> Compacted:
    """Merge each group into one file, by a commit of its own.

    A group of which another run has replaced or rewritten a file meanwhile is left alone, and so
    is one with a damaged file. Raises CorruptStaging where what was written cannot be read back,
    OSError where it cannot be written.
    """
    merged: list[tuple[Group, StagedFile]] = []
    damaged: list[Damage] = []
    skipped = 0
    for number, group in enumerate(groups):
        progress(number, len(groups), "groups of files compacted")
        # First, or damage would get a digest that vouches for it.
        found = [wrong for file in group.files for wrong in damage(catalog.store, file, None)]
        if not found and (made := _compact_one(catalog, group, now)):
            merged.append((group, made))
        elif found and _is_unchanged(catalog, group):
            damaged += found
        else:
            skipped += 1
    progress(len(groups), len(groups), "groups of files compacted")
    refresh_if_stale(catalog)
    return Compacted(
        files_before=sum(len(group.files) for group, _ in merged),
        files_after=len(merged),
        bytes_before=sum(file.bytes for group, _ in merged for file in group.files),
        bytes_after=sum(made.bytes for _, made in merged),
        skipped=skipped,
        damaged=tuple(damaged),
    )


def _is_of_today(file: LiveFile) -> bool:
    return file.shape == shape(TABLES[file.table])


def _is_due(some: Sequence[LiveFile]) -> bool:
    return len(some) > 1 or not all(map(_is_of_today, some))


def _staged(store: Path, commit_id: int) -> dict[str, int]:
    """The files of a commit, each with its place: in the catalog they have none."""
    with suppress(OSError, msgspec.MsgspecError):  # then their order is not known
        staged = manifest.read(store, commit_id).staged
        return {file.path: place for place, file in enumerate(staged)}
    return {}


def _filled(some: Sequence[LiveFile], target: int) -> Iterator[list[LiveFile]]:
    group: list[LiveFile] = []
    for file in some:
        group.append(file)
        if len(group) == _FILES or sum(held.bytes for held in group) >= target:
            yield group
            group = []
    if group:
        yield group


def _compact_one(catalog: Catalog, group: Group, now: dt.datetime) -> StagedFile | None:
    """The file that took the place of the group; None where it gave way to another run."""
    made = _merge(catalog.store, group)
    with catalog.write() as connection:
        if is_current := _is_current(connection, group):
            change = Manifest(
                commit_id=manifest.next_id(connection),
                kind="compact",
                subject=f"{made.table} of {made.log_date}",
                committed_at=now,
                compacted=group.paths,
                staged=[made],
            )
            manifest.commit(connection, catalog.store, change)
    if is_current:
        return made
    remove(catalog.store / made.path)
    return None


def _merge(store: Path, group: Group) -> StagedFile:
    """One file of all rows, in their order, in the shape of today."""
    writer = PartitionWriter(store, group.partition)
    for file in group.files:
        for batch in reading.batches(store, file, rows=_ROWS):
            writer.write(batch)
    made = writer.close()
    verify(store, made)
    durable.sync_folder((store / made.path).parent)
    rows = sum(file.rows for file in group.files)
    if made.rows != rows:
        raise CorruptStaging(
            f"{store / made.path}: {made.rows} rows of {rows} came through. Nothing was changed; "
            "look for damage: `driftmine maintain --check`."
        )
    return made


def _is_unchanged(catalog: Catalog, group: Group) -> bool:
    with catalog.read() as connection:
        return _is_current(connection, group)


def _is_current(connection: Connection, group: Group) -> bool:
    """All of it is live, and no user was erased since: what was read may hold their rows."""
    alive = files.c.path.in_(group.paths) & files.c.removed_commit.is_(None)
    count = connection.execute(select(func.count()).where(alive)).scalar_one()
    erasure = newest_commit(connection, kind="erase")
    return bool(count == len(group.files) and erasure == group.erasure)
