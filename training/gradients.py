"""The gradient of the DPO term beside the bound that theory puts under it.

With s a pair's margin, d = ∇log π(y+|x) − ∇log π(y−|x) and σ the logistic function, the gradient of
a pair's loss is −β σ(−s) d. For E = {σ(−s) ≥ τ}, P(E) ≥ p0 and E[‖d‖ | E] = Δ, its norm is βτp0Δ
at least, in the mean (DRIFT, arXiv 2510.02341). Reported, never decisive: it grows while a policy
collapses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch

from training.policy import Policy
from warehouse.records import PreferencePair

TAU = 0.25  # τ: at the start σ(−s) is 0.5 for every pair, and towards 0 as pairs are learned
PAIRS = 8  # measured; each takes a backward pass of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient:
    """Means over a few pairs, at one state of the policy."""

    pairs: int
    norm: float  # E‖∇ℓ‖ of the DPO term
    bound: float  # β τ p0 Δ, at most `norm`
    difference: float  # E‖d‖
    open_share: float  # P(σ(−s) ≥ τ)


def gradient(
    policy: Policy,
    pairs: Sequence[PreferencePair],
    margins: Sequence[float],
    *,
    beta: float,
    max_length: int,
) -> Gradient | None:
    """Of the first `PAIRS` pairs, with their margins; None where there are none."""
    some = list(zip(pairs[:PAIRS], margins, strict=False))
    if not some:
        return None
    norms = [_difference(policy, pair, max_length) for pair, _ in some]
    weights = [1 / (1 + math.exp(min(margin, 500.0))) for _, margin in some]
    is_open = [weight >= TAU for weight in weights]
    seen = [norm for norm, inside in zip(norms, is_open, strict=True) if inside]
    share = fmean(is_open)
    return Gradient(
        pairs=len(some),
        norm=beta * fmean(w * norm for w, norm in zip(weights, norms, strict=True)),
        bound=beta * TAU * share * (fmean(seen) if seen else 0.0),
        difference=fmean(norms),
        open_share=share,
    )


def _difference(policy: Policy, pair: PreferencePair, max_length: int) -> float:
    """‖d‖ over all weights of the policy."""
    gpu = policy.device.type == "cuda"
    policy.model.zero_grad(set_to_none=True)
    for answer, sign in ((pair.chosen, 1.0), (pair.rejected, -1.0)):
        asked, answered = policy.answer_ids(pair.prompt, answer)
        answered = answered[: max(max_length - len(asked), 1)]
        ids = torch.tensor([asked + answered], device=policy.device)
        with torch.autocast(policy.device.type, torch.bfloat16, enabled=gpu):
            logits = policy.model(input_ids=ids).logits[0, len(asked) - 1 : -1]
        targets = ids[0, len(asked) :]
        loss = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
        (-sign * loss).backward()
    return _norm(policy.model)


def _norm(model: Any) -> float:
    squares = [float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return math.sqrt(math.fsum(squares))
