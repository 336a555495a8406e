"""The methods: what is drawn from the policy, and which answer is chosen and which rejected. Pure.

drift    chosen: drawn from the current policy; rejected: the real answer that dissatisfied
         (DRIFT, arXiv 2510.02341). Guided, the policy sees that answer and the user's feedback.
iterdpo  chosen and rejected: the best and the worst of several drawn answers, as a scorer ranks
         them (iterative DPO, arXiv 2312.16682).
spin     chosen: a real answer that its user was satisfied with; rejected: drawn (SPIN,
         arXiv 2401.01335).
seed     both real: an answer that dissatisfied and the one that the user then accepted. Nothing is
         drawn: DRIFT's warm start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol

from training.examples import Example
from training.pairs import GUIDANCE, Filtered, near_copy, objection
from training.prompts import Prompt
from training.refusals import refuses
from training.samplers.base import Sample
from warehouse.records import Message, PreferencePair, Role


class Method(Protocol):
    """A way to make a preference pair of an example."""

    @property
    def name(self) -> str:
        """As settings and reports call it."""

    @property
    def draws(self) -> int:
        """Answers that are drawn for an example."""

    @property
    def ranks(self) -> bool:
        """Whether a scorer is asked about them."""

    @property
    def told(self) -> bool:
        """Whether they are drawn with the user's feedback in view."""

    def asks(self, example: Example) -> Prompt:
        """What they are drawn from."""

    def objection(self, example: Example, sample: Sample) -> Filtered | None:
        """Why a drawn answer is of no use, so that another is drawn; None where it is."""

    def pair(
        self, example: Example, samples: Sequence[Sample], scores: Sequence[float]
    ) -> PreferencePair | Filtered:
        """The pair, of the drawn answers without objection; `scores` where the method ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An example, and the method that makes a pair of it."""

    example: Example
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """See the module."""

    guided: bool
    keep_cut_off: bool
    name: str = "drift"
    draws: int = 1
    ranks: bool = False

    @property
    def told(self) -> bool:
        """Where it is guided."""
        return self.guided

    def asks(self, example: Example) -> Prompt:
        """Context, rejected answer, feedback and the instruction to answer again; or context."""
        return guided_prompt(example) if self.guided else example.prompt

    def objection(self, example: Example, sample: Sample) -> Filtered | None:
        """It must differ from the rejected answer, and not refuse."""
        if refuses(sample.text):
            return Filtered.REFUSED
        return objection(sample, example.rejected, keep_cut_off=self.keep_cut_off)

    def pair(
        self, example: Example, samples: Sequence[Sample], scores: Sequence[float]
    ) -> PreferencePair | Filtered:
        """The drawn answer over the real one."""
        assert example.rejected is not None, "DRIFT trains on answers that dissatisfied"
        return _pair(example, samples[0].text, example.rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class IterDpo:
    """See the module."""

    draws: int  # two or more
    keep_cut_off: bool
    name: str = "iterdpo"
    ranks: bool = True
    told: bool = False

    def asks(self, example: Example) -> Prompt:
        """The context."""
        return example.prompt

    def objection(self, example: Example, sample: Sample) -> Filtered | None:
        """There is no real answer to compare it with. Where all refuse there is none to choose."""
        return objection(sample, None, keep_cut_off=self.keep_cut_off)

    def pair(
        self, example: Example, samples: Sequence[Sample], scores: Sequence[float]
    ) -> PreferencePair | Filtered:
        """The best over the worst of those that the scorer has a word on."""
        known = [
            (score, sample.text)
            for score, sample in zip(scores, samples, strict=True)
            if not math.isnan(score)
        ]
        if len(known) < 2:
            return Filtered.UNSCORED
        # By the score alone: of two marks alike the text must not decide.
        by_score = itemgetter(0)
        (best, chosen), (worst, rejected) = max(known, key=by_score), min(known, key=by_score)
        if refuses(chosen):
            return Filtered.REFUSED
        if best == worst:
            return Filtered.TIED
        if near_copy(chosen.strip(), rejected.strip()):
            return Filtered.NEAR_COPY
        return _pair(example, chosen, rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spin:
    """See the module."""

    keep_cut_off: bool
    name: str = "spin"
    draws: int = 1
    ranks: bool = False
    told: bool = False

    def asks(self, example: Example) -> Prompt:
        """The context."""
        return example.prompt

    def objection(self, example: Example, sample: Sample) -> Filtered | None:
        """It must differ from the accepted answer."""
        return objection(sample, example.accepted, keep_cut_off=self.keep_cut_off)

    def pair(
        self, example: Example, samples: Sequence[Sample], scores: Sequence[float]
    ) -> PreferencePair | Filtered:
        """The real answer over the drawn one."""
        assert example.accepted is not None, "SPIN trains on answers that satisfied"
        return _pair(example, example.accepted, samples[0].text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """See the module."""

    name: str = "seed"
    draws: int = 0
    ranks: bool = False
    told: bool = False

    def asks(self, example: Example) -> Prompt:
        """Nothing is drawn from it; it must render all the same."""
        return example.prompt

    def objection(self, example: Example, sample: Sample) -> Filtered | None:
        """Nothing is drawn."""
        return None

    def pair(
        self, example: Example, samples: Sequence[Sample], scores: Sequence[float]
    ) -> PreferencePair | Filtered:
        """The accepted answer over the one before it."""
        assert example.accepted is not None and example.rejected is not None
        chosen, rejected = example.accepted.strip(), example.rejected.strip()
        if not chosen:
            return Filtered.EMPTY
        if chosen == rejected:
            return Filtered.IDENTICAL
        return _pair(example, chosen, rejected)


def guided_prompt(example: Example) -> Prompt:
    """Context, rejected answer, feedback and the instruction to answer again.

    Feedback and instruction share one message, because many templates want roles to alternate.
    """
    assert example.rejected is not None and example.feedback is not None
    return (
        *example.prompt,
        Message(role=Role.ASSISTANT, content=example.rejected),
        Message(role=Role.USER, content=f"{example.feedback}\n\n{GUIDANCE}"),
    )


def _pair(example: Example, chosen: str, rejected: str) -> PreferencePair:
    """Both as a template would show them, or they would differ by what stands around them."""
    return PreferencePair(
        turn_id=example.turn_id,
        prompt=example.prompt,
        chosen=chosen.strip(),
        rejected=rejected.strip(),
    )
