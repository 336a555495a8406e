"""How many different good answers a policy gives, and who finds which of them. Pure.

An answer is good from a reward of `threshold` on: on the scale of whatever scored it, and the same
for all that are compared. One whose reward is NaN is not good, and is counted.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

# Jaccard similarity of shingles from which two answers are nearly the same.
NEAR = 0.6
_SHINGLE = 2  # tokens
# Kana, Han and Hangul, which part no words or few: a character is a token.
_CHARACTERS = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_CHARACTERS}]|[^\s{_CHARACTERS}]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer and what it is worth."""

    text: str
    reward: float  # NaN: nobody could say


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Of answers to one or more prompts; counts add up over prompts."""

    prompts: int
    answers: int
    unscored: int
    good: int
    distinct: int  # good answers that differ in more than case, width, blanks and punctuation
    clusters: int  # good answers that are not nearly the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of what all methods together find one of them finds."""

    clusters: int  # of good answers that it has a part in
    alone: int  # of those, in which nobody else has
    union: int  # of all methods
    share: float  # clusters / union; NaN where nobody has a good answer


def diversity(
    prompts: Sequence[Sequence[Answer]], *, threshold: float, near: float = NEAR
) -> Diversity:
    """Count the different good answers to each prompt; prompts[i] are the samples for one."""
    good = [_good(answers, threshold) for answers in prompts]
    return Diversity(
        prompts=len(prompts),
        answers=sum(map(len, prompts)),
        unscored=sum(math.isnan(a.reward) for answers in prompts for a in answers),
        good=sum(map(len, good)),
        distinct=sum(len(set(map(normalized, texts))) for texts in good),
        clusters=sum(len(set(cluster(texts, near=near))) for texts in good),
    )


def coverage(
    methods: Mapping[str, Sequence[Sequence[Answer]]], *, threshold: float, near: float = NEAR
) -> dict[str, Coverage]:
    """Each method's share of the good answers that all of them find, near copies as one.

    methods[name][i] are that method's answers to the i-th prompt, as many each: whoever draws
    more finds more. Raises ValueError where the methods have different numbers of prompts.
    """
    found = dict.fromkeys(methods, 0)
    alone = dict.fromkeys(methods, 0)
    union = 0
    for of_prompt in zip(*methods.values(), strict=True):
        drawn = [
            (name, text)
            for name, answers in zip(methods, of_prompt, strict=True)
            for text in _good(answers, threshold)
        ]
        finders: dict[int, set[str]] = {}
        labels = cluster([text for _, text in drawn], near=near)
        for (name, _), label in zip(drawn, labels, strict=True):
            finders.setdefault(label, set()).add(name)
        union += len(finders)
        for names in finders.values():
            for name in names:
                found[name] += 1
                alone[name] += len(names) == 1
    return {
        name: Coverage(
            clusters=found[name],
            alone=alone[name],
            union=union,
            share=found[name] / union if union else math.nan,
        )
        for name in methods
    }


def normalized(text: str) -> str:
    """`text` without what does not tell answers apart: case, width, blanks, punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (" " if unicodedata.category(c)[0] in "PZC" else c for c in folded)
    return " ".join("".join(kept).split())


def cluster(texts: Sequence[str], *, near: float = NEAR) -> list[int]:
    """A label for each text: equal where a chain of near copies joins two of them.

    Near: the Jaccard similarity of their shingles is at least `near`, in (0, 1]. A label is the
    place of its cluster's first text.
    """
    shingles = [_shingles(normalized(text)) for text in texts]
    label = list(range(len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        if label[i] != label[j] and _jaccard(shingles[i], shingles[j]) >= near:
            low, high = sorted((label[i], label[j]))
            label = [low if at == high else at for at in label]
    return label


def _good(answers: Sequence[Answer], threshold: float) -> list[str]:
    return [answer.text for answer in answers if answer.reward >= threshold]


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Pairs of neighbouring tokens; a text with fewer tokens is its own."""
    tokens = _TOKEN.findall(text)
    last = max(len(tokens) - _SHINGLE, 0)
    return frozenset(tuple(tokens[i : i + _SHINGLE]) for i in range(last + 1))


def _jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    return len(one & other) / len(one | other)
