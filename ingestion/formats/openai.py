"""Chat Completions messages: {"messages": [{"role", "content"}]}, and what logs add to them.

Logs of requests are read too: {"request": {"messages"}, "response": {"choices"}}, also where
either lies at the top of the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ingestion import normalize
from ingestion.formats.parts import message_text, text_of
from ingestion.formats.payloads import unpacked
from ingestion.formats.raw import RawConversation, RawTurn, Refused
from ingestion.formats.reader import UNREADABLE, Reader, decode, identity
from warehouse.records import ReasonCode, Role

_FEEDBACK = ("thumb", "rating", "regenerated", "edited")
_OF_METADATA = (
    "conversation_id",
    "session_id",
    "user_id",
    "model",
    "language",
    "country",
    "opt_out",
)


class Message(msgspec.Struct, gc=False):
    """One message. `content` is text, parts, or null beside tool calls."""

    role: str
    content: str | list[Any] | dict[str, Any] | None = None
    refusal: Any = None  # what the model said instead of content
    audio: Any = None  # {"transcript"}: the model spoke instead
    tool_calls: Any = None
    function_call: Any = None
    model: Any = None
    language: Any = None
    timestamp: Any = None
    created_at: Any = None
    thumb: Any = None
    rating: Any = None
    regenerated: Any = None
    edited: Any = None
    flagged: Any = None
    feedback: Any = None


class Record(msgspec.Struct, gc=False):
    """One record, or the request of one."""

    messages: list[Message] | None = None
    id: Any = None
    conversation_id: Any = None
    session_id: Any = None
    user: Any = None
    user_id: Any = None
    model: Any = None
    language: Any = None
    country: Any = None
    opt_out: Any = None
    timestamp: Any = None
    created: Any = None
    created_at: Any = None
    metadata: Any = None
    feedback: Any = None  # on the last answer
    request: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()


class Answer(Message, kw_only=True, gc=False):
    """A message that need not say who wrote it."""

    role: str = "assistant"


class Choice(msgspec.Struct, gc=False):
    """One of the answers that a response offers."""

    message: Answer | None = None


class Response(Answer, kw_only=True, gc=False):
    """What a request was answered with: choices, or a message by itself."""

    choices: list[Choice] | None = None
    id: Any = None
    created: Any = None


_REQUEST = msgspec.json.Decoder(Record)
_RESPONSE = msgspec.json.Decoder(Response | str | None)
_CHOICES = msgspec.json.Decoder(list[Choice] | None)


def extract(record: Record) -> RawConversation | Refused:
    """What the warehouse keeps of a record; a message's own fields come before the record's."""
    if record.messages is None and record.request:
        _add_request(record)
    if record.messages is None:
        return Refused(ReasonCode.WRONG_SHAPE, "Object missing required field `messages`")
    if type(record.metadata) is dict:
        _add(record, record.metadata, _OF_METADATA)
    model, language = record.model, record.language
    moment = record.timestamp or record.created_at or record.created
    turns = [_turn(message, model, language, moment) for message in record.messages]
    called = bool(record.response or record.choices)
    if called:
        _add_answer(turns, record, moment)
    # On a call that failed: there is nothing to judge, least of all the answer before.
    if record.feedback is not None and not (called and not _answered(turns)):
        _judge_last_answer(turns, record.feedback)
    return RawConversation(
        # A log with one record a request has an `id` of each, and one conversation_id.
        id=identity(record.conversation_id, record.session_id, record.id),
        user=identity(record.user, record.user_id),
        turns=turns,
        country=record.country,
        opted_out=record.opt_out,
    )


def _add_request(record: Record) -> None:
    request = msgspec.structs.asdict(decode(_REQUEST, record.request))
    _add(record, request, Record.__struct_fields__)


def _add(record: Record, said: dict[str, Any], names: Sequence[str]) -> None:
    """What the record itself says comes first."""
    for name in names:
        if getattr(record, name) in (None, ""):
            setattr(record, name, said.get(name))


def _add_answer(turns: list[RawTurn], record: Record, moment: Any) -> None:
    response = _response(record)
    if response is None:
        return
    choices = response.choices or ()
    answer = next((choice.message for choice in choices if choice.message), response)
    turn = _turn(
        answer, response.model or record.model, record.language, response.created or moment
    )
    # Some logs have the answer among the messages as well.
    if turn.content and not (
        _answered(turns) and turn.content.strip() == turns[-1].content.strip()
    ):
        turns.append(turn)
    record.id = record.id or response.id


def _answered(turns: Sequence[RawTurn]) -> bool:
    return bool(turns) and normalize.role(turns[-1].role) is Role.ASSISTANT


def _response(record: Record) -> Response | None:
    try:
        response: Response | str | None = None
        if record.response:
            response = decode(_RESPONSE, record.response)
        if response is None and record.choices:
            response = Response(choices=decode(_CHOICES, record.choices))
        return _unpacked(response) if isinstance(response, str) else response
    except UNREADABLE:
        return None


def _unpacked(text: str) -> Response:
    """A response that was logged as JSON text, or as the text of its answer."""
    said = Response(content=text)
    fields = unpacked(text)
    if not isinstance(fields, dict):
        return said
    try:
        response = msgspec.convert(fields, Response)
    except msgspec.ValidationError:
        return said
    # An answer may be JSON itself, of any fields.
    offered = any(choice.message for choice in response.choices or ())
    return response if offered or fields.get("role") == "assistant" else said


def _turn(message: Message, model: Any, language: Any, moment: Any) -> RawTurn:
    content = message.content
    if type(content) is not str or message.tool_calls or message.function_call:
        content = _text(message)
    turn = RawTurn(
        role=message.role,
        content=content,
        model=message.model or model,
        language=message.language or language,
        timestamp=message.timestamp or message.created_at or moment,
        thumb=message.thumb,
        rating=message.rating,
        regenerated=message.regenerated,
        edited=message.edited,
        flagged=message.flagged,
    )
    if message.feedback is not None:
        _judge(turn, message.feedback)
    return turn


def _judge(turn: RawTurn, feedback: Any) -> None:
    """Feedback is {"thumb", "rating", "regenerated", "edited"}, or a thumb by itself."""
    said = feedback if type(feedback) is dict else {"thumb": feedback}
    for name in _FEEDBACK:
        if getattr(turn, name) is None:
            setattr(turn, name, said.get(name))


def _judge_last_answer(turns: list[RawTurn], feedback: Any) -> None:
    for turn in reversed(turns):
        if normalize.role(turn.role) is Role.ASSISTANT:
            _judge(turn, feedback)
            return


def _text(message: Message) -> str:
    text = message_text(msgspec.structs.asdict(message))
    if not text and isinstance(message.audio, dict):
        return text_of(message.audio.get("transcript"))
    return text


READER = Reader("openai", Record, extract)
