"""What every sampler promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from training.prompts import Prompt

Progress = Callable[[int, int, str], None]  # done, total, what


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the policy ended it
    LENGTH = "length"  # max_new_tokens ended it, or nobody knows what
    REFUSED = "refused"  # none came whole: whoever serves the policy withheld it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How answers are drawn."""

    temperature: float  # 0 takes the likeliest token each time
    top_p: float
    max_new_tokens: int
    max_prompt_tokens: int  # longer prompts are cut from the left
    batch: int  # prompts at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer drawn from a policy."""

    text: str
    prompt: tuple[int, ...]  # token ids that the policy saw
    tokens: tuple[int, ...]  # token ids of the answer, with the one that ended it
    finish_reason: FinishReason
    prompt_cut: bool  # the prompt was longer than max_prompt_tokens
    # Nats, of all `tokens` together, by the policy itself: at temperature 1 and top_p 1, however
    # they were drawn. None where the sampler does not know it.
    logp: float | None = None


class Sampler(Protocol):
    """Draws one answer a prompt."""

    def sample(self, prompts: Sequence[Prompt], parameters: Sampling, seed: int) -> list[Sample]:
        """One sample a prompt, in the prompts' order; the same seed draws the same.

        Raises TrainingFailed where a single prompt does not fit into memory.
        """
        ...
