import gzip
import json

import pytest

from ingestion import normalize
from ingestion.formats.detect import READERS, detect
from ingestion.formats.raw import RawConversation, RawPair, RawTurn, Refused
from warehouse.records import ReasonCode, Role


def read(name, record):
    raw = READERS[name].read(json.dumps(record).encode())
    assert not isinstance(raw, Refused), raw
    return raw


def test_sharegpt_fields():
    messages = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "<p>hi</p>"},
        {"from": "gpt", "value": None},
        {"from": "bard", "value": "**hello**"},
    ]
    record = {"id": "abc_0", "model": "vicuna", "language": "en", "conversations": messages}
    raw = read("sharegpt", record)
    assert (raw.id, raw.user) == ("abc_0", None)
    assert [turn.content for turn in raw.turns] == ["Be brief.", "<p>hi</p>", "", "**hello**"]
    assert [normalize.role(turn.role) for turn in raw.turns] == [
        Role.SYSTEM,
        Role.USER,
        Role.ASSISTANT,
        Role.ASSISTANT,
    ]
    assert {(turn.model, turn.language) for turn in raw.turns} == {("vicuna", "en")}
    older = {"id": "abc_0", "model": "vicuna", "language": "en", "items": messages}
    assert read("sharegpt", older) == raw
    assert read("sharegpt", record | {"items": 7}) == raw


WILDCHAT_USER = {
    "content": "hi",
    "country": "France",
    "hashed_ip": "ip-1",
    "header": {"accept-language": "en", "user-agent": "x"},
    "language": "English",
    "redacted": False,
    "role": "user",
    "state": None,
    "timestamp": None,
    "toxic": False,
    "turn_identifier": 101002,
}
WILDCHAT_MODEL = {
    "content": "hello",
    "hashed_ip": None,
    "language": "French",
    "role": "assistant",
    "timestamp": "2023-04-09T00:02:51Z",
    "turn_identifier": 101003,
    # WildChat-4.8M:
    "created": 1680998571,
    "openai_id": "chatcmpl-4",
    "temperature": 1.0,
    "token_counter": 12,
    "usage": {"completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}},
}
WILDCHAT = {
    "conversation_hash": "cf1267ca",
    "model": "gpt-4-0314",
    "timestamp": "2023-04-09T00:02:53+00:00",
    "conversation": [WILDCHAT_USER, WILDCHAT_MODEL],
    "turn": 1,
    "language": "English",
    "openai_moderation": [
        {
            "categories": {"harassment/threatening": False, "harassment_threatening": None},
            "category_scores": {"self-harm": 0.1, "self_harm": None},
            "flagged": False,
        }
    ],
    "detoxify_moderation": [{"toxicity": 0.1}],
    "toxic": False,
    "redacted": False,
    "state": "Île-de-France",
    "country": "France",
    "hashed_ip": None,
    "header": {},
}


def test_wildchat_fields():
    turns = [
        RawTurn("user", "hi", "gpt-4-0314", "English", "2023-04-09T00:02:51Z", flagged=False),
        RawTurn("assistant", "hello", "gpt-4-0314", "French", "2023-04-09T00:02:51Z"),
    ]
    assert read("wildchat", WILDCHAT) == RawConversation("cf1267ca", "ip-1", turns, "France")
    moved = WILDCHAT | {"hashed_ip": "ip-2", "country": "Spain"}
    assert read("wildchat", moved) == RawConversation("cf1267ca", "ip-2", turns, "Spain")
    unknown = WILDCHAT | {"country": None}
    assert read("wildchat", unknown) == RawConversation("cf1267ca", "ip-1", turns, "France")


# The row's time, and those of its messages -> the times that are read.
WILDCHAT_TIMES = {
    "a question has that of its answer": (9, (None, 1, None, 2), [1, 1, 2, 2]),
    "one without an answer has the row's": (9, (None, 1, None), [1, 1, 9]),
    "its own comes first": (9, (5, 6), [5, 6]),
    "the first edition has the row's alone": (9, (None, None), [9, 9]),
    "no time": (None, (None, None), [None, None]),
}


@pytest.mark.parametrize("of_row, own, times", WILDCHAT_TIMES.values(), ids=WILDCHAT_TIMES)
def test_wildchat_times(of_row, own, times):
    messages = (WILDCHAT_USER, WILDCHAT_MODEL, WILDCHAT_USER, WILDCHAT_MODEL)
    said = [m | {"timestamp": at} for m, at in zip(messages, own, strict=False)]
    raw = read("wildchat", WILDCHAT | {"timestamp": of_row, "conversation": said})
    assert [turn.timestamp for turn in raw.turns] == times


def test_wildchat_first_edition_has_another_id():
    first = WILDCHAT | {"conversation_id": "x"}
    del first["conversation_hash"]
    assert read("wildchat", first).id == "x"


def test_wildchat_moderation_of_any_shape_is_passed_over():
    odd = {"openai_moderation": "?", "detoxify_moderation": 1, "toxic": None, "redacted": "no"}
    assert read("wildchat", WILDCHAT | odd) == read("wildchat", WILDCHAT)


FLAGGED = {
    "no moderation": ({}, [False, None]),
    "one verdict a message": ([{"flagged": False}, {"flagged": True}], [False, True]),
    "fewer verdicts, one flagged": ([{"flagged": True}], [False, True]),
    "fewer verdicts, none flagged": ([{"flagged": False}], [False, None]),
    "odd verdicts": ([{"flagged": "yes"}, 7], [False, None]),
}


@pytest.mark.parametrize("moderation, flagged", FLAGGED.values(), ids=FLAGGED)
def test_wildchat_moderation_is_of_messages(moderation, flagged):
    """What a message itself says, `toxic`, counts before it."""
    record = WILDCHAT | {"openai_moderation": moderation}
    assert [turn.flagged for turn in read("wildchat", record).turns] == flagged


def test_lmsys_moderation_is_of_messages():
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "no"}]
    record = {"conversation_id": "c", "conversation": said}
    flagged = record | {"openai_moderation": [{"flagged": False}, {"flagged": True}]}
    assert [turn.flagged for turn in read("lmsys", flagged).turns] == [False, True]


