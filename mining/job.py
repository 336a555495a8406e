"""The mining of one night: stage signals with Beam, publish once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from endpoint.ledger import Spending, spent
from ingestion import runners
from ingestion.handoff import Handoff, ShardDone
from ingestion.io import Progress, run_pipeline, watched
from mining.card import Card
from mining.detector import Detector, card_of, load_detector, thresholds_of
from mining.harvest import part_of, partitions
from mining.limits import limited, limits_of
from mining.night import turns_files
from mining.options import MiningOptions
from mining.stage import MiningJob, shards
from mining.tally import ModelCount, Tally, tally
from mining.transforms import StageSignals
from warehouse import publish
from warehouse.barred import Bar, barred
from warehouse.catalog import Catalog
from warehouse.publish import Seen
from warehouse.query import detectors, generations, head_run, live_files, stale_dates
from warehouse.records import SignalKind
from warehouse.schema import Partition
from warehouse.staging import StagedFile


class MineReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one night's mining found, now or when it was first run."""

    log_date: dt.date
    run_id: str
    detector: str
    detector_version: str
    published: bool  # False: the same turns were mined by the same detector before
    shown: str  # the detector, name@version, whose verdicts on the night readers see
    conversations: int  # that hold a follow-up
    follow_ups: int
    signals: dict[str, int]
    dsat: int  # a floor: many users leave without a word
    dsat_by_category: dict[str, int]
    dsat_by_model: dict[str, ModelCount]
    trainable: int
    untrainable_by_reason: dict[str, int]
    judge: Spending | None = None  # requests to a judge and how each ended, where one is set


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A detector that somebody made, in place of the one that the options name."""

    card: Card
    load: Callable[[], Detector]  # called in every process

    @property
    def part(self) -> str:
        """Of a night: the detector's, name@version."""
        return part_of(self.card.name, self.card.version)


def mine(
    catalog: Catalog,
    *,
    log_date: dt.date,
    options: MiningOptions,
    now: dt.datetime,
    progress: Progress | None = None,
    made: Made | None = None,
) -> MineReport:
    """Judge every follow-up of one night, and put the verdicts in place of this detector's old.

    `progress` is told (shards done, shards, what).

    Raises DetectorUnusable, CorruptStaging, CommitConflict and, of a judge, SettingsError and
    MissingExtra; after each of them nothing of this run is published, and it can be run again.
    """
    run = _plan(catalog, log_date, options, made)
    return _mine(replace(run, watermark=log_date), now, progress)


def mine_again(
    catalog: Catalog,
    *,
    log_date: dt.date,
    options: MiningOptions,
    now: dt.datetime,
    progress: Progress | None = None,
) -> MineReport:
    """`mine`, for a backfill: the stage's watermark stays where it is."""
    return _mine(_plan(catalog, log_date, options), now, progress)


def detector_of(options: MiningOptions) -> str:
    """The detector that the options name, as name@version. Raises DetectorUnusable."""
    card = card_of(options)
    return part_of(card.name, card.version)


def why(catalog: Catalog, *, log_date: dt.date, options: MiningOptions) -> str:
    """Why the night is to be mined with these settings; "": it shows what they give already.

    Raises DetectorUnusable.
    """
    run = _plan(catalog, log_date, options)
    if run.is_done:
        return ""
    shown = detectors(catalog, "signals").get(log_date)
    if shown is None:
        return "not mined yet"
    if not run.mined:
        return f"{run.part} beside {shown}"
    newer = log_date in stale_dates(catalog, run.part)
    return "new turns" if newer else "other settings or opt-outs"


def not_shown(reports: Iterable[MineReport]) -> str:
    """That readers see another detector's verdicts on nights that were mined; "": they do not."""
    beside = [one for one in reports if one.shown != part_of(one.detector, one.detector_version)]
    if not beside:
        return ""
    ours = part_of(beside[0].detector, beside[0].detector_version)
    shown = ", ".join(sorted({one.shown for one in beside}))
    return (
        f"{len(beside)} nights show the verdicts of {shown}; those of {ours} stand beside them in "
        f"signals_all. To show them: driftmine detector promote {ours}"
    )


