"""What is watched while a policy is trained: the curve, losses that are no numbers, early ends."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training.options import StopOptions
from training.samplers.base import Progress
from warehouse.durable import write_whole
from warehouse.errors import TrainingFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimizer step; means over its pairs, by the policy before it."""

    step: int  # from 1
    loss: float
    gradient_norm: float  # of the whole loss, before clipping
    margin: float  # s
    chosen: float  # nats an answer, to the reference
    rejected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The policy in the middle of its update, beside what it was."""

    step: int
    kl: float  # nats an answer: from the policy before to the policy now, on answers of before
    length_ratio: float  # mean tokens of an answer, now to before
    chosen_change: float  # nats a token of held-out chosen answers

    def objections(self, limits: StopOptions) -> list[str]:
        """Which limits are broken; a value that is no number breaks its own."""
        rows = (
            ("kl", self.kl, limits.max_kl, "nats an answer"),
            ("length_ratio", self.length_ratio, limits.max_length_ratio, "times as long"),
            ("chosen_drop", -self.chosen_change, limits.max_chosen_drop, "nats a token"),
        )
        return [
            f"{name}: {value:.3g} {unit}, the limit is {limit:.3g}"
            for name, value, limit, unit in rows
            if not value <= limit
        ]


def curve(history: Sequence[Mapping[str, Any]], beta: float) -> tuple[Step, ...]:
    """Every step of an update, those before it was interrupted among them, from TRL's log."""
    return tuple(
        Step(
            step=int(logs["step"]),
            loss=float(logs["loss"]),
            gradient_norm=float(logs.get("grad_norm", 0.0)),
            margin=float(logs["rewards/margins"]),
            chosen=float(logs["rewards/chosen"]) / beta,
            rejected=float(logs["rewards/rejected"]) / beta,
        )
        for logs in history
        if "loss" in logs
    )


class Numbers(TrainerCallback):  # type: ignore[misc]
    """Tells how far an update is, and ends it where a loss is no number."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """See transformers."""
        if "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(float(logs.get(name, 0.0))):
                raise TrainingFailed(
                    f"DPO: {name} is {logs[name]} at step {state.global_step} of "
                    f"{state.max_steps}. Nothing was registered; lower learning_rate in "
                    "[training] and run again."
                )
        if self._progress:
            self._progress(state.global_step, state.max_steps, "update")


class Watchdog(TrainerCallback):  # type: ignore[misc]
    """Ends an update that has left every limit behind: what comes of it could not be promoted.

    Each look is kept in a file, and taken once: an update that was killed ends as it would have.
    """

    def __init__(self, look: Callable[[int], Look], limits: StopOptions, kept: Path) -> None:
        self.looks: list[Look] = []
        self._look = look
        self._limits = limits
        self._file = kept
        self._kept = {look.step: look for look in _read(kept)}

    @property
    def stopped(self) -> tuple[str, ...]:
        """Why the update ended early; empty where it did not."""
        return tuple(self.looks[-1].objections(self._limits)) if self.looks else ()

    def resume(self, step: int) -> None:
        """Take the looks back that a checkpoint was made after."""
        self.looks = [look for at, look in sorted(self._kept.items()) if at <= step]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """See transformers."""
        step = state.global_step
        every = max(-(-state.max_steps // (self._limits.looks + 1)), 1)  # rounded up
        if step % every or step >= state.max_steps:
            return
        if step not in self._kept:
            self._kept[step] = self._look(step)
            kept = [asdict(look) for look in self._kept.values()]
            write_whole(self._file, json.dumps(kept).encode())  # not msgspec: it has no NaN
        self.looks.append(self._kept[step])
        control.should_training_stop = bool(self.stopped) or control.should_training_stop


def _read(kept: Path) -> list[Look]:
    return [Look(**look) for look in json.loads(kept.read_bytes())] if kept.exists() else []
