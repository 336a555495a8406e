"""Whether a candidate may become the champion. Pure.

The margin and the gradient norm are no criteria: in a collapse that was measured they grew
throughout, while KL and length left their limits (docs/training.md). So was the share of pairs
with a margin above 0 left out, which is the margin again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from training.metrics import SATISFIED, Metrics
from training.options import GateOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One limit, and how it was kept."""

    name: str
    value: float
    limit: float
    ok: bool
    unit: str
    detail: str = ""  # what the value is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Promote, or hold, and why."""

    promote: bool
    reasons: tuple[str, ...]  # one for every check that failed
    checks: tuple[Check, ...]


def decide(
    metrics: Metrics | None,
    *,
    dropped_share: float,
    limits: GateOptions,
    dropped: Mapping[str, int] = MappingProxyType({}),
    cut_share: float = 0.0,
    objections: Sequence[str] = (),
) -> Decision:
    """Check a candidate's metrics against the limits; every check must hold.

    `dropped_share` is the share of the batch's turns that made no pair to train on, `dropped` why
    and how many, `cut_share` that of the pairs of which an answer lost its end; `objections` are
    what else speaks against it, each enough. Without metrics (nothing held out) the answer is to
    hold. A value that is not a number fails.
    """
    heldout = metrics.pairs.pairs if metrics else 0
    checks = [
        _at_least("held_out_pairs", heldout, limits.min_heldout, "pairs"),
        _at_most(
            "dropped_share",
            dropped_share,
            limits.max_dropped_share,
            "of the batch",
            _counted(dropped),
        ),
        _at_most("cut_share", cut_share, limits.max_cut_share, "of the pairs"),
        *(_compared(metrics, limits) if metrics else ()),
    ]
    failed = tuple(check for check in checks if not check.ok)
    return Decision(
        promote=not failed and not objections,
        reasons=(*objections, *map(_reason, failed)),
        checks=tuple(checks),
    )


def _compared(metrics: Metrics, limits: GateOptions) -> Iterator[Check]:
    shorter = 1 / metrics.length_ratio if metrics.length_ratio else math.inf
    drop = -metrics.pairs.chosen_change
    yield _at_most("kl", metrics.kl, limits.max_kl, "nats an answer")
    yield _at_most("kl_base", metrics.kl_base, limits.max_kl_base, "nats an answer")
    yield _at_most("longer", metrics.length_ratio, limits.max_length_ratio, "times the parent's")
    yield _at_most("shorter", shorter, limits.max_length_ratio, "times below the parent's")
    yield _at_most("chosen_drop", drop, limits.max_chosen_drop, "nats a token")
    rise = metrics.truncated_rise
    yield _at_most("truncated_rise", rise, limits.max_truncated_rise, "of the answers")
    for part in metrics.slices:
        # Worse beyond its interval: what chance alone would not do.
        limit, unit = limits.max_canary_drop, "of the answers worse, at least"
        if part.name == SATISFIED:
            limit, unit = limits.max_satisfied_drop, "nats a token less likely, at least"
        yield _at_most(f"canary_{part.name}", 0.0 - part.change.high, limit, unit)
    if metrics.judged_by and limits.min_win_rate is not None:
        judged = metrics.pairs.pairs - metrics.unjudged
        yield _at_least("judged", judged, limits.min_heldout, "prompts")
        low = metrics.win_rate.low if metrics.win_rate else math.nan
        yield _above("win_rate", low, limits.min_win_rate, f"at least, by {metrics.judged_by}")


def _reason(check: Check) -> str:
    if math.isnan(check.value):
        return (
            f"{check.name}: there is no figure ({check.unit}). An interval needs two users, and a "
            "win rate something that judges."
        )
    detail = f" ({check.detail})" if check.detail else ""
    return f"{check.name}: {check.value:.3g} {check.unit}, the limit is {check.limit:.3g}{detail}"


def _counted(parts: Mapping[str, int]) -> str:
    most_first = sorted(parts.items(), key=lambda part: (-part[1], part[0]))
    return ", ".join(f"{name} {count:,}" for name, count in most_first)


def _at_most(name: str, value: float, limit: float, unit: str, detail: str = "") -> Check:
    return Check(name=name, value=value, limit=limit, ok=value <= limit, unit=unit, detail=detail)


def _at_least(name: str, value: float, limit: float, unit: str) -> Check:
    return Check(name=name, value=value, limit=limit, ok=value >= limit, unit=unit)


def _above(name: str, value: float, limit: float, unit: str) -> Check:
    return Check(name=name, value=value, limit=limit, ok=value > limit, unit=unit)
