"""Samples that outlive the process that drew them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from training.policy import Policy
from training.prompts import Prompt
from training.samplers.base import Progress, Sample, Sampler, Sampling
from training.work import kept_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSampler:
    """Draws batch by batch through another sampler and keeps each in a file.

    Who draws the same again after a crash gets what was drawn and goes on from there: all files
    beside its own are read, and what is used of them is copied. A batch has a seed of its own, so
    the whole is what one run without a crash draws, to the bit.
    """

    inner: Sampler
    policy: Policy  # whose tokens tell how long prompts are
    path: Path  # JSON lines: key, samples; no other process writes to it
    key: str  # of the policy's weights
    progress: Progress | None = None

    def sample(self, prompts: Sequence[Prompt], parameters: Sampling, seed: int) -> list[Sample]:
        """See `Sampler.sample`."""
        own, others = kept_samples(self.path), self._others()
        sizes = [self.policy.prompt_size(prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=sizes.__getitem__)
        drawn: dict[int, Sample] = {}
        for start in range(0, len(order), parameters.batch):
            part = order[start : start + parameters.batch]
            asked = [prompts[i] for i in part]
            key = self._key(asked, parameters, seed, start)
            known = own.get(key) or others.get(key)
            if known is None:
                samples = self.inner.sample(asked, parameters, _batch_seed(seed, start))
            else:
                samples = msgspec.json.decode(known, type=list[Sample])
            if key not in own:
                self._keep(key, samples)
            drawn.update(zip(part, samples, strict=True))
            if self.progress:
                self.progress(len(drawn), len(prompts), "sample")
        return [drawn[i] for i in range(len(prompts))]

    def _key(self, prompts: Sequence[Prompt], parameters: Sampling, seed: int, start: int) -> str:
        asked = msgspec.json.encode([self.key, prompts, parameters, seed, start])
        return hashlib.sha256(asked).hexdigest()

    def _others(self) -> dict[str, msgspec.Raw]:
        files = set(self.path.parent.glob("samples-*.jsonl")) - {self.path}
        return {key: line for file in sorted(files) for key, line in kept_samples(file).items()}

    def _keep(self, key: str, samples: list[Sample]) -> None:
        whole = self.path.read_bytes() if self.path.exists() else b""
        with self.path.open("ab") as file:
            if whole and not whole.endswith(b"\n"):
                file.write(b"\n")
            file.write(msgspec.json.encode((key, samples)) + b"\n")


def _batch_seed(seed: int, start: int) -> int:
    """Within 63 bits, which is what torch takes."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{start}".encode()).digest()[:7])
