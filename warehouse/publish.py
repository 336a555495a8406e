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
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from warehouse import durable, manifest, staging
from warehouse.catalog import Catalog
from warehouse.errors import CommitConflict, CommitUnknown, DriftmineError
from warehouse.ledger import SourceFile
from warehouse.live import generations, newest_commit
from warehouse.manifest import Manifest, Run
from warehouse.outcome import asked, repeated
from warehouse.schema import Partition
from warehouse.staging import StagedFile
from warehouse.store import remove
from warehouse.tables import files, runs
from warehouse.views import refresh_if_stale

Night = tuple[str, dt.date]  # a table, and a log_date of it

_ASKED_AT_ONCE = 500  # values of one query: databases bound how many


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a run saw at its start: a publish that finds anything else of it gives way."""

    erasure: int  # the newest commit that erased users: their rows may be in what was staged
    # Of whole nights, all generations; none: an empty night.
    nights: Mapping[Night, Mapping[Partition, int]] = {}
    partitions: Mapping[Partition, int] = {}  # of these alone; 0: absent
    tables: Mapping[str, int] = {}  # of whole tables, the newest commit


def erasure(catalog: Catalog) -> int:
    """The newest commit that erased users; 0: none yet. Every run asks before it reads."""
    with catalog.read() as connection:
        return newest_commit(connection, kind="erase")


def run_id(stage: str, *parts: str) -> str:
    """The id of the run that does `stage` to just these inputs, such as "mine-0f3b…".

    `parts` name everything that the outcome depends on: equal ids mean equal work, done once.
    """
    digest = hashlib.blake2b(msgspec.json.encode([stage, *parts]), digest_size=16)
    return f"{stage}-{digest.hexdigest()}"


@repeated
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


@repeated
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
    seen: Seen,
    sources: Sequence[SourceFile] = (),
    counts: Mapping[str, int],
    watermark: dt.date | None = None,
    now: dt.datetime,
) -> int | None:
    """Make the staged files live in place of all that `replaces` names; return the commit id.

    A partition in `replaces` without a staged file becomes empty. `sources` are the logs that the
    files were made of; the ledger keeps them. `watermark`: the night that the stage has come to;
    None for a backfill, which never moves it.

    Where another attempt has committed the run, nothing changes: the staged files are removed,
    unless they are that commit's, and None is returned. Otherwise raises CorruptStaging where a
    file is not what its writer said, and CommitConflict where anything is no more as it was
    `seen`; then nothing is published. CommitUnknown: the database is gone, and with it the word
    whether it committed; running again is right in both cases.
    """
    _check_staged(catalog.store, staged, replaces)
    draft = Manifest(
        commit_id=0,
        kind="publish",
        subject=run_id,
        committed_at=now,
        staged=list(staged),
        replaces=sorted(set(replaces)),
        sources=list(sources),
        watermark=watermark,
    )
    try:
        commit_id = _commit(catalog, draft, seen, counts)
    except CommitUnknown as unknown:
        commit_id = _ask_again(catalog, unknown, run_id)
    if commit_id is None:
        _discard(catalog, staged)
    refresh_if_stale(catalog)
    return commit_id


def _commit(catalog: Catalog, draft: Manifest, seen: Seen, counts: Mapping[str, int]) -> int | None:
    with catalog.write() as connection:
        row = _run(connection, draft.subject)
        if row is None:
            raise ValueError(f"run {draft.subject} was never begun")
        if row.commit_id is not None:
            return None
        _compare(connection, seen)
        run = Run(
            run_id=row.run_id,
            stage=row.stage,
            log_date=row.log_date,
            started_at=row.started_at,
            counts=dict(counts),
        )
        commit_id = manifest.next_id(connection)
        whole = msgspec.structs.replace(draft, commit_id=commit_id, run=run)
        manifest.commit(connection, catalog.store, whole)
    return commit_id


def _ask_again(catalog: Catalog, unknown: CommitUnknown, run_id: str) -> int:
    """The commit of a run whose outcome is unknown; raises CommitConflict where it has none."""
    run = asked(catalog, unknown, lambda connection: _run(connection, run_id))
    if run is None or run.commit_id is None:
        raise CommitConflict(
            f"{run_id}: the catalog's database went away before it committed. Nothing was "
            "published; run again."
        )
    return int(run.commit_id)


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
        remove(catalog.store / path)


def _check_staged(
    store: Path, staged: Sequence[StagedFile], replaces: Collection[Partition]
) -> None:
    """Everything is there, declared, and on the disk for good."""
    undeclared = {file.partition for file in staged} - set(replaces)
    if undeclared:
        raise ValueError(f"staged files of partitions that are not replaced: {undeclared}")
    for file in staged:
        staging.verify(store, file)
    for folder in {(store / file.path).parent for file in staged}:
        durable.sync_folder(folder)


_RUN = select(runs).where(runs.c.run_id == bindparam("of_run"))


def _run(connection: Connection, run_id: str) -> Row[Any] | None:
    return connection.execute(_RUN, {"of_run": run_id}).one_or_none()


def _compare(connection: Connection, seen: Seen) -> None:
    """Raises CommitConflict where something is no more as it was seen."""
    if newest_commit(connection, kind="erase") != seen.erasure:
        raise CommitConflict(
            "A user was erased while this run was at work, and its rows may hold them. Nothing "
            "was published; run again."
        )
    for (table, log_date), before in seen.nights.items():
        found = generations(connection, table, log_date)
        for partition in sorted(before.keys() | found.keys()):
            _compare_one(partition, before.get(partition, 0), found.get(partition, 0))
    for partition, generation in seen.partitions.items():
        _compare_one(partition, generation, manifest.generation_of(connection, partition))
    for table, head in seen.tables.items():
        if newest_commit(connection, table) != head:
            raise CommitConflict(
                f"{table}: another run has published some of it since this one looked. Nothing "
                "was published; run again."
            )


def _compare_one(partition: Partition, before: int, after: int) -> None:
    if before != after:
        raise CommitConflict(
            f"{partition.table} of {partition.log_date}, {partition.part}: generation {before} "
            f"when the run started, {after} now, so another run has published it. Nothing was "
            "published; run again."
        )
