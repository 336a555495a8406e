"""The ingestion of one night: plan, stage with Beam, settle in the driver, publish once."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import msgspec
from filelock import FileLock

from ingestion import account, lost, runners, shards
from ingestion.account import Account, Place
from ingestion.assemble import Assembler
from ingestion.due import nights
from ingestion.handoff import ShardDone
from ingestion.io import Progress, run_pipeline, watched
from ingestion.logs.places import LogFile, check_unchanged
from ingestion.options import IngestionOptions
from ingestion.plan import Run, plan
from ingestion.scene import Scene
from ingestion.settle import Settled, settle
from ingestion.shards import Shard
from ingestion.transforms import StageLogs
from warehouse import publish
from warehouse.catalog import Catalog
from warehouse.errors import CorruptStaging, DriftmineError, QualityLimit, SourceUnavailable
from warehouse.ledger import SourceFile
from warehouse.query import live_files, newest_commit

# Of DuckDB, while it settles a run; the rest is left to what else the process holds.
SETTLE_MEMORY_MB = 384

# After these nothing that was staged is of use to another attempt.
_STALE = (SourceUnavailable, CorruptStaging, QualityLimit)


class IngestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one ingestion did.

    lines_in = conversations + seed_pairs + rejected + duplicates + suppressed.
    """

    log_date: dt.date
    run_id: str
    published: bool  # False: nothing was left to publish, and every count is 0
    nights: tuple[dt.date, ...] = ()  # that it filled: one, or those that the records say
    files: tuple[str, ...]  # that were given
    new_files: tuple[str, ...]  # those of them that this run has published
    lines_in: int = 0
    conversations: int = 0
    near_duplicates: int = 0  # conversations among them that belong to a cluster
    turns: int = 0  # those that are carried included
    seed_pairs: int = 0
    rejected: int = 0
    rejected_by_reason: dict[str, int] = {}
    duplicates: int = 0
    suppressed: int = 0
    redacted: dict[str, int] = {}  # kind -> how many were replaced


def ingest(
    catalog: Catalog,
    *,
    logs: Sequence[LogFile],
    log_date: dt.date,
    options: IngestionOptions,
    user_key: bytes,
    now: dt.datetime,
    dating: Literal["run", "record"] = "run",
    progress: Progress | None = None,
) -> IngestReport:
    """Read what is new of `logs` (see `places.find`) into the warehouse.

    `log_date` is the night of all of them or, where `dating` is "record", of the records that do
    not say when they were. `user_key`: the key that users' ids are hashed with, at most 64 bytes.
    `progress` is told (shards done, shards, what).

    Raises SettingsError, SourceUnavailable, QualityLimit, CorruptStaging, CommitConflict; after
    each of them nothing of this run is published, and it can be run again. So can one that was
    killed: the shards that it had staged are not read again.
    """
    night = log_date if dating == "run" else None
    if dating == "record":  # then it is not asked what a path says
        logs = [msgspec.structs.replace(log, log_date=None) for log in logs]
    new = nights(catalog, logs, log_date=night, today=log_date)
    due = [log for found in new.values() for log in found]
    run = plan(
        catalog,
        logs=due,
        log_date=log_date,
        dating=dating,
        options=options,
        secret=user_key,
        watermark=log_date,
    )
    taken = carry_out(run, now, progress) if due else None
    return report(run, logs, taken)


def carry_out(
    run: Run, now: dt.datetime, progress: Progress | None, *, formerly_rejected: int | None = None
) -> Account | None:
    """Stage, settle and publish.

    None where there was nothing to publish: another attempt at the run was first, or no fewer
    records were rejected than `formerly_rejected`.
    """
    with run.handoff.held():
        if not publish.begin(
            run.catalog, run_id=run.run_id, stage="ingest", log_date=run.log_date, now=now
        ):
            _clean_up(run, now)
            return None
        try:
            taken = _carry_out(run, now, progress, formerly_rejected)
        except BaseException as error:
            # The text of an unforeseen error may quote a log.
            known = isinstance(error, DriftmineError)
            reason = str(error) if known else type(error).__name__
            publish.fail(run.catalog, run_id=run.run_id, reason=reason, now=now)
            # After an erasure the run has another id: nobody would come back for what it holds.
            if isinstance(error, _STALE) or publish.erasure(run.catalog) != run.seen.erasure:
                _clean_up(run, now)
            raise
        _clean_up(run, now)
    return taken


def _clean_up(run: Run, now: dt.datetime) -> None:
    run.handoff.close(partial(publish.named, run.catalog), now)


