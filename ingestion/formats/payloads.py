"""What a traced call was given and what it gave back, as turns.

Tracing tools log whatever the program passed on: text, messages of any client library, objects
that hold them, or JSON text of any of these. Nothing here raises on bad input.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ingestion.formats.parts import first, is_result, message_text, plain, text_of
from ingestion.formats.raw import RawTurn
from ingestion.formats.reader import UNREADABLE, decode, identity
from ingestion.formats.scores import Feedback
from ingestion.normalize import clean_line

_ANYTHING = msgspec.json.Decoder()
# How deep messages may lie: JSON text, objects and lists each count one.
_DEPTH = 6
_SPEECH = ("content", "parts", "refusal", "tool_calls", "function_call")
# LangChain's types and classes of messages, and what else clients call a role.
_ROLES = {
    **dict.fromkeys(("human", "HumanMessage", "HumanMessageChunk"), "user"),
    **dict.fromkeys(("ai", "AIMessage", "AIMessageChunk", "model"), "assistant"),
    **dict.fromkeys(("SystemMessage", "SystemMessageChunk", "developer"), "system"),
    **dict.fromkeys(("ToolMessage", "FunctionMessage", "function"), "tool"),
    **{role: role for role in ("system", "user", "assistant", "tool")},
}


class _Side(msgspec.Struct, frozen=True):
    """Names of the fields in which one side of a call holds messages, or text alone."""

    messages: tuple[str, ...]
    text: tuple[str, ...]
    history: tuple[str, ...] = ()  # the messages before a text
    choices: tuple[str, ...] = ()  # lists, also of lists, of which the first counts


_GIVEN = _Side(
    messages=("messages", "message", "input", "inputs", "prompt", "contents"),
    text=("input", "question", "query", "prompt", "prompts", "text", "message", "user_input"),
    history=("chat_history", "history"),
)
_GIVEN_BACK = _Side(
    messages=("messages", "message", "output", "outputs", "response", "content"),
    text=("output", "answer", "response", "text", "result", "completion", "content", "message"),
    choices=("choices", "generations", "candidates"),
)


def unpacked(value: object) -> object:
    """What JSON text of an object or a list says; every other value as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return decode(_ANYTHING, clean_line(value.encode("utf-8", "replace")))
    except UNREADABLE:
        return value


def exchange(given: object, given_back: object) -> list[RawTurn]:
    """The turns of a call that was given messages; none where it was not."""
    asked = _messages(given, _GIVEN, _DEPTH)
    if not asked:
        return []
    answer = _answer(given_back) or [RawTurn("assistant", text) for text in _structure(given_back)]
    return _joined(asked, answer)


def spoken(given: object, given_back: object) -> list[RawTurn]:
    """The turns of a call that was given text alone, or an object with a question in it."""
    text = _text(unpacked(given), _GIVEN.text) or _text(given, _GIVEN.text)
    return [RawTurn("user", text), *_answer(given_back)] if text else []


def conversation_id(session: object, trace: object, turns: list[RawTurn]) -> str | int | None:
    """What a call's conversation is known by: its session once it goes on, else its trace.

    A call shows its whole conversation only where an answer stands before the last question.
    Without one it may be the first of its session or any: as turns of the session, two such
    calls would claim the same place, so each is a conversation of its own.
    """
    asked = _last_question(turns)
    goes_on = asked is not None and any(turn.role == "assistant" for turn in turns[:asked])
    return identity(session, trace) if goes_on else identity(trace, session)


def settle(
    turns: list[RawTurn], said: Feedback, *, model: object, asked_at: object, answered_at: object
) -> None:
    """Write down what a call says of its turns: who answers, when the last two were said, and
    what the user said of the last answer.
    """
    for turn in turns:
        if turn.role == "assistant":
            turn.model = model
    last = _last_question(turns)
    if last is not None and turns[last].timestamp is None:
        turns[last].timestamp = asked_at
    answer = turns[-1]
    if answer.role == "assistant":
        answer.timestamp = answered_at if answer.timestamp is None else answer.timestamp
        answer.thumb, answer.rating = said.thumb, said.rating


def _answer(given_back: object) -> list[RawTurn]:
    found = _messages(given_back, _GIVEN_BACK, _DEPTH)
    if found:
        return found
    text = _text(given_back, _GIVEN_BACK.text)
    return [RawTurn("assistant", text)] if text else []


def _structure(given_back: object) -> list[str]:
    """An answer that is data of the program's own shape."""
    return [plain(given_back)] if given_back and isinstance(given_back, dict | list) else []