def _mine(run: _Run, now: dt.datetime, progress: Progress | None) -> MineReport:
    catalog = run.catalog
    if run.is_done or not publish.begin(
        catalog, run_id=run.run_id, stage="mine", log_date=run.log_date, now=now
    ):
        return _report(run, None)
    with run.handoff.held():
        try:
            found = _carry_out(run, now, progress)
        except BaseException as error:
            publish.abandon(
                catalog, run_id=run.run_id, staged=run.handoff.staged(), error=error, now=now
            )
            raise
        finally:
            run.handoff.close(partial(publish.named, catalog), now)
    return _report(run, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What one run works on."""

    catalog: Catalog
    run_id: str
    is_done: bool  # what the detector said of the night last is this run's outcome
    mined: bool  # it has said anything of the night
    log_date: dt.date
    options: MiningOptions
    card: Card
    load: Callable[[], Detector]
    opted_out: frozenset[str]  # keys of users
    seen: Seen
    replaces: Sequence[Partition]
    handoff: Handoff
    watermark: dt.date | None = None  # that publishing moves the stage's to; None: it stays

    @property
    def part(self) -> str:
        """Of the night: the detector's."""
        return part_of(self.card.name, self.card.version)


def _plan(
    catalog: Catalog, log_date: dt.date, options: MiningOptions, made: Made | None = None
) -> _Run:
    card = made.card if made else card_of(options)
    thresholds = thresholds_of(card, options)
    erasure = publish.erasure(catalog)
    turns = generations(catalog, "turns", log_date)
    opted_out = barred(catalog, Bar.OPTED_OUT)
    work = publish.run_id(
        "mine",
        log_date.isoformat(),
        *sorted(opted_out),
        f"{card.name}@{card.version}",
        f"{thresholds.report} {thresholds.trainable}",
        f"{options.max_per_prompt} {options.max_per_user}",
        *([] if card.encoder is None else [options.encoder]),
        *(f"{partition.part} {generation}" for partition, generation in sorted(turns.items())),
    )
    # With what the detector said last: settings that are gone back to mine the night again.
    replaces = partitions(log_date, card.name, card.version)
    head, last = head_run(catalog, replaces[0])
    is_done = last.startswith(work)
    run_id = last if is_done else f"{work}-{head}"
    return _Run(
        catalog=catalog,
        run_id=run_id,
        is_done=is_done,
        mined=head > 0,
        log_date=log_date,
        options=options,
        card=card,
        load=made.load if made else partial(load_detector, options, run_id),
        opted_out=opted_out,
        # All logs of the night: one that joined it meanwhile was not read.
        seen=Seen(erasure=erasure, nights={("turns", log_date): turns}),
        replaces=replaces,
        handoff=Handoff.of_attempt(catalog.root, catalog.store, run_id),
    )


def _carry_out(run: _Run, now: dt.datetime, progress: Progress | None) -> Tally | None:
    """None where another attempt at the run published first."""
    whole = [file for done in _stage(run, progress) for file in done.staged]
    staged = limited(run.catalog.store, whole, limits_of(run.options), run.handoff.note)
    found = tally(run.catalog.store, staged)
    commit_id = publish.publish(
        run.catalog,
        run_id=run.run_id,
        staged=staged,
        replaces=run.replaces,
        seen=run.seen,
        counts={
            "conversations": found.conversations,
            "follow_ups": found.follow_ups,
            "dsat": found.signals.get(SignalKind.DSAT, 0),
            "trainable": found.trainable,
        },
        watermark=run.watermark,
        now=now,
    )
    return None if commit_id is None else found


def _stage(run: _Run, progress: Progress | None) -> list[ShardDone]:
    planned = shards(turns_files(run.catalog, run.log_date), run.options.workers)
    job = MiningJob(store=run.catalog.store, log_date=run.log_date, opted_out=run.opted_out)
    stage = StageSignals(planned, job=job, load=run.load, handoff=run.handoff)
    with watched(run.handoff.done, len(planned), "shards mined", progress):
        run_pipeline(
            lambda pipeline: pipeline | "Stage signals" >> stage,
            runners.local(run.options.workers),
        )
    return run.handoff.complete({shard.id for shard in planned})


def _live(run: _Run) -> list[StagedFile]:
    """The live files of the partitions that the run is about."""
    return [
        file
        for partition in run.replaces
        for file in live_files(run.catalog, partition.table, log_date=run.log_date)
        if file.partition == partition
    ]


def _report(run: _Run, published: Tally | None) -> MineReport:
    found = published or tally(run.catalog.store, _live(run))
    judge = run.options.judge
    return MineReport(
        log_date=run.log_date,
        run_id=run.run_id,
        detector=run.card.name,
        detector_version=run.card.version,
        published=published is not None,
        shown=detectors(run.catalog, "signals")[run.log_date],
        dsat=found.signals.get(SignalKind.DSAT, 0),
        judge=spent(Path(judge.store), run.run_id) if judge.base_url else None,
        **{name: getattr(found, name) for name in Tally.__struct_fields__},
    )
