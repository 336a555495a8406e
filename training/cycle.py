"""One training cycle: lease, sample, pair, update, evaluate, gate, register.

The catalog decides: a version counts once `leases.finish` has committed its row. The version is
sealed before and revealed after, so a run that is killed in between is completed by the next one
(`settle`), and one that is killed earlier leaves nothing that carries a version's name.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from training import failures, registry
from training.batch import tasks
from training.examples import of_dsat, of_sat
from training.iteration import Judged, Learned, Material, Places, Stopwatch, judge, learn
from training.lock import registering
from training.options import TrainingOptions
from training.policy import digest, fingerprint
from training.report import Start, TrainReport, manifest_of, report_of
from training.samplers.endpoint import clear
from training.settle import settle
from training.tools import Tools
from training.work import Work
from warehouse import heartbeat, leases, streams
from warehouse.catalog import Catalog
from warehouse.errors import PolicyUnusable, SettingsError
from warehouse.leases import Lease
from warehouse.manifest import ModelVersion

NO_TOOLS = Tools()
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cycle:
    """What one cycle works with."""

    catalog: Catalog
    models: Path
    options: TrainingOptions
    start: Start
    lease: Lease
    now: dt.datetime  # when it began
    tools: Tools
    kept: Work
    watch: Stopwatch = field(default_factory=Stopwatch)


def train(
    catalog: Catalog,
    *,
    models: Path,
    options: TrainingOptions,
    default_policy: Path,
    now: dt.datetime,
    reuse: str = "",
    tools: Tools = NO_TOOLS,
) -> TrainReport | None:
    """Train one version on a fresh batch and register it; None where too little is fresh.

    `reuse`: a finished batch whose turns are trained on once more instead. On any error the batch
    is given back and no version appears; what was drawn and trained so far is kept, and found by
    the next run that draws or trains the same. Raises SettingsError, PolicyUnusable,
    TrainingFailed, LeaseLost, SnapshotGone.
    """
    _check_room(options)
    settle(catalog, models, now=now)
    start = start_of(models, options.policy, default_policy)
    check_base(start)
    with closing(Work(models)) as kept:
        lease = _leased(catalog, options, reuse, now)
        if lease is None:
            return None
        ttl = dt.timedelta(hours=options.lease_hours)
        cycle = _Cycle(
            catalog=catalog, models=models, options=options, start=start, lease=lease, now=now,
            tools=tools, kept=kept,
        )  # fmt: skip
        try:
            with heartbeat.kept(catalog, lease, ttl=ttl, now=now):
                return _run(cycle)
        except BaseException:  # a signal too must not hold the batch until its lease ends
            leases.release(catalog, lease)
            raise


def _check_room(options: TrainingOptions) -> None:
    if options.max_prompt_tokens >= options.max_length:
        raise SettingsError(
            f"[training] max_prompt_tokens ({options.max_prompt_tokens}) must be below max_length "
            f"({options.max_length}), or no room is left for an answer."
        )


def check_base(start: Start) -> None:
    """Raise PolicyUnusable where the folder of the policy that the line began with is gone."""
    began_elsewhere = start.base != start.source  # else loading it says what is wrong with it
    if began_elsewhere and Path(start.base).is_absolute() and not Path(start.base).is_dir():
        raise PolicyUnusable(
            f"{start.base}: the policy that the champion's line began with is gone, and the gate "
            "compares every candidate with it. Put the folder back, or begin a new line: name the "
            "champion's folder, or another policy, in [training] policy."
        )


def _leased(
    catalog: Catalog, options: TrainingOptions, reuse: str, now: dt.datetime
) -> Lease | None:
    ttl = dt.timedelta(hours=options.lease_hours)
    if reuse:
        return leases.reuse(catalog, reuse, ttl=ttl, now=now)
    return leases.acquire(
        catalog,
        options.wanted,
        stream=options.stream,
        holdout=options.holdout,
        ttl=ttl,
        now=now,
        seed=options.seed,
        selection=options.selection,
    )


def start_of(models: Path, policy: str, default: Path) -> Start:
    """The champion, unless `policy` names a version, an alias or another base to start from."""
    champion = registry.current(models, registry.CHAMPION)
    now = {"champion": champion, "champion_now": champion}
    version, named = champion, policy
    if policy in (registry.CHAMPION, registry.CANDIDATE, *registry.versions(models)):
        version, named = registry.resolve(models, policy), ""
    base = _base(models, version, named, default) if version else None
    if version is None or base is None:
        source = policy or str(default)
        return Start(source=source, parent=source, base=source, **now)
    folder = str(registry.folder(models, version))
    return Start(source=folder, parent=version, base=base, **now)


def _base(models: Path, version: str, named: str, default: Path) -> str | None:
    """Where the base of a version's line lies now; None: `named` is another one.

    One that was moved, or whose home was, is known by its weights: a new line would begin, unasked.
    """
    recorded = registry.read(models, version).base
    gone = Path(recorded).is_absolute() and not Path(recorded).exists()
    if named == recorded or not (named or gone):
        return recorded
    moved = named or str(default)
    weights = _weights(models, version)
    if weights and digest(moved) == weights:
        return moved
    return None if named else recorded


def _weights(models: Path, version: str) -> str:
    """Digest of what a version's line began with; "" of a model's name."""
    known = {*registry.versions(models), *registry.pruned(models)}
    manifest = registry.recorded(models, version)
    while manifest.parent in known:
        manifest = registry.recorded(models, manifest.parent)
    return manifest.parent_digest


def _run(cycle: _Cycle) -> TrainReport:
    models, batch_id = cycle.models, cycle.lease.batch_id
    with registry.staging(models, batch_id) as staged:
        with failures.named():
            learned, judged = _candidate(cycle, staged)
        # One at a time: of two trainers, the second finds another champion than it trained on.
        with registering(models):
            champion = registry.current(models, registry.CHAMPION)
            report = report_of(
                registry.next_version(models, batch_id),
                replace(cycle.start, champion_now=champion),
                cycle.options, cycle.lease, learned, judged, cycle.watch,
            )  # fmt: skip
            with cycle.watch.part("register"), failures.named():
                _register(cycle, staged, report)
            with failures.registered(report.version):
                registry.reveal(models, staged, report.version)
                registry.set_alias(models, registry.CANDIDATE, report.version)
                if report.promoted:
                    registry.promote(models, report.version, now=cycle.now, why="gate")
    with failures.no_matter():  # a later run sweeps what this one cannot
        cycle.kept.finish()
        clear(cycle.options)
    return replace(report, seconds=dict(cycle.watch.seconds))


def _candidate(cycle: _Cycle, folder: Path) -> tuple[Learned, Judged]:
    """Train into `folder`, and compare what came of it with the policy that it came of."""
    start, tools = cycle.start, cycle.tools
    places = Places(
        source=start.source,
        base=start.base,
        folder=folder,
        work=cycle.kept,
        key=fingerprint(start.source),
        curves=tools.curves / cycle.lease.batch_id if tools.curves else None,
    )
    own = _trusting(cycle.options, start)
    material = _material(cycle.catalog, cycle.lease, cycle.options)
    learned = learn(places, material, own, cycle.watch, tools.progress, tools.scorer)
    with cycle.watch.part("evaluate"):
        return learned, judge(places, learned, own, tools.comparer)


def _trusting(options: TrainingOptions, start: Start) -> TrainingOptions:
    """Who trusts the code of a base trusts it in the versions that came of it."""
    if start.base not in options.trust_remote_code:
        return options
    return replace(options, trust_remote_code=(*options.trust_remote_code, start.source))


def _material(catalog: Catalog, lease: Lease, options: TrainingOptions) -> Material:
    """The batch, and what is held out of every one."""
    holdout, evaluation = options.holdout, options.evaluation
    held = streams.heldout(catalog, holdout=holdout, n=evaluation.heldout_turns)
    liked = streams.heldout_satisfied(catalog, holdout=holdout, n=evaluation.canaries)
    return Material(
        tasks=tuple(tasks(lease, options)),
        heldout=tuple(of_dsat(turn) for turn in held),
        canaries=tuple(of_sat(turn) for turn in liked),
    )


def _register(cycle: _Cycle, staged: Path, report: TrainReport) -> None:
    """Seal the version, and let the catalog know it: from then on it counts."""
    start, lease, now = cycle.start, cycle.lease, cycle.now
    sha256 = registry.seal(staged, manifest_of(report, start, cycle.options, lease, now))
    model = ModelVersion(
        version=report.version,
        parent=start.parent,
        batch_id=lease.batch_id,
        created_at=now,
        promoted=report.promoted,
        manifest_sha256=sha256,
    )
    ended = now + dt.timedelta(seconds=cycle.watch.total())
    leases.finish(cycle.catalog, lease, model, ended)