def _joined(asked: list[RawTurn], answer: list[RawTurn]) -> list[RawTurn]:
    """The answer after what was asked, unless it holds that already, as a graph's state does."""
    last, again = _last_question(asked), _last_question(answer)
    if last is None or again is None:
        return asked + answer
    start = next(i for i, turn in enumerate(asked) if turn.role != "system")
    begin = again - (last - start)
    if begin < 0 or answer[begin : begin + len(asked) - start] != asked[start:]:
        return asked + answer
    return answer if answer[0].role == "system" else asked[:start] + answer


def _last_question(turns: list[RawTurn]) -> int | None:
    for index in range(len(turns) - 1, -1, -1):
        if turns[index].role == "user":
            return index
    return None


def _messages(payload: object, side: _Side, depth: int) -> list[RawTurn]:
    payload = unpacked(payload)
    if depth and isinstance(payload, dict):
        return _message(payload) or _held(payload, side, depth - 1)
    if not (depth and isinstance(payload, list)):
        return []
    if len(payload) == 1 and isinstance(payload[0], list) and (inner := payload[0]):
        return _message(inner) or _messages(inner, side, depth - 1)
    if pair := _message(payload):
        return pair
    found = [_message(item) for item in payload]
    return [] if None in found else [turn for turns in found for turn in turns or ()]


def _held(payload: dict[str, Any], side: _Side, depth: int) -> list[RawTurn]:
    """Messages in a field of an object, and what such objects keep beside them."""
    found: list[RawTurn] = _first_choice(payload, side, depth)
    for name in side.messages:
        found = found or _messages(payload.get(name), side, depth)
    for name in side.history:
        if not found and (before := _messages(payload.get(name), side, depth)):
            text = _text(payload, side.text)
            found = [*before, *([RawTurn("user", text)] if text else [])]
    system = text_of(first(payload, ("system", "instructions", "system_prompt")))
    if found and system and found[0].role != "system":
        return [RawTurn("system", system), *found]
    return found


def _first_choice(payload: dict[str, Any], side: _Side, depth: int) -> list[RawTurn]:
    choice = first(payload, side.choices)
    while isinstance(choice, list) and choice:
        choice = choice[0]
    if not isinstance(choice, dict):
        return []
    text = choice.get("text")
    said = [RawTurn("assistant", text)] if isinstance(text, str) and text else []
    return _messages(choice, side, depth) or said


def _message(item: object) -> list[RawTurn] | None:
    """The turns of one message; None for what is no message."""
    if isinstance(item, list):
        return _pair(item)
    if not isinstance(item, dict):
        return None
    match item.get("type"):
        case "function_call":
            return [RawTurn("assistant", text_of(item))]
        case "function_call_output":
            return [RawTurn("tool", text_of(item))]
        case "reasoning":
            return []
    fields = _fields(item)
    role = _role(item, fields)
    if role is None or not any(name in fields for name in _SPEECH):
        return None
    if role == "reasoning":
        return []
    moment = first(fields, ("timestamp", "created_at"))
    content = first(fields, ("content", "parts"))
    if role == "user" and isinstance(content, list) and any(map(is_result, content)):
        return _apart(content, moment)
    return [RawTurn(role, message_text(fields), timestamp=moment)]


def _pair(item: list[Any]) -> list[RawTurn] | None:
    """["user", "text"], as LangChain takes messages too."""
    match item:
        case [str(role), str(text)] if role in _ROLES:
            return [RawTurn(_ROLES[role], text)]
    return None


def _fields(item: dict[str, Any]) -> dict[str, Any]:
    """The fields of a message that LangChain dumped with its class, or with its type."""
    for wrapper in ("kwargs", "data"):
        inner = item.get(wrapper)
        if isinstance(inner, dict) and "role" not in item:
            return inner
    return item


def _role(item: dict[str, Any], fields: dict[str, Any]) -> str | None:
    role = fields.get("role")
    if isinstance(role, str) and role:
        return _ROLES.get(role, _ROLES.get(role.strip().lower(), role))
    path = item.get("id")
    names = [fields.get("type"), item.get("type"), *(path if isinstance(path, list) else ())[-1:]]
    return next((_ROLES[name] for name in names if isinstance(name, str) and name in _ROLES), None)


def _apart(content: list[Any], moment: object) -> list[RawTurn]:
    """A user's message that carries tools' results: they are no words of the user."""
    said = text_of([part for part in content if not is_result(part)])
    turns = [RawTurn("tool", text_of([part for part in content if is_result(part)]))]
    return [*turns, RawTurn("user", said, timestamp=moment)] if said else turns


def _text(payload: object, names: tuple[str, ...]) -> str:
    """Text, or the text in one of the named fields of an object; "" where there is none."""
    if isinstance(payload, dict):
        for name in names:
            value = payload.get(name)
            lone = value[0] if isinstance(value, list) and len(value) == 1 else value
            if isinstance(lone, str) and lone:
                return lone
        return ""
    return payload if isinstance(payload, str) else ""
