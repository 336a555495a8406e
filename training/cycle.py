"""One training cycle: lease, sample, pair, update, evaluate, gate, register.

The catalog decides: a version counts once `leases.finish` has committed its row. The version is
sealed before and revealed after, so a run that is killed in between is completed by the next one
(`settle`), and one that is killed earlier leaves nothing that carries a version's name.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from training import registry
from training.gate import Decision, decide
from training.iteration import Judged, Learned, Stopwatch, judge, learn
from training.manifest import Manifest
from training.metrics import Metrics, Shift
from training.options import TrainingOptions
from training.pairs import GUIDANCE_VERSION
from training.policy import digest
from training.samplers.base import Progress
from training.update import UpdateReport
from warehouse import heartbeat, leases, streams
from warehouse.catalog import Catalog
from warehouse.errors import SettingsError, TrainingFailed
from warehouse.leases import Lease
from warehouse.manifest import ModelVersion

# Held-out turns that a candidate is compared on; more would cost more than the update itself.
HELD_OUT_TURNS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What one cycle did."""

    version: str
    parent: str  # version, folder or model name that it started from
    method: str
    batch_size: int  # turns leased
    pairs: int  # trained on
    filtered: dict[str, int]  # reason -> turns that made no pair
    redrawn: int  # samples drawn again, those of held-out turns among them
    cut_off: int  # pairs whose chosen answer max_new_tokens cut off
    truncated_prompts: int  # of the sampled prompts, cut from the left
    dropped: int  # pairs that could not be trained on
    update: UpdateReport
    training: Shift  # how the update moved its own pairs
    metrics: Metrics | None  # on held-out turns; None where there were none
    gate: Decision
    promoted: bool
    notes: tuple[str, ...]  # what was mended on loading the policy
    seconds: dict[str, float]  # part -> wall time


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The policy that a cycle starts from."""

    source: str  # what `load` takes
    parent: str  # what reports call it: a version, or the source itself
    base: str  # the policy that its line began with


def train(
    catalog: Catalog,
    *,
    models: Path,
    options: TrainingOptions,
    default_policy: Path,
    now: dt.datetime,
    reuse: str = "",
    progress: Progress | None = None,
) -> TrainReport | None:
    """Train one version on a fresh batch and register it; None where too little DSAT is fresh.

    `reuse`: a finished batch whose turns are trained on once more instead. On any error the batch
    is given back and no version appears. Raises SettingsError, PolicyUnusable, TrainingFailed,
    LeaseLost, SnapshotGone.
    """
    if options.max_prompt_tokens >= options.max_length:
        raise SettingsError(
            f"[training] max_prompt_tokens ({options.max_prompt_tokens}) must be below max_length "
            f"({options.max_length}), or no room is left for an answer."
        )
    settle(catalog, models, now=now)
    start = start_of(models, options.policy, default_policy)
    ttl = dt.timedelta(hours=options.lease_hours)
    if reuse:
        lease: Lease | None = leases.reuse(catalog, reuse, ttl=ttl, now=now)
    else:
        lease = leases.acquire(
            catalog,
            stream=options.stream,
            n=options.max_turns,
            minimum=options.needed_turns,
            holdout=options.holdout,
            ttl=ttl,
            now=now,
            seed=options.seed,
        )
    if lease is None:
        return None
    try:
        with heartbeat.kept(catalog, lease, ttl=ttl, now=now):
            return _run(catalog, models, options, start, lease, now, progress)
    except BaseException as error:  # a signal too must not hold the batch until its lease ends
        leases.release(catalog, lease)
        if isinstance(error, torch.OutOfMemoryError):
            raise TrainingFailed(
                "Memory ran out in the update. Lower batch_size or max_length in [training], or "
                "name a smaller policy. Nothing was registered."
            ) from error
        raise


def settle(catalog: Catalog, models: Path, *, now: dt.datetime) -> None:
    """Complete what killed runs had committed, and clear away what they had not.

    Reveals versions that the catalog knows, and moves the aliases that had still to be moved.
    """
    # In this order: a trainer that finishes in between is seen in one of the two.
    alive = streams.alive(catalog, now=now)
    known = streams.registered(catalog)
    registry.adopt(models, {model.version: model.manifest_sha256 for model in known}, alive)
    registry.complete_moves(models)
    there = set(registry.versions(models))
    moved = {move.version for move in registry.history(models)}
    for model in known:
        if model.promoted and model.version in there - moved:
            registry.promote(models, model.version, now=now, why="gate")


def start_of(models: Path, policy: str, default: Path) -> Start:
    """The champion, unless `policy` names a version, an alias or another base to start from."""
    champion = registry.current(models, registry.CHAMPION)
    if policy in (registry.CHAMPION, registry.CANDIDATE, *registry.versions(models)):
        version = registry.resolve(models, policy)
    elif champion and policy in ("", registry.read(models, champion).base):
        version = champion
    else:
        source = policy or str(default)
        return Start(source=source, parent=source, base=source)
    base = registry.read(models, version).base
    return Start(source=str(registry.folder(models, version)), parent=version, base=base)


def _run(
    catalog: Catalog,
    models: Path,
    options: TrainingOptions,
    start: Start,
    lease: Lease,
    now: dt.datetime,
    progress: Progress | None,
) -> TrainReport:
    watch = Stopwatch()
    held = streams.heldout(catalog, holdout=options.holdout, n=HELD_OUT_TURNS)
    with registry.staging(models, lease.batch_id) as staged:
        learned = learn(start.source, lease.turns, held, options, staged, watch, progress)
        with watch.part("evaluate"):
            judged = judge(start.source, staged, learned, options)
        version = registry.next_version(models, lease.batch_id)
        report = _report(version, start, options, lease, learned, judged, watch)
        manifest = _manifest(report, start, options, lease, now)
        with watch.part("register"):
            sha256 = registry.seal(staged, manifest)
            model = ModelVersion(
                version=version,
                parent=start.parent,
                batch_id=lease.batch_id,
                created_at=now,
                promoted=report.promoted,
                manifest_sha256=sha256,
            )
            leases.finish(catalog, lease, model, now + dt.timedelta(seconds=watch.total()))
            registry.reveal(models, staged, version)
    registry.set_alias(models, registry.CANDIDATE, version)
    if report.promoted:
        registry.promote(models, version, now=now, why="gate")
    return replace(report, seconds=dict(watch.seconds))


def _report(
    version: str,
    start: Start,
    options: TrainingOptions,
    lease: Lease,
    learned: Learned,
    judged: Judged,
    watch: Stopwatch,
) -> TrainReport:
    trained = learned.update.trained
    dropped_share = 1 - trained / len(lease.turns)
    gate = decide(judged.metrics, dropped_share=dropped_share, limits=options.gate)
    return TrainReport(
        version=version,
        parent=start.parent,
        method=options.method,
        batch_size=len(lease.turns),
        pairs=trained,
        filtered=learned.pairs.filtered,
        redrawn=learned.redrawn,
        cut_off=learned.pairs.cut_off,
        truncated_prompts=learned.truncated_prompts,
        dropped=learned.update.dropped,
        update=learned.update,
        training=judged.training,
        metrics=judged.metrics,
        gate=gate,
        promoted=gate.promote,
        notes=learned.notes,
        seconds=dict(watch.seconds),
    )


def _manifest(
    report: TrainReport, start: Start, options: TrainingOptions, lease: Lease, now: dt.datetime
) -> Manifest:
    return Manifest(
        version=report.version,
        parent=start.parent,
        parent_digest=digest(start.source),
        base=start.base,
        created_at=now,
        # Without the judge, which moves no weight, and whose address could hold a password.
        settings={name: value for name, value in asdict(options).items() if name != "judge"},
        guidance=GUIDANCE_VERSION if options.guided else "",
        batch_id=lease.batch_id,
        snapshot=lease.snapshot,
        turn_ids=tuple(turn.turn_id for turn in lease.turns),
        report=asdict(report),
        files={},
    )
