"""What the page shows of an update: its figures, and its curves as lines of an SVG. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 220, 44  # pixels of one curve
CURVES = {"loss": "loss", "gradient_norm": "gradient norm", "margin": "margin s",
          "chosen": "log π(y+) to ρ", "rejected": "log π(y−) to ρ"}  # fmt: skip


def figures(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and value of every diagnostic that a version's report holds; older ones hold fewer."""
    trained = report.get("training")
    if trained:
        yield "margin s of its own pairs", f"{shaped(trained['margin'], '.3f')}"
        yield "weight σ(−s)", f"{shaped(trained['weight'], '.3f')}"
        yield "pairs still open, σ(−s) ≥ 0.5", f"{shaped(trained['open_share'], '.0%')}"
    for when, found in zip(("before", "after"), report.get("gradients") or (), strict=False):
        if found:
            norm, bound, apart = (
                shaped(found[name], ".3g") for name in ("norm", "bound", "difference")
            )
            yield f"DPO gradient {when}", f"{norm}, bound {bound}, E‖d‖ {apart}"
    held = report.get("metrics")
    if not held:
        return
    moved = held["pairs"]
    both = f"{shaped(moved['chosen_change'], '+.3f')}, {shaped(moved['rejected_change'], '+.3f')}"
    yield "held-out chosen, rejected", f"{both} nats a token"
    yield "distinct answers", f"{shaped(held['distinct_share'], '.0%')}"
    yield from judged(held)
    for when, found in (held.get("coverage") or {}).items():
        share = f"{found['clusters']} of {found['union']} kinds, {found['alone']} of them alone"
        yield f"good answers found {when}", share
    for part in held.get("slices", ()):
        change = part["change"]
        yield (
            f"canary {part['name']}",
            (
                f"{shaped(part['before'], '.3f')} to {shaped(part['after'], '.3f')} "
                f"({shaped(change['low'], '+.3f')} to {shaped(change['high'], '+.3f')})"
            ),
        )


def judged(held: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was said of the candidate's answers beside the parent's, of a report's metrics."""
    if won := held.get("win_rate"):
        left_out = f", {held['unjudged']} prompts unjudged" if held.get("unjudged") else ""
        told = _interval(won, ".1%")
        yield f"win rate by {held['judged_by']}", f"{told}, {won['clusters']} users{left_out}"
    found = held.get("judgement")  # absent from older manifests
    if not found:
        return
    yield "LC (minimal)", _interval(found["length_controlled"]["rate"], ".1%")
    margin = f"K = {found['length_margin']}"
    yield "WildBench reward", f"{_interval(found['reward'], '+.3f')}, {margin}"
    if marks := found["ratings"]:
        both = (f"{who} {_interval(marks[who], '.2f')}" for who in ("candidate", "parent"))
        left_out = f", {marks['unrated']} answers unrated" if marks["unrated"] else ""
        yield "WildBench score", f"{', '.join(both)}{left_out}"
        yield "WildBench score, change", _interval(marks["change"], "+.2f")


def _interval(found: Mapping[str, Any], shape: str) -> str:
    value, low, high = (shaped(found[name], shape) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def shaped(value: float | None, shape: str) -> str:
    """A number in a format; what is none, which in a manifest's JSON is null, is a dash."""
    return "-" if value is None or math.isnan(value) else format(value, shape)


def curves(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """A curve each of what was logged step by step, with at least two steps."""
    steps = (report.get("update") or {}).get("curve") or ()
    found = []
    for key, name in CURVES.items():
        values = [math.nan if step[key] is None else float(step[key]) for step in steps]
        if len(values) > 1 and all(map(math.isfinite, values)):
            ends = f"{values[0]:.3g} to {values[-1]:.3g}"
            found.append({"name": name, "ends": ends, "points": points(values)})
    return found


def points(values: Sequence[float]) -> str:
    """As a polyline's points, the least value at the bottom; two values or more."""
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    return " ".join(
        f"{i * WIDTH / (len(values) - 1):.1f},{HEIGHT - (value - low) / spread * HEIGHT:.1f}"
        for i, value in enumerate(values)
    )
