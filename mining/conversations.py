"""From a conversation to its follow-ups.

Messages that one speaker sends in a row are one message here: joined by a newline, known by the
id of the first. A follow-up is a user's message that has an assistant's answer before it and a
user's message before that; a greeting by the assistant answers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

import msgspec

from warehouse.records import Conversation, Message, Role, Turn

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
    context: tuple[Message, ...]  # every turn before the answer; the last is a user's
    used_tools: bool  # a tool spoke between the request and the answer
    flagged: bool  # by the log's moderation: any turn up to the follow-up, and that one
    cluster: str | None  # the near-duplicate conversations that it belongs to


def exchanges(conversation: Conversation) -> Iterator[Exchange]:
    """The follow-ups of one conversation, in order.

    Blank follow-ups say nothing: left out. So are those that an earlier record shows: they were
    judged there, and are context here.
    """
    asked: list[str] = []  # user messages so far
    context_end = 0  # turns up to and with the latest request
    answer: tuple[Turn, ...] = ()
    used_tools = False
    for role, run in _runs(conversation.turns):
        if role is Role.USER:
            text = _joined(run)
            if answer and asked and text.strip() and not run[0].carried:
                context = conversation.turns[:context_end]
                yield _exchange(
                    asked,
                    answer,
                    run,
                    context,
                    used_tools=used_tools,
                    cluster=conversation.cluster,
                )
            asked.append(text)
            context_end = run[-1].turn_index - conversation.turns[0].turn_index + 1
            answer, used_tools = (), False
        elif role is Role.ASSISTANT:
            answer = run
        elif role is Role.TOOL:
            used_tools = True


def _runs(turns: Sequence[Turn]) -> Iterator[tuple[Role, tuple[Turn, ...]]]:
    for role, run in groupby(turns, key=lambda turn: turn.role):
        yield role, tuple(run)


def _joined(run: Iterable[Turn]) -> str:
    return "\n".join(turn.content for turn in run)


def _latest(said: Iterable[T | None]) -> T | None:
    """The last of what an answer's messages were given, where any was."""
    return ([None] + [value for value in said if value is not None])[-1]


def _exchange(
    asked: Sequence[str],
    answer: Sequence[Turn],
    run: Sequence[Turn],
    context: Sequence[Turn],
    *,
    used_tools: bool,
    cluster: str | None,
) -> Exchange:
    return Exchange(
        follow_up=FollowUp(
            user=asked[-1],
            answer=_joined(answer),
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
            for turn in context
        ),
        used_tools=used_tools,
        flagged=any(turn.flagged for turn in (*context, *answer, *run)),
        cluster=cluster,
    )
