"""The sampler that the settings name."""

from __future__ import annotations

from training.options import TrainingOptions
from training.policy import Policy
from training.samplers.base import Progress, Sampler
from training.samplers.endpoint import EndpointSampler
from training.samplers.hf import HfSampler


def chosen(policy: Policy, options: TrainingOptions, progress: Progress | None) -> Sampler:
    """What draws the chosen answers of a batch from `policy`."""
    if options.sampler == "endpoint":
        return EndpointSampler(policy=policy, options=options, progress=progress)
    return HfSampler(policy=policy, progress=progress)
