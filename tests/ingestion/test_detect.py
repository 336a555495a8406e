import re
from itertools import permutations
from pathlib import Path

import pytest

from ingestion.formats.detect import READERS, detect, named
from warehouse.errors import SettingsError

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
SECTIONS = re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S)
EXAMPLES = {
    name: re.findall(r"^```json\n(.*?)\n```", section, re.M | re.S)[0].encode().splitlines()
    for name, section in SECTIONS
}

OPENAI = b'{"messages": [{"role": "user", "content": "hi"}]}'
SHAREGPT = b'{"conversations": [{"from": "human", "value": "hi"}]}'
WILDCHAT = b'{"conversation": [{"role": "user", "content": "hi"}], "conversation_hash": "1"}'
LMSYS = b'{"conversation": [{"role": "user", "content": "hi"}], "conversation_id": "1"}'
PAIR = (
    b'{"conversations": [{"from": "human"}], "chosen": {"value": "a"}, "rejected": {"value": ""}}'
)
OF_WILDCHAT = ("timestamp", "toxic", "detoxify_moderation", "conversation_hash")
HALF_PAIR = b'{"conversations": [{"from": "human", "value": "hi"}], "chosen": {"value": "a"}}'
UTTERANCE = b'{"UtteranceId": 7, "Role": "Agent", "Content": "hi"}'

HEADS = {
    "openai": ([OPENAI], "openai"),
    "a request log": ([b'{"request": {"messages": []}}'], "openai"),
    "sharegpt": ([SHAREGPT], "sharegpt"),
    "an older dump": ([b'{"items": [{"from": "human", "value": "hi"}]}'], "sharegpt"),
    "wildchat": ([WILDCHAT], "wildchat"),
    "lmsys": ([LMSYS], "lmsys"),
    **{
        f"wildchat's first edition, by its {field}": (
            [LMSYS[:-1] + f', "{field}": null}}'.encode()],
            "wildchat",
        )
        for field in OF_WILDCHAT
    },
    "an utterance, of the middle of a conversation": ([UTTERANCE], "utterances"),
    "a pair is no dialogue": ([PAIR], "wildfeedback"),
    "pairs, some of them damaged": ([HALF_PAIR, PAIR, PAIR], "wildfeedback"),
    "some broken lines": ([b"{", OPENAI, b"\xff", OPENAI], "openai"),
    "mostly broken lines": ([b"{", b"{", OPENAI], "openai"),
    "the most frequent": ([OPENAI, SHAREGPT, SHAREGPT], "sharegpt"),
    "no user turns, but the shape": ([b'{"messages": []}'], "openai"),
    "a tie: the more specific": ([OPENAI, SHAREGPT], "sharegpt"),
    "nobody's shape": ([b'{"text": "hi"}'], None),
    "nested too deeply": ([b"[" * 100_000], None),
    "nothing": ([], None),
}


@pytest.mark.parametrize("head, name", HEADS.values(), ids=HEADS)
def test_detect(head, name):
    reader = detect(head)
    assert (reader.name if reader else None) == name


@pytest.mark.parametrize("one, other", list(permutations(EXAMPLES, 2)))
def test_of_two_formats_the_more_frequent_one_is_told(one, other):
    few, many = EXAMPLES[other] * 2, EXAMPLES[one] * 2
    while len(many) <= len(few):
        many = many + EXAMPLES[one]
    assert detect(few + many).name == detect(many + few).name == one


def test_named():
    assert named("sharegpt").name == "sharegpt"
    assert all(named(name).name == name for name in READERS)


def test_an_unknown_name_is_refused_with_the_known_ones():
    known = ", ".join(READERS)
    with pytest.raises(
        SettingsError, match=rf"'opena1'; did you mean 'openai'\? Known: auto, {known}"
    ):
        named("opena1")
    with pytest.raises(SettingsError, match=rf"'xml'\. Known: auto, {known}\."):
        named("xml")