def _carry_out(
    run: Run, now: dt.datetime, progress: Progress | None, formerly_rejected: int | None
) -> Account | None:
    try:
        planned = shards.plan(run.logs, run.options)
        done = _stage(run, planned, progress)
    finally:
        # First of all also where staging failed: a log that vanished explains why.
        check_unchanged(run.logs)
    # One run at a time from here: what it finds beside its own must not change meanwhile.
    with FileLock(run.catalog.root / "settle.lock"):
        head = newest_commit(run.catalog, "conversations")
        settled = settle(_scene(run, planned, done))
        taken = _take(run, done, settled)
        account.check_quality(taken, settled.staged, run.options.max_reject_share)
        if formerly_rejected is not None and taken.total_rejected >= formerly_rejected:
            publish.fail(run.catalog, run_id=run.run_id, reason="nothing was mended", now=now)
            return None
        lost.check(settled.lost, run.options.max_lost_share)
        commit_id = publish.publish(
            run.catalog,
            run_id=run.run_id,
            staged=settled.staged,
            replaces=run.replaces() | {file.partition for file in settled.staged},
            seen=msgspec.structs.replace(run.seen, tables={"conversations": head}),
            sources=_sources(run, taken, settled),
            counts=_counts(taken),
            watermark=run.watermark,
            now=now,
        )
    return None if commit_id is None else taken


def _stage(run: Run, planned: Sequence[Shard], progress: Progress | None) -> list[ShardDone]:
    options, handoff = run.options, run.handoff
    ids = {shard.id for shard in planned}
    done = handoff.resume(ids)
    stage = StageLogs(
        [shard for shard in planned if shard.id not in done],
        job=run.job,
        load=partial(Assembler, run.assembly),
        handoff=handoff,
    )
    runner = runners.choose(options.runner, options.workers, options.runner_options)
    with watched(handoff.done, len(planned), "shards read", progress):
        run_pipeline(lambda pipeline: pipeline | "Stage logs" >> stage, runner)
    return handoff.complete(ids)


def _scene(run: Run, planned: Sequence[Shard], done: Sequence[ShardDone]) -> Scene:
    replaced = run.replaces()
    tables = ("turns", "conversations")
    live = [file for table in tables for file in live_files(run.catalog, table)]
    return Scene(
        store=run.catalog.store,
        spill=run.handoff.folder,
        staged=[file for shard in done for file in shard.staged],
        live=[file for file in live if file.partition not in replaced],
        replaced=[file for file in live if file.partition in replaced],
        window=dt.timedelta(days=run.options.near_duplicate_nights),
        memory_mb=SETTLE_MEMORY_MB,
        note=run.handoff.note,
        lines=partial(shards.records, planned, run.job.limits, run.job.mapping),
        erased=run.assembly.suppressed,
    )


def _take(run: Run, done: Sequence[ShardDone], settled: Settled) -> Account:
    """What came of the run's own lines. Raises CorruptStaging where it does not add up."""
    suppressed: Counter[Place] = Counter()
    for shard in done:
        suppressed.update({(night, shard.name): n for night, n in shard.suppressed.items()})
    return account.take(
        run.catalog.store,
        [file for file in settled.staged if file.partition not in settled.rewritten],
        lines_in=sum(shard.lines for shard in done),
        duplicates=settled.duplicates,
        suppressed=suppressed,
    )


def _sources(run: Run, taken: Account, settled: Settled) -> list[SourceFile]:
    """What the ledger keeps: of each log a row for its night, and for every night that it fills."""
    places = {*taken.places, *run.former, *((run.log_date, log.name) for log in run.logs)}
    logs = {log.name: log for log in run.logs}
    return [
        SourceFile(
            name=name,
            log_date=night,
            size=logs[name].size,
            stamp=logs[name].stamp,
            sha256=logs[name].sha256,
            lines=taken.places.get((night, name), 0),
            duplicates=settled.duplicates[night, name],
            suppressed=taken.suppressed_by_place.get((night, name), 0),
            reading=run.reading(logs[name]),
        )
        for night, name in sorted(places)
    ]


def _counts(taken: Account) -> dict[str, Any]:
    return {
        "lines_in": taken.lines_in,
        "conversations": taken.conversations,
        "near_duplicates": taken.near_duplicates,
        "turns": taken.turns,
        "seed_pairs": taken.seed_pairs,
        "rejected": taken.total_rejected,
        "duplicates": taken.duplicates,
        "suppressed": taken.suppressed,
    }


def report(run: Run, files: Sequence[LogFile], taken: Account | None) -> IngestReport:
    """What a run did with the logs that it was given."""
    same: dict[str, Any] = {
        "log_date": run.log_date,
        "run_id": run.run_id,
        "files": tuple(file.name for file in files),
        "published": taken is not None,
    }
    if taken is None:
        return IngestReport(**same, new_files=())
    return IngestReport(
        **same,
        new_files=tuple(log.name for log in run.logs),
        nights=tuple(sorted({night for night, _ in taken.places})),
        rejected_by_reason={reason.reason: reason.count for reason in taken.rejected},
        redacted=dict(taken.redacted),
        **_counts(taken),
    )
