"""A day of the product: the log that it writes, and the truth beside it."""

from collections import Counter

import pytest

from driftmine.sandbox.oracle import truth_of
from driftmine.sandbox.product import HOSTILE_TALKS, MOST_ANSWERS, SERVED, known_by
from driftmine.sandbox.tasks import held_out
from driftmine.sandbox.truth import faults
from ingestion.formats.detect import detect
from ingestion.formats.openai import READER
from tests.driftmine.sandbox.product_day import day, records


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return day(tmp_path_factory.mktemp("day"), hostile=0.1)


@pytest.fixture(scope="module")
def logged(served):
    """conversation id -> record, as the log has it."""
    return {row["conversation_id"]: row for row in records(served[2])}


def test_the_same_day_is_the_same_to_the_byte(tmp_path):
    for name in ("a", "b"):
        day(tmp_path / name, n=25, hostile=0.2)
    for part in ("logs", "truth"):
        a, b = ((tmp_path / name / part / "day.jsonl").read_bytes() for name in ("a", "b"))
        assert a == b and a


def test_another_seed_is_another_day(tmp_path):
    first, other = (day(tmp_path / str(seed), n=25, seed=seed)[2] for seed in (1, 2))
    assert first.read_bytes() != other.read_bytes()


def test_ingestion_knows_the_format_and_reads_the_same_turns(served, logged):
    lines = served[2].read_bytes().splitlines()
    assert detect(lines[:5]) is READER
    assert len(lines) == len(logged)
    for line in lines:
        raw = READER.read(line)
        row = logged[raw.id]
        assert raw.user == row["user"]
        assert [(turn.role, turn.content) for turn in raw.turns] == [
            (message["role"], message["content"]) for message in row["messages"]
        ]
        assert {turn.model for turn in raw.turns if turn.role == "assistant"} == {"model-7"}
        assert {turn.language for turn in raw.turns} == {row["language"]}
        assert {turn.timestamp for turn in raw.turns} == {"2026-01-01T12:00:00Z"}


def test_users_and_policy_speak_in_turn(logged):
    for row in logged.values():
        roles = [message["role"] for message in row["messages"]]
        assert roles == (["user", "assistant"] * len(roles))[: len(roles)]
        assert 1 <= roles.count("assistant") <= MOST_ANSWERS


def test_there_is_one_row_of_truth_for_every_answer(served, logged):
    answers = {
        (name, index)
        for name, row in logged.items()
        for index, message in enumerate(row["messages"])
        if message["role"] == "assistant"
    }
    rows = [(one.conversation_id, one.turn_index) for one in served[1]]
    assert {*rows} == answers and len(rows) == len(answers)


def test_the_truth_speaks_of_the_answer_that_it_stands_for(served, logged):
    for one in served[1]:
        messages = logged[one.conversation_id]["messages"]
        texts = [message["content"] for message in messages]
        at = one.turn_index
        assert {*one.faults} == faults(one.task, texts[at])
        assert one.prompt == known_by(*texts[:at])
        assert one.replied == (at + 1 < len(texts))
        assert one.exchange == (known_by(*texts[at - 1 : at + 2]) if one.replied else None)
        assert one.task.language == logged[one.conversation_id]["language"]


def test_truth_is_read_back_as_it_was_written(served):
    assert truth_of(served[3]) == served[1]
    assert truth_of(served[3], served[3]) == served[1] * 2


def test_the_log_says_nothing_of_the_truth(logged):
    assert {frozenset(row) for row in logged.values()} == {
        frozenset(("conversation_id", "user", "model", "language", "created_at", "messages"))
    }


def test_users_ask_nothing_that_is_held_out(served):
    assert not any(held_out(one.task) for one in served[1])


def test_hostile_users_ask_the_same_over_and_over(tmp_path):
    _, seen, log, _ = day(tmp_path, n=6, hostile=1.0)
    rows = records(log)
    assert {*Counter(row["user"] for row in rows).values()} == {HOSTILE_TALKS}
    first = {}
    for one in seen:
        first.setdefault(one.conversation_id, one.task)
    user_of = {row["conversation_id"]: row["user"] for row in rows}
    assert len({(user_of[name], task.request) for name, task in first.items()}) == 6
    assert all(one.hostile and one.dissatisfied == (not one.faults) for one in seen)


def test_other_users_have_one_to_three_conversations(tmp_path):
    _, seen, log, _ = day(tmp_path)
    counts = Counter(row["user"] for row in records(log))
    assert {*counts.values()} == {1, 2, 3} and len(counts) == 60
    assert not any(one.hostile for one in seen)


def test_the_policy_is_served_as_it_is_and_with_another_chance_at_each_step(served):
    calls = served[0].calls
    assert [parameters for _, parameters, _ in calls] == [SERVED] * len(calls)
    assert [seed for _, _, seed in calls] == [100 + step for step in range(MOST_ANSWERS)]


def test_ids_tell_the_night(logged):
    assert {name[:9] for name in logged} == {"20260101-"}
