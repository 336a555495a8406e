"""Publishing: the one transaction that makes staged files live.

A run begins, its workers stage files, and `publish` swaps them in, whole or not at all. A run
that is repeated after its commit changes nothing; one that was killed before it leaves orphans.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select, update

from warehouse import durable, ledger, staging
from warehouse.catalog import Catalog
from warehouse.errors import CommitConflict, DriftmineError
from warehouse.ledger import SourceFile
from warehouse.live import generations, newest_commit
from warehouse.schema import Partition
from warehouse.staging import StagedFile
from warehouse.tables import add_commit, files, partitions, runs, schema_version, watermarks
from warehouse.views import refresh_if_stale

Night = tuple[str, dt.date]  # a table, and a log_date of it

_ASKED_AT_ONCE = 500  # values of one query: databases bound how many


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that one publish changes: written beside the data, enough to rebuild a catalog from."""

    run_id: str
    stage: str
    log_date: dt.date
    staged: list[StagedFile]
    replaces: list[Partition]
    sources: list[SourceFile]
    counts: dict[str, int]


def run_id(stage: str, *parts: str) -> str:
    """The id of the run that does `stage` to just these inputs, such as "mine-0f3b…".

    `parts` name everything that the outcome depends on: equal ids mean equal work, done once.
    """
    digest = hashlib.blake2b(msgspec.json.encode([stage, *parts]), digest_size=16)
    return f"{stage}-{digest.hexdigest()}"


def begin(
    catalog: Catalog, *, run_id: str, stage: str, log_date: dt.date, now: dt.datetime
) -> bool:
    """Record that a run starts, or starts again. False where it is committed already."""
    with catalog.write() as connection:
        found = _run(connection, run_id)
        if found is not None and found.commit_id is not None:
            return False
        connection.execute(delete(runs).where(runs.c.run_id == run_id))
        connection.execute(
            insert(runs).values(
                run_id=run_id, stage=stage, log_date=log_date, state="running", started_at=now
            )
        )
    return True


def fail(catalog: Catalog, *, run_id: str, reason: str, now: dt.datetime) -> None:
    """Record why a run ended without a commit. A run that committed stays committed."""
    running = update(runs).where(runs.c.run_id == run_id, runs.c.state == "running")
    with catalog.write() as connection:
        connection.execute(running.values(state="failed", reason=reason, ended_at=now))


def abandon(
    catalog: Catalog,
    *,
    run_id: str,
    staged: Sequence[StagedFile],
    error: BaseException,
    now: dt.datetime,
) -> None:
    """End a run that raised: record why, and remove its staged files unless they are published."""
    # The text of an unforeseen error may quote a log.
    reason = str(error) if isinstance(error, DriftmineError) else type(error).__name__
    fail(catalog, run_id=run_id, reason=reason, now=now)
    _discard(catalog, staged)


def publish(
    catalog: Catalog,
    *,
    run_id: str,
    staged: Sequence[StagedFile],
    replaces: Collection[Partition],
    expects: Mapping[Night, Mapping[Partition, int]] | None = None,
    heads: Mapping[str, int] | None = None,
    sources: Sequence[SourceFile] = (),
    counts: Mapping[str, int],
    now: dt.datetime,
) -> int | None:
    """Make the staged files live in place of all that `replaces` names; return the commit id.

    A partition in `replaces` without a staged file becomes empty. `expects` holds, of nights that
    the run read or replaces, all `generations` that it saw at its start; none: an empty night.
    `heads` does so for whole tables: the newest commit that it saw. `sources` are the logs that
    the files were made of; the ledger keeps them.

    Where another attempt has committed the run, nothing changes: the staged files are removed,
    unless they are that commit's, and None is returned. Otherwise raises CorruptStaging where a
    file is not what its writer said, and CommitConflict where a night in `expects`, or a table in
    `heads`, has gained or replaced a partition; then nothing is published.
    """
    _check_staged(catalog.root, staged, replaces)
    with catalog.write() as connection:
        _take_turn(connection)
        run = _run(connection, run_id)
        if run is None:
            raise ValueError(f"run {run_id} was never begun")
        commit_id = None
        if run.commit_id is None:
            _compare(connection, expects or {})
            _compare_heads(connection, heads or {})
            manifest = Manifest(
                run_id=run_id,
                stage=run.stage,
                log_date=run.log_date,
                staged=list(staged),
                replaces=sorted(set(replaces)),
                sources=list(sources),
                counts=dict(counts),
            )
            # Under the lock, so that of two attempts at one run only the winner's stays.
            _write_manifest(catalog.root, manifest)
            commit_id = _commit(connection, manifest, now)
    if commit_id is None:
        _discard(catalog, staged)
    refresh_if_stale(catalog)
    return commit_id


