"""From a conversation to its follow-ups.

Messages that one speaker sends in a row are one message here: joined by a newline, known by the
id of the first. A follow-up is a user's message that has an assistant's answer before it and a
user's message before that; a greeting by the assistant answers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

import msgspec

from warehouse.records import Conversation, Message, Role, Turn
from warehouse.satisfied import TOOL_CALL

T = TypeVar("T")


class FollowUp(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a detector may read: texts as logged and the explicit feedback on the answer.

    Texts hold no lone surrogates: ingestion and JSON both see to it.
    """

    user: str  # the request that was answered
    answer: str
    follow_up: str
    earlier: tuple[str, ...] = ()  # user messages before `user`, oldest first
    language: str | None = None  # ISO 639-1, of the follow-up, where the log says
    thumb: int | None = None  # 1 or -1
    rating: float | None = None  # on the scale of its source
    regenerated: bool | None = None  # the user asked for another answer by a button


class Exchange(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A follow-up and where it stands in its conversation."""

    follow_up: FollowUp
    turn: Turn  # the first message of the follow-up
    answer_turn: Turn  # the first message of the answer
    context: tuple[Message, ...]  # every turn up to the request, a user's
    # The model may have seen what the context lacks: a turn between request and answer, a tool's
    # turn up to the follow-up, or a call that stands in the answer.
    used_tools: bool
    edited: bool  # the user rewrote a message of the answer by hand
    flagged: bool  # by the log's moderation: any turn up to the follow-up, and that one
    cluster: str | None  # the near-duplicate conversations that it belongs to


class _Places(NamedTuple):
    """Where the parts of an exchange lie among the turns of its conversation."""

    asked: int  # turns up to and with the request
    answer: range
    said: range


def exchanges(conversation: Conversation) -> Iterator[Exchange]:
    """The follow-ups of one conversation, in order.

    Blank follow-ups say nothing: left out. So are those that an earlier record shows: they were
    judged there, and are context here.
    """
    turns = conversation.turns
    asked: list[str] = []  # user messages so far
    asked_end = 0  # turns up to and with the latest request
    answer = range(0)
    for role, run in _runs(turns):
        if role is Role.USER:
            text = _joined(turns[run.start : run.stop])
            if answer and asked and text.strip() and not turns[run.start].carried:
                yield _exchange(conversation, asked, _Places(asked_end, answer, run))
            asked.append(text)
            asked_end, answer = run.stop, range(0)
        elif role is Role.ASSISTANT:
            answer = run


def _runs(turns: Sequence[Turn]) -> Iterator[tuple[Role, range]]:
    """Who speaks, and the places of the turns in a row."""
    end = 0
    for role, run in groupby(turns, key=lambda turn: turn.role):
        start, end = end, end + len(tuple(run))
        yield role, range(start, end)


def _joined(run: Iterable[Turn]) -> str:
    return "\n".join(turn.content for turn in run)


def _latest(said: Iterable[T | None]) -> T | None:
    """The last of what an answer's messages were given, where any was."""
    return ([None] + [value for value in said if value is not None])[-1]


def _exchange(conversation: Conversation, asked: Sequence[str], at: _Places) -> Exchange:
    turns = conversation.turns
    answer, run = (turns[part.start : part.stop] for part in (at.answer, at.said))
    text = _joined(answer)
    return Exchange(
        follow_up=FollowUp(
            user=asked[-1],
            answer=text,
            follow_up=_joined(run),
            earlier=tuple(asked[:-1]),
            language=run[0].language,
            thumb=_latest(turn.thumb for turn in answer),
            rating=_latest(turn.rating for turn in answer),
            regenerated=_latest(turn.regenerated for turn in answer),
        ),
        turn=run[0],
        answer_turn=answer[0],
        context=tuple(
            Message(role=turn.role, content=turn.content, prompt_hash=turn.prompt_hash)
            for turn in turns[: at.asked]
        ),
        used_tools=at.answer.start > at.asked
        or any(turn.role is Role.TOOL for turn in turns[at.asked : at.said.start])
        or _calls_a_tool(text),
        edited=any(turn.edited for turn in answer),
        flagged=any(turn.flagged for turn in turns[: at.said.stop]),
        cluster=conversation.cluster,
    )


def _calls_a_tool(answer: str) -> bool:
    return f"\n{TOOL_CALL}" in f"\n{answer}"
