"""The text of a message, whose content may be parts: text, tool calls, attachments.

Knows the parts of Chat Completions, Responses, Anthropic Messages, LangChain, Gemini and the
GenAI conventions of OpenTelemetry. Nothing here raises on bad input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_CALLS = frozenset(
    ("tool_call", "tool_use", "function_call", "server_tool_call", "server_tool_use")
)
_RESULTS = frozenset(
    ("tool_call_response", "tool_result", "function_call_output")
    + ("server_tool_call_response", "server_tool_result")
)
# What a model says to itself is no part of its answer.
_SILENT = frozenset(("reasoning", "thinking", "redacted_thinking"))
_ATTACHMENTS = {
    **dict.fromkeys(("image", "image_url", "input_image"), "[image]"),
    **dict.fromkeys(("audio", "audio_url", "input_audio"), "[audio]"),
    **dict.fromkeys(("video", "video_url", "input_video"), "[video]"),
    **dict.fromkeys(("file", "input_file", "document", "blob", "uri", "file_data"), "[file]"),
}
# Where the parts, arguments and results of one kind or another lie, by the name of the field.
_TEXT = ("text", "content", "refusal")
_ARGUMENTS = ("arguments", "args", "input", "server_tool_call")
_RESULT = ("response", "result", "output", "content", "server_tool_call_response")


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message, with the tool calls that stand in it or beside it.

    Content, or else what the model said in refusing; `parts` where there is no content.
    """
    content = first(message, ("content", "parts", "refusal"))
    lines = [text_of(content)]
    if not (isinstance(content, list) and any(map(_is_call, content))):
        lines.extend(map(_call, _calls_beside(message)))
    return "\n".join(line for line in lines if line)


def text_of(content: object) -> str:
    """Content as logs have it (text, one part, a list of parts) as one text, a line a part."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text for part in content if (text := _part(part)))
    return _part(content)


def is_result(part: object) -> bool:
    """Whether a part is what a tool gave back."""
    return isinstance(part, dict) and _kind(part) in _RESULTS


def first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the named fields that is there and says something, else None."""
    for name in names:
        value = fields.get(name)
        if value is not None and value != "":
            return value
    return None


def plain(value: object) -> str:
    """Text as it is, and everything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (RecursionError, UnicodeEncodeError):
        return ""


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    kind = _kind(part)
    if kind in _SILENT:
        return ""
    if kind in _CALLS:
        return _call(part)
    if kind in _RESULTS:
        return _result(first(part, _RESULT))
    if kind in _ATTACHMENTS:
        modality = part.get("modality")
        named = _ATTACHMENTS.get(modality) if isinstance(modality, str) else None
        return named or _ATTACHMENTS[kind]
    text = first(part, _TEXT)
    return text if isinstance(text, str) else ""


def _kind(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _is_call(part: object) -> bool:
    return isinstance(part, dict) and _kind(part) in _CALLS


def _calls_beside(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Calls in fields of their own; LangChain keeps the provider's in `additional_kwargs`."""
    beside = message.get("additional_kwargs")
    for owner in (message, beside if isinstance(beside, dict) else {}):
        calls = owner.get("tool_calls") or owner.get("function_call")
        found = [call for call in _listed(calls) if isinstance(call, dict)]
        if found:
            return found
    return []


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _call(call: Mapping[str, Any]) -> str:
    """Chat Completions has name and arguments in `function`, everyone else beside the type."""
    inner = call.get("function")
    fields = inner if isinstance(inner, dict) else call
    name = fields.get("name")
    arguments = first(fields, _ARGUMENTS)
    shown = "" if arguments is None else plain(arguments)
    return f"[tool call] {name if isinstance(name, str) else ''}({shown})"


def _result(value: object) -> str:
    """A result's own text; only text of its parts, so that nothing nests."""
    if isinstance(value, list):
        texts = [first(part, _TEXT) if isinstance(part, dict) else part for part in value]
        found = [text for text in texts if isinstance(text, str)]
        if found:
            return "\n".join(found)
    return "" if value is None else plain(value)