def test_lmsys_fields():
    record = {
        "conversation_id": "33f0",
        "model": "vicuna-13b",
        "conversation": [
            {"content": "hi", "role": "user"},
            {"content": None, "role": "assistant"},
        ],
        "turn": 1,
        "language": "English",
        "openai_moderation": [{"flagged": False}],
        "redacted": True,
    }
    turns = [RawTurn(role, text, "vicuna-13b", "English") for role, text in
             (("user", "hi"), ("assistant", ""))]  # fmt: skip
    assert read("lmsys", record) == RawConversation("33f0", None, turns)


def test_wildfeedback_pair():
    record = {
        "conversations": [
            {"from": "human", "value": "hi"},
            {"from": "gpt", "value": "hello"},
            {"from": "human", "value": "in French"},
        ],
        "chosen": {"from": "gpt", "value": "bonjour"},
        "rejected": {"from": "gpt", "value": "hola"},
    }
    prompt = [RawTurn("human", "hi"), RawTurn("gpt", "hello"), RawTurn("human", "in French")]
    assert read("wildfeedback", record) == RawPair(None, prompt, "bonjour", "hola")
    assert read("wildfeedback", record | {"id": 3}).id == 3


def _ultrafeedback(**fields):
    question = {"content": "hi", "role": "user"}
    return {
        "prompt": "hi",
        "prompt_id": "f0e3",
        "chosen": [question, {"content": "hello", "role": "assistant"}],
        "rejected": [question, {"content": "what", "role": "assistant"}],
        "messages": [question, {"content": "hello", "role": "assistant"}],
        "score_chosen": 8.5,
        "score_rejected": 4.0,
        **fields,
    }


def test_ultrafeedback_pair():
    pair = RawPair("f0e3", [RawTurn("user", "hi")], "hello", "what")
    assert read("ultrafeedback", _ultrafeedback()) == pair


NO_PAIRS = {
    "no answer": ("ultrafeedback", {"chosen": [{"role": "user", "content": "hi"}]}, "no answer"),
    "nothing": ("ultrafeedback", {"rejected": []}, "no answer or no prompt"),
    "another prompt": (
        "ultrafeedback",
        {"rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        "different prompts",
    ),
    "ends with a question": (
        "ultrafeedback",
        {"chosen": [{"role": "user", "content": "hi"}, {"role": "user", "content": "hey"}]},
        "ends with no answer",
    ),
    "no prompt": (
        "wildfeedback",
        {"conversations": [], "chosen": {"value": "a"}, "rejected": {"value": "b"}},
        "`conversations` is empty",
    ),
}


@pytest.mark.parametrize("name, fields, detail", NO_PAIRS.values(), ids=NO_PAIRS)
def test_what_makes_no_pair_is_refused(name, fields, detail):
    refused = READERS[name].read(json.dumps(_ultrafeedback(**fields)).encode())
    assert refused.reason is ReasonCode.WRONG_SHAPE
    assert detail in refused.detail


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "file, name, conversations, messages",
    [
        ("recllmsim-rated-chats.jsonl.gz", "openai", 758, 6957),
        ("hh-rlhf-multiturn.sharegpt.jsonl.gz", "sharegpt", 822, 5124),
    ],
)
def test_real_logs(shared_data, file, name, conversations, messages):
    lines = gzip.decompress((shared_data / file).read_bytes()).splitlines()
    reader = detect(lines[:50])
    assert reader is READERS[name]
    raws = [reader.read(line) for line in lines]
    assert len(raws) == conversations
    assert all(isinstance(raw, RawConversation) and raw.id for raw in raws)
    assert sum(len(raw.turns) for raw in raws) == messages
