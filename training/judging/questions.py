"""What a judge is asked, and what its replies say. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec

from endpoint.outcome import Unanswered
from endpoint.prompt import Prompt, as_data, read_prompt
from training.judging.wildbench import Grade, reward
from warehouse.records import Message

_PROMPTS = Path(__file__).parent / "prompts"
# What is shown of each text, in characters from its beginning and its end: a question's cost is
# bounded whatever was pasted.
EARLIER = (600, 200)
EARLIER_MESSAGES = 6
REQUEST = (3000, 1000)
ANSWER = (4000, 2000)
POINT = (400, 100)  # of a checklist
POINTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two answers to one request. The preference is for `answer` over `other`."""

    context: tuple[Message, ...]  # the last is the request
    answer: str
    other: str
    checklist: tuple[str, ...] = ()  # what a good answer must meet, where anybody knows

    @property
    def is_tie(self) -> bool:
        """Both answers are the same: nobody needs to be asked."""
        return self.answer.strip() == self.other.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One answer to a request, to be rated."""

    context: tuple[Message, ...]
    answer: str
    checklist: tuple[str, ...] = ()


# The analysis that the prompts ask for helps the model to judge. It is no field of these, so that
# it is not stored: it may quote a user.
class Choice(msgspec.Struct, frozen=True):
    """A judge's reply to a comparison."""

    choice: Grade


class Mark(msgspec.Struct, frozen=True):
    """A judge's reply to a candidate."""

    score: Annotated[int, msgspec.Meta(ge=1, le=10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a judge chose in both orders: `answer` is A in the first, and B in the second."""

    first: Grade
    second: Grade

    @property
    def disagreed(self) -> bool:
        """Whether the orders name different winners; a tie and a winner do not."""
        return reward(self.first) * reward(self.second) > 0

    @property
    def preference(self) -> float:
        """For `answer`, in [0, 1]: 1 much better, 0.75 slightly, 0.5 a tie."""
        return 0.5 + self.reward() / 2

    def reward(
        self, chars: int = 0, other_chars: int = 0, *, length_margin: int | None = None
    ) -> float:
        """WildBench's of `answer`, from -1 to 1: the mean over both orders.

        0 where they name different winners, whatever the grades: then the place won.
        `chars`: of `answer`; `other_chars`, of the other.
        """
        if self.disagreed:
            return 0.0
        one = reward(self.first, chars, other_chars, length_margin=length_margin)
        other = reward(self.second, other_chars, chars, length_margin=length_margin)
        return (one - other) / 2


@cache
def compare_prompt() -> Prompt:
    """Five grades, in words."""
    return read_prompt(_PROMPTS / "compare_v1.toml")


@cache
def rate_prompt() -> Prompt:
    """A scale from 1 to 10, in words."""
    return read_prompt(_PROMPTS / "rate_v1.toml")


def both_orders(question: Comparison) -> tuple[str, str]:
    """The comparison as data, `answer` first and `other` first: models favour a place."""
    one, other = _cut(question.answer, ANSWER), _cut(question.other, ANSWER)
    shown = _shown(question.context, question.checklist)
    return (
        as_data({**shown, "answer_a": one, "answer_b": other}),
        as_data({**shown, "answer_a": other, "answer_b": one}),
    )


def rating(question: Candidate) -> str:
    """The candidate as data."""
    shown = _shown(question.context, question.checklist)
    return as_data({**shown, "answer": _cut(question.answer, ANSWER)})


def verdict(first: Choice | Unanswered, second: Choice | Unanswered) -> Verdict | Unanswered:
    """Of the replies to both orders. Unanswered where either is, for one alone favours a place."""
    if isinstance(first, Unanswered):
        return first
    if isinstance(second, Unanswered):
        return second
    return Verdict(first=first.choice, second=second.choice)


def _shown(context: tuple[Message, ...], checklist: tuple[str, ...]) -> dict[str, object]:
    *earlier, request = context
    return {
        "history": [
            {"role": str(m.role), "text": _cut(m.content, EARLIER)}
            for m in earlier[-EARLIER_MESSAGES:]
        ],
        "request": _cut(request.content, REQUEST),
        "checklist": [_cut(point, POINT) for point in checklist[:POINTS]],
    }


def _cut(text: str, kept: tuple[int, int]) -> str:
    head, tail = kept
    left_out = len(text) - head - tail
    if left_out <= 0:
        return text
    return f"{text[:head]}\n[... {left_out} characters left out ...]\n{text[-tail:]}"
