import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.formats.parts import message_text, text_of

CONTENTS = {
    "text": ("hi", "hi"),
    "nothing": (None, ""),
    "a number": (7, ""),
    "parts of Chat Completions": (
        [{"type": "text", "text": "Who?"}, {"type": "image_url", "image_url": {"url": "x"}}],
        "Who?\n[image]",
    ),
    "parts of Responses": (
        [{"type": "input_text", "text": "a"}, {"type": "input_file", "file_id": "f"}],
        "a\n[file]",
    ),
    "sound and film": (
        [{"type": "input_audio", "input_audio": {"data": "AA"}}, {"type": "video", "url": "x"}],
        "[audio]\n[video]",
    ),
    "parts of Anthropic": (
        [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "t", "name": "find", "input": {"q": "K2"}},
        ],
        'Let me look.\n[tool call] find({"q":"K2"})',
    ),
    "parts of Gemini": ([{"text": "a"}, {"text": "b"}], "a\nb"),
    "parts of OpenTelemetry": (
        [
            {"type": "reasoning", "content": "hm"},
            {"type": "text", "content": "a"},
            {"type": "tool_call", "id": "1", "name": "find", "arguments": {"q": "é"}},
        ],
        'a\n[tool call] find({"q":"é"})',
    ),
    "inline data says what it is": (
        [{"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AA=="}],
        "[image]",
    ),
    "a reference to a document": ([{"type": "uri", "modality": "document", "uri": "x"}], "[file]"),
    "data of unknown kind": ([{"type": "file", "modality": ["x"], "file_id": "f"}], "[file]"),
    "a result that is text": ([{"type": "tool_call_response", "response": "18 °C"}], "18 °C"),
    "a result that is data": (
        [{"type": "tool_call_response", "response": {"celsius": 18}}],
        '{"celsius":18}',
    ),
    "a result in parts": (
        [{"type": "tool_result", "content": [{"type": "text", "text": "18 °C"}]}],
        "18 °C",
    ),
    "a call with its arguments as text": (
        [{"type": "function_call", "name": "find", "arguments": '{"q": 1}'}],
        '[tool call] find({"q": 1})',
    ),
    "a call without arguments": ([{"type": "tool_call", "name": "now"}], "[tool call] now()"),
    "a call without a name": ([{"type": "tool_call", "name": 3}], "[tool call] ()"),
    "text among parts": (["a", {"type": "text", "text": "b"}], "a\nb"),
    "one part": ({"type": "text", "text": "a"}, "a"),
    "a refusal": ([{"type": "refusal", "refusal": "I cannot."}], "I cannot."),
    "an unknown part with text": ([{"type": "novel", "text": "a"}], "a"),
    "an unknown part without": ([{"type": "novel", "data": "AA"}], ""),
    "odd parts": ([None, 3, [], {}, {"type": 3}, {"type": ["text"], "text": "a"}], "a"),
    "no parts": ([], ""),
}


@pytest.mark.parametrize("content, text", CONTENTS.values(), ids=CONTENTS)
def test_content(content, text):
    assert text_of(content) == text


MESSAGES = {
    "content": ({"content": "a"}, "a"),
    "parts in place of content": ({"parts": [{"text": "a"}]}, "a"),
    "a refusal in place of content": ({"content": None, "refusal": "No."}, "No."),
    "calls beside content": (
        {"content": "Wait.", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        "Wait.\n[tool call] f({})",
    ),
    "calls beside nothing": (
        {"content": None, "tool_calls": [{"name": "f", "args": {"a": 1}}, {"name": "g"}]},
        '[tool call] f({"a":1})\n[tool call] g()',
    ),
    "the old call": (
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        "[tool call] f({})",
    ),
    "the provider's calls": (
        {"content": "", "tool_calls": [], "additional_kwargs": {"tool_calls": [{"name": "f"}]}},
        "[tool call] f()",
    ),
    "calls in content and beside it are the same": (
        {
            "content": [{"type": "tool_use", "name": "f", "input": {}}],
            "tool_calls": [{"name": "f"}],
        },
        "[tool call] f({})",
    ),
    "odd calls": ({"content": "a", "tool_calls": ["x", None, 3], "function_call": 7}, "a"),
    "calls that are no list": ({"content": "a", "tool_calls": 3}, "a"),
}


@pytest.mark.parametrize("message, text", MESSAGES.values(), ids=MESSAGES)
def test_message(message, text):
    assert message_text(message) == text


_NAMES = ("type", "text", "content", "parts", "tool_calls", "function", "name", "arguments")
_TYPES = ("text", "tool_call", "tool_result", "image", "reasoning")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(_TYPES),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(VALUES)
def test_every_value_has_a_text(value):
    assert isinstance(text_of(value), str)
    if isinstance(value, dict):
        assert isinstance(message_text(value), str)


def test_deep_results_and_lone_surrogates_do_no_harm():
    deep = json.loads("[" * 900 + "]" * 900)
    assert isinstance(text_of([{"type": "tool_result", "content": deep}]), str)
    assert text_of([{"type": "tool_call", "name": "f", "arguments": {"a": "\ud800"}}]) == (
        "[tool call] f()"
    )
