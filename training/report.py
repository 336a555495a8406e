"""What a cycle says of itself: to the operator, and in the version's manifest."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

from training.batch import tasks
from training.gate import Decision, decide
from training.gradients import Gradient
from training.iteration import Judged, Learned, Stopwatch
from training.manifest import Manifest
from training.metrics import Metrics, Shift
from training.options import TrainingOptions
from training.pairs import GUIDANCE_VERSION
from training.policy import digest
from training.update import UpdateReport
from warehouse.leases import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The policy that a cycle starts from."""

    source: str  # what `load` takes
    parent: str  # what reports call it: a version, or the source itself
    base: str  # the policy that its line began with: a folder or a name
    champion: str | None = None  # when the cycle began
    champion_now: str | None = None  # when its candidate was there

    @property
    def objections(self) -> tuple[str, ...]:
        """Why nothing that came of it may be promoted."""
        if self.champion == self.champion_now:
            return ()
        return (
            f"champion: it is {self.champion_now} by now, and this candidate was compared with "
            f"{self.parent}; train again",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What one cycle did."""

    version: str
    parent: str  # version, folder or model name that it started from
    method: str
    batch_size: int  # turns and seed pairs leased
    pairs: int  # trained on
    pairs_by_method: dict[str, int]  # what was replayed beside the method's own among them
    filtered: dict[str, int]  # reason -> turns that made no pair
    redrawn: int  # samples drawn again, those of held-out turns among them
    cut_off: int  # pairs of which a drawn answer was cut off by max_new_tokens
    truncated_prompts: int  # of the sampled prompts, cut from the left
    dropped: int  # pairs that could not be trained on
    update: UpdateReport
    training: Shift  # how the update moved its own pairs
    gradients: tuple[Gradient | None, Gradient | None]  # before the update and after it
    metrics: Metrics | None  # on held-out turns; None where there were none
    gate: Decision
    promoted: bool
    notes: tuple[str, ...]  # what was mended on loading the policy
    seconds: dict[str, float]  # part -> wall time


def report_of(
    version: str,
    start: Start,
    options: TrainingOptions,
    lease: Lease,
    learned: Learned,
    judged: Judged,
    watch: Stopwatch,
) -> TrainReport:
    """What a cycle did, with the gate's word on it."""
    gate = _decided(start, options, lease, learned, judged)
    return TrainReport(
        version=version,
        parent=start.parent,
        method=options.method,
        batch_size=lease.size,
        pairs=learned.update.trained,
        pairs_by_method=learned.pairs.by_method,
        filtered=learned.pairs.filtered,
        redrawn=learned.redrawn,
        cut_off=learned.pairs.cut_off,
        truncated_prompts=learned.truncated_prompts,
        dropped=learned.update.dropped,
        update=learned.update,
        training=judged.training,
        gradients=(learned.gradient, judged.gradient),
        metrics=judged.metrics,
        gate=gate,
        promoted=gate.promote,
        notes=learned.notes,
        seconds=dict(watch.seconds),
    )


def _decided(
    start: Start, options: TrainingOptions, lease: Lease, learned: Learned, judged: Judged
) -> Decision:
    update, filled = learned.update, learned.update.dropped
    return decide(
        judged.metrics,
        dropped_share=1 - update.trained / lease.size,
        dropped=learned.pairs.filtered | ({"prompt_too_long": filled} if filled else {}),
        cut_share=update.answers_cut / update.trained,
        limits=options.gate,
        objections=(
            *start.objections,
            *(f"the update was ended early: {reason}" for reason in update.stopped),
        ),
    )


def manifest_of(
    report: TrainReport, start: Start, options: TrainingOptions, lease: Lease, now: dt.datetime
) -> Manifest:
    """What the version says of itself; `registry.seal` adds the files."""
    return Manifest(
        version=report.version,
        parent=start.parent,
        parent_digest=digest(start.source),
        base=start.base,
        created_at=now,
        # Without what is asked over the network: it moves no weight, and its address could hold a
        # password.
        settings={
            name: value
            for name, value in asdict(options).items()
            if name not in ("judge", "endpoint")
        },
        guidance=GUIDANCE_VERSION if options.guided and options.method == "drift" else "",
        batch_id=lease.batch_id,
        snapshot=lease.snapshot,
        turn_ids=tuple(task.example.turn_id for task in tasks(lease, options)),
        report=asdict(report),
        files={},
    )