def named(catalog: Catalog, paths: Collection[str]) -> set[str]:
    """Those of the data files that a commit has named, whether they are live still or not."""
    wanted = sorted(paths)
    found: set[str] = set()
    with catalog.read() as connection:
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            some = files.c.path.in_(wanted[start : start + _ASKED_AT_ONCE])
            found.update(connection.execute(select(files.c.path).where(some)).scalars())
    return found


def _discard(catalog: Catalog, staged: Sequence[StagedFile]) -> None:
    """Remove staged files that no commit has named."""
    paths = {file.path for file in staged}
    for path in paths - named(catalog, paths):
        (catalog.root / path).unlink(missing_ok=True)


def _check_staged(
    root: Path, staged: Sequence[StagedFile], replaces: Collection[Partition]
) -> None:
    """Everything is there, declared, and on the disk for good."""
    undeclared = {file.partition for file in staged} - set(replaces)
    if undeclared:
        raise ValueError(f"staged files of partitions that are not replaced: {undeclared}")
    for file in staged:
        staging.verify(root, file)
    for folder in {(root / file.path).parent for file in staged}:
        durable.sync_folder(folder)


def _run(connection: Connection, run_id: str) -> Row[Any] | None:
    return connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()


def _take_turn(connection: Connection) -> None:
    """Let publishers pass one by one, also where the database would let them run side by side."""
    # A row that is always there: a partition that is still absent has none to lock.
    connection.execute(select(schema_version).with_for_update())


def _is(table: Table, partition: Partition) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.table_name == partition.table,
        table.c.log_date == partition.log_date,
        table.c.part == partition.part,
    )


def _compare(connection: Connection, expects: Mapping[Night, Mapping[Partition, int]]) -> None:
    for (table, log_date), seen in expects.items():
        found = generations(connection, table, log_date)
        for partition in sorted(seen.keys() | found.keys()):
            before, after = seen.get(partition, 0), found.get(partition, 0)
            if before != after:
                raise CommitConflict(
                    f"{table} of {log_date}, {partition.part}: generation {before} when the run "
                    f"started, {after} now, so another run has published it. Nothing was "
                    "published; run again."
                )


def _compare_heads(connection: Connection, heads: Mapping[str, int]) -> None:
    for table, seen in heads.items():
        if newest_commit(connection, table) != seen:
            raise CommitConflict(
                f"{table}: another run has published some of it since this one looked. Nothing "
                "was published; run again."
            )


def _write_manifest(root: Path, manifest: Manifest) -> None:
    path = root / "manifests" / f"{manifest.run_id}.json"
    path.parent.mkdir(exist_ok=True)
    durable.write_whole(path, msgspec.json.encode(manifest))


def _commit(connection: Connection, manifest: Manifest, now: dt.datetime) -> int:
    commit_id = add_commit(connection, "publish", manifest.run_id, now)
    replaced = {
        partition: _advance(connection, partition, commit_id) for partition in manifest.replaces
    }
    for file in manifest.staged:
        row = msgspec.structs.asdict(file)
        row["table_name"] = row.pop("table")
        row |= {"generation": replaced[file.partition], "added_commit": commit_id}
        connection.execute(insert(files).values(row))
    ledger.record(connection, manifest.run_id, manifest.sources)
    _advance_watermark(connection, manifest.stage, manifest.log_date)
    closed = update(runs).where(runs.c.run_id == manifest.run_id)
    connection.execute(
        closed.values(
            state="committed",
            ended_at=now,
            commit_id=commit_id,
            counts=manifest.counts,
            reason=None,
        )
    )
    return commit_id


def _advance(connection: Connection, partition: Partition, head: int) -> int:
    """Take a partition's files out of what is live; the generation of those that come in."""
    old = update(files).where(*_is(files, partition), files.c.removed_commit.is_(None))
    connection.execute(old.values(removed_commit=head))
    former = select(partitions.c.generation).where(*_is(partitions, partition))
    generation = connection.execute(former).scalar_one_or_none()
    if generation is None:
        row = insert(partitions).values(
            table_name=partition.table, log_date=partition.log_date, part=partition.part
        )
        connection.execute(row.values(generation=1, head=head))
        return 1
    moved = update(partitions).where(*_is(partitions, partition))
    connection.execute(moved.values(generation=generation + 1, head=head))
    return int(generation) + 1


def _advance_watermark(connection: Connection, stage: str, log_date: dt.date) -> None:
    row = select(watermarks.c.log_date).where(watermarks.c.stage == stage)
    reached = connection.execute(row).scalar_one_or_none()
    if reached is None:
        connection.execute(insert(watermarks).values(stage=stage, log_date=log_date))
    elif reached < log_date:
        ahead = update(watermarks).where(watermarks.c.stage == stage)
        connection.execute(ahead.values(log_date=log_date))
