"""Preference pairs, and why a drawn answer makes none. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum

from training.samplers.base import FinishReason, Sample
from warehouse.records import PreferencePair

GUIDANCE_VERSION = "guided_v1"
GUIDANCE = (
    "Please answer my earlier request again. Use what I have just said about your last answer: "
    "mend what was wrong with it and keep what was right. Give only the new answer, complete in "
    "itself, without apologies and without mentioning the earlier one."
)
# Share of matching characters from which two answers teach nothing that tells them apart.
NEAR_COPY_RATIO = 0.9


class Filtered(StrEnum):
    """Why an example made no pair. Stable: reports are built on it."""

    EMPTY = "empty"
    IDENTICAL = "identical"  # to the logged answer
    NEAR_COPY = "near_copy"  # of the other answer
    REFUSED = "refused"  # the policy refused to answer, or its server withheld the answer
    OFF_REQUEST = "off_request"  # answers what the user said next, and not the request
    CUT_OFF = "cut_off"  # reached max_new_tokens before its end
    UNRENDERABLE = "unrenderable"  # never drawn: the chat template refuses the conversation
    UNSCORED = "unscored"  # the scorer had a word on fewer than two answers
    TIED = "tied"  # the scorer finds none better than another


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """The pairs of one batch, and what became of the other examples."""

    pairs: tuple[PreferencePair, ...]
    filtered: dict[str, int]  # `Filtered` reason -> examples
    cut_off: int = 0  # pairs of which a drawn answer reached max_new_tokens
    by_method: dict[str, int] = field(default_factory=dict)  # pairs


def collect(made: list[tuple[str, PreferencePair | Filtered]], *, cut_off: int) -> PairSet:
    """Sort what came of the examples, each with its method, into pairs and reasons."""
    pairs = [(name, one) for name, one in made if isinstance(one, PreferencePair)]
    return PairSet(
        pairs=tuple(pair for _, pair in pairs),
        filtered=dict(Counter(one.value for _, one in made if isinstance(one, Filtered))),
        cut_off=cut_off,
        by_method=dict(Counter(name for name, _ in pairs)),
    )


def objection(sample: Sample, other: str | None, *, keep_cut_off: bool) -> Filtered | None:
    """Why `sample` makes no pair with `other`, a logged answer if there is one; None: it does."""
    if sample.finish_reason is FinishReason.REFUSED:
        return Filtered.REFUSED
    drawn = sample.text.strip()
    if not drawn:
        return Filtered.EMPTY
    if other is not None:
        if drawn == other.strip():
            return Filtered.IDENTICAL
        if near_copy(drawn, other.strip()):
            return Filtered.NEAR_COPY
    if sample.finish_reason is FinishReason.LENGTH and not keep_cut_off:
        return Filtered.CUT_OFF
    return None


def near_copy(one: str, other: str) -> bool:
    """Whether two answers share nearly all of their characters, in order."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    # Upper bounds first: the exact ratio is quadratic, and few samples come near.
    bounds = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)
    return all(bound() > NEAR_COPY_RATIO for bound in bounds)
