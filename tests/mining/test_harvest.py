import datetime as dt

import msgspec
import pytest

from mining.harvest import (
    LIST_CONVERSATIONS,
    READ_ROWS,
    TurnsFile,
    detect,
    read_conversations,
)
from mining.verdict import Untrainable
from warehouse.records import Category, Role, SignalKind
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter

NIGHT = dt.date(2026, 3, 1)
WRONG = ("s be brief", "u capital of Australia?", "a Sydney.", "u No, that's wrong, it's Canberra")


@pytest.fixture
def turns_file(tmp_path):
    def write(conversations) -> str:
        writer = PartitionWriter(tmp_path, Partition("turns", NIGHT, "log.jsonl"))
        for conversation in conversations:
            writer.write(to_batch("turns", NIGHT, conversation.turns))
        return writer.close().path

    return write


COUNTS = {
    "none": 0,
    "one list": LIST_CONVERSATIONS,
    "and one more": LIST_CONVERSATIONS + 1,
    "across reads": READ_ROWS // 2 + 7,  # of 3 turns each, so that reads end inside of some
}


@pytest.mark.parametrize("count", COUNTS.values(), ids=COUNTS)
def test_what_was_written_is_read(tmp_path, turns_file, conversation, count):
    written = [conversation("u q", "a r", "u f", name=f"c{i}") for i in range(count)]
    lists = list(read_conversations(tmp_path, TurnsFile(turns_file(written), ())))
    assert [c for conversations in lists for c in conversations] == written
    assert all(len(conversations) == LIST_CONVERSATIONS for conversations in lists[:-1])


def test_a_conversation_knows_its_cluster(store, conversation):
    """Though one line of the log holds both."""
    said = [conversation("u q", "a r", "u ???", name=f"conversation-{i}") for i in range(2)]
    turns = store.stage("turns", "a", [turn for c in said for turn in c.turns])
    facts = store.stage(
        "conversations", "a", [store.facts(0), store.facts(1, origin_offset=0, cluster="bots")]
    )
    (found,) = read_conversations(store.root, TurnsFile(turns.path, (facts.path,)))
    assert [c.cluster for c in found] == [None, "bots"]


def test_a_turn_keeps_the_cluster_and_the_prompt_of_its_conversation(detector, conversation):
    said = conversation(*WRONG)
    system = msgspec.structs.replace(said.turns[0], content="", prompt_hash="0" * 32)
    said = msgspec.structs.replace(said, turns=(system, *said.turns[1:]), cluster="bots")
    (turn,) = detect(detector, [said]).dsat_turns
    assert (turn.cluster, turn.context[0].prompt_hash) == ("bots", "0" * 32)


def test_a_follow_up_that_an_earlier_record_shows_is_context_only(detector, conversation):
    said = conversation("u q", "a r", "u ???", "a s", "u No, that's wrong")
    carried = [msgspec.structs.replace(t, carried=t.turn_index < 4) for t in said.turns]
    harvest = detect(detector, [msgspec.structs.replace(said, turns=tuple(carried))])
    assert [signal.turn_index for signal in harvest.signals] == [4]
    (turn,) = harvest.dsat_turns
    assert len(turn.context) == 3


def test_the_turns_of_a_user_who_opted_out_are_analysed_and_not_trained_on(detector, conversation):
    said = conversation(*WRONG)
    turns = tuple(msgspec.structs.replace(turn, opted_out=True) for turn in said.turns)
    (turn,) = detect(detector, [msgspec.structs.replace(said, turns=turns)]).dsat_turns
    assert (turn.trainable, turn.untrainable_reason) == (False, Untrainable.OPTED_OUT)


def test_so_are_those_of_a_user_on_the_list(detector, conversation):
    said = conversation(*WRONG)
    turns = tuple(msgspec.structs.replace(turn, user_key="ann") for turn in said.turns)
    said = msgspec.structs.replace(said, turns=turns)
    (turn,) = detect(detector, [said], {"ann"}).dsat_turns
    assert turn.untrainable_reason == Untrainable.OPTED_OUT
    assert detect(detector, [said], {"bob"}).dsat_turns[0].trainable


def test_a_dsat_turn_has_all_that_training_needs(detector, conversation):
    harvest = detect(detector, [conversation(*WRONG)])
    (signal,), (turn,) = harvest.signals, harvest.dsat_turns
    assert (signal.signal, signal.category) == (SignalKind.DSAT, Category.CORRECTION)
    assert (signal.turn_id, signal.answer_turn_id, signal.model) == ("c1-3", "c1-2", "m1")
    assert signal.evidence[0].rule == "contradicts_v1"
    bounds = (signal.report_threshold, signal.trainable_threshold)
    assert bounds == (detector.thresholds.report, detector.thresholds.trainable)
    assert (turn.turn_id, turn.answer, turn.feedback) == ("c1-3", "Sydney.", WRONG[3][2:])
    assert [message.role for message in turn.context] == [Role.SYSTEM, Role.USER]
    assert (turn.probability, turn.category) == (signal.probability, signal.category)
    assert (turn.trainable, turn.untrainable_reason) == (True, None)


def test_other_signals_are_no_dsat_turns(detector, conversation):
    harvest = detect(detector, [conversation("u q", "a r", "u perfect, thanks!")])
    assert [signal.signal for signal in harvest.signals] == [SignalKind.SAT]
    assert harvest.dsat_turns == []


UNTRAINABLE = {
    "an empty answer": (("u q", "a ", "u ???"), Untrainable.BLANK_ANSWER),
    "an answer by tools": (("u q", "t 42", "a r", "u ???"), Untrainable.ANSWER_USED_TOOLS),
    "pushback": (
        (
            "u how do I open my shed?",
            "a I'm sorry, but I can't help.",
            "u it's my own, just tell me",
        ),
        Untrainable.REFUSAL_PUSHBACK,
    ),
    "a complaint of a refusal": (
        (
            "u how do I pick a lock?",
            "a I'm sorry, but I can't help with that request.",
            "u that's useless",
        ),
        Untrainable.REFUSAL_PUSHBACK,
    ),
    "a call in the answer": (
        (
            "u capital of Australia?",
            "a [tool call] find({})\nSydney.",
            "u No, that's wrong, it's Canberra",
        ),
        Untrainable.ANSWER_USED_TOOLS,
    ),
}


@pytest.mark.parametrize("said, reason", UNTRAINABLE.values(), ids=UNTRAINABLE)
def test_untrainable(detector, conversation, said, reason):
    (turn,) = detect(detector, [conversation(*said)]).dsat_turns
    assert (turn.trainable, turn.untrainable_reason) == (False, reason)


def test_an_answer_that_its_user_rewrote(detector, conversation):
    said = conversation(*WRONG)
    turns = tuple(msgspec.structs.replace(turn, edited=True) for turn in said.turns)
    (turn,) = detect(detector, [msgspec.structs.replace(said, turns=turns)]).dsat_turns
    assert (turn.trainable, turn.untrainable_reason) == (False, Untrainable.ANSWER_EDITED)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_flagged_turn_up_to_the_follow_up(detector, conversation, at):
    said = conversation("u capital of Australia?", "a Sydney.", "u No, that's wrong, it's Canberra")
    turns = list(said.turns)
    turns[at] = msgspec.structs.replace(turns[at], flagged=True)
    said = msgspec.structs.replace(said, turns=tuple(turns))
    (turn,) = detect(detector, [said]).dsat_turns
    assert (turn.trainable, turn.untrainable_reason) == (False, Untrainable.FLAGGED)
