import json

import pytest

from ingestion.formats.raw import RawTurn
from ingestion.formats.utterances import READER
from ingestion.logs.lines import Line
from warehouse.records import ReasonCode, Reject


def _say(number, role, content, sat=False, dsat=False):
    return {
        "UtteranceId": number,
        "TurnId": number // 2 + 1,
        "Role": role,
        "Content": content,
        "Preceeding": "YES",
        "Satisfaction": sat,
        "Disatisfaction": dsat,
    }


LABELS = {
    "satisfied": ((True, False), 1),
    "satisfied, and no word of the other": ((True, None), 1),
    "dissatisfied": ((False, True), -1),
    "both": ((True, True), None),
    "neither": ((False, False), None),
    "no labels": ((None, None), None),
    "odd": (("yes", [1]), None),
}


@pytest.mark.parametrize("labels, thumb", LABELS.values(), ids=LABELS)
def test_a_label_speaks_of_the_answer_before_the_labelled_utterance(labels, thumb):
    record = [
        _say(0, "User", "hi", True, True),
        _say(1, "Agent", "hello", True, True),
        _say(2, "User", "ok", *labels),
        _say(3, "Agent", "bye", *labels),
        _say(4, "Agent", "bye again", *labels),
    ]
    assert READER.read(json.dumps(record).encode()).turns == [
        RawTurn("User", "hi"),
        RawTurn("assistant", "hello", thumb=thumb),
        RawTurn("User", "ok"),
        RawTurn("assistant", "bye"),
        RawTurn("assistant", "bye again"),
    ]


def _lines(*utterances):
    for index, one in enumerate(utterances):
        yield one if isinstance(one, Reject) else Line(index, json.dumps(one).encode())


REJECT = Reject(
    reason=ReasonCode.LINE_TOO_LONG,
    origin_file="f",
    origin_offset=2,
    length=9,
    digest="",
    detail="",
)
GROUPS = {
    "one conversation": ([(0, "a"), (1, "b"), (2, "c")], [(0, "abc")]),
    "the number starts over": ([(0, "a"), (1, "b"), (0, "c"), (1, "d")], [(0, "ab"), (2, "cd")]),
    "the number stays": ([(0, "a"), (0, "b")], [(0, "a"), (1, "b")]),
    "a gap": ([(0, "a"), (1, "b"), (5, "c")], [(0, "abc")]),
    "from its middle": ([(4, "a"), (5, "b"), (0, "c")], [(0, "ab"), (2, "c")]),
    "nothing": ([], []),
}


@pytest.mark.parametrize("said, groups", GROUPS.values(), ids=GROUPS)
def test_utterances_in_a_row_are_joined(said, groups):
    lines = list(READER.regroup(_lines(*(_say(number, "User", text) for number, text in said))))
    texts = ["".join(turn.content for turn in READER.read(line.data).turns) for line in lines]
    assert list(zip((line.offset for line in lines), texts, strict=True)) == groups


def test_what_is_no_utterance_stands_alone_and_ends_the_conversation():
    broken = {"UtteranceId": 3, "Role": "User"}
    said = [_say(0, "User", "a"), _say(1, "Agent", "b"), REJECT, _say(2, "User", "c"), broken]
    first, reject, second, last = READER.regroup(_lines(*said))
    assert [json.loads(line.data) for line in (first, second)] == [said[:2], said[3:4]]
    assert reject is REJECT
    assert last == Line(4, json.dumps(broken).encode())
    assert READER.read(last.data).detail == "Object missing required field `Content`"


def test_numbers_that_never_start_over_do_not_fill_the_memory():
    lines = list(READER.regroup(_lines(*(_say(i, "User", "") for i in range(4500)))))
    assert [line.offset for line in lines] == [0, 2000, 4000]
    ends = [_say(0, "User", "x" * (3 << 20))] * 3 + [_say(1, "Agent", "hi")]
    assert [line.offset for line in READER.regroup(_lines(*ends))] == [0, 1, 2]
    large = (_say(i, "User", "x" * (3 << 20)) for i in range(4))
    assert [line.offset for line in READER.regroup(_lines(*large))] == [0, 2]
