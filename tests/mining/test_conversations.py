import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.conversations import exchanges
from warehouse.records import Conversation, Role

# what is said -> (request, answer, follow-up, messages of context, tools) of each exchange
CASES = {
    "one follow-up": (["u q", "a r", "u f"], [("q", "r", "f", 1, False)]),
    "two follow-ups": (
        ["u q", "a r", "u f", "a s", "u g"],
        [("q", "r", "f", 1, False), ("f", "s", "g", 3, False)],
    ),
    "no answer yet": (["u q"], []),
    "nothing after the answer": (["u q", "a r"], []),
    "a greeting answers nothing": (["a hello", "u q", "a r", "u f"], [("q", "r", "f", 2, False)]),
    "messages in a row are one": (
        ["u q", "u and p", "a r", "a s", "u no", "u it is x"],
        [("q\nand p", "r\ns", "no\nit is x", 2, False)],
    ),
    "a system prompt is context": (
        ["s be brief", "u q", "a r", "u f"],
        [("q", "r", "f", 2, False)],
    ),
    "a tool spoke before the answer": (
        ["u q", "a calling", "t 42", "a r", "u f"],
        [("q", "r", "f", 1, True)],
    ),
    "a tool before the request is another's": (
        ["u q", "a x", "t 42", "a r", "u f", "a s", "u g"],
        [("q", "r", "f", 1, True), ("f", "s", "g", 5, False)],
    ),
    "a blank follow-up says nothing": (
        ["u q", "a r", "u  ", "a s", "u f"],
        [(" ", "s", "f", 3, False)],
    ),
    "a message from the system between": (
        ["u q", "a r", "s note", "u f"],
        [("q", "r", "f", 1, False)],
    ),
    "facts between request and answer": (
        ["u q", "s facts", "a r", "u f"],
        [("q", "r", "f", 1, True)],
    ),
    "an answer that a note splits": (
        ["u q", "a begins", "s note", "a ends", "u f"],
        [("q", "ends", "f", 1, True)],
    ),
    "a request that a note splits": (
        ["u q", "s note", "u p", "a r", "u f"],
        [("p", "r", "f", 3, False)],
    ),
    "a call and its result in the answer": (
        ["u q", "a Wait.\n[tool call] f({})\nfound\nr", "u f", "a s", "u g"],
        [("q", "Wait.\n[tool call] f({})\nfound\nr", "f", 1, True), ("f", "s", "g", 3, False)],
    ),
    "nothing but a call": (
        ["u q", "a [tool call] f()", "u f"],
        [("q", "[tool call] f()", "f", 1, True)],
    ),
    "a call in a message of its own": (
        ["u q", "a [tool call] f()", "a r", "u f"],
        [("q", "[tool call] f()\nr", "f", 1, True)],
    ),
    "words inside a line call nothing": (
        ["u q", "a It logs [tool call] f()", "u f"],
        [("q", "It logs [tool call] f()", "f", 1, False)],
    ),
    "empty": ([], []),
}


@pytest.mark.parametrize("said, expected", CASES.values(), ids=CASES)
def test_exchanges(conversation, said, expected):
    found = [
        (e.follow_up.user, e.follow_up.answer, e.follow_up.follow_up, len(e.context), e.used_tools)
        for e in exchanges(conversation(*said))
    ]
    assert found == expected


def test_an_exchange_knows_its_place(conversation):
    first, second = exchanges(conversation("u q", "a r", "a s", "u f", "a t", "u g"))
    assert (first.turn.turn_id, first.answer_turn.turn_id) == ("c1-3", "c1-1")
    assert second.follow_up.earlier == ("q",)
    assert [m.content for m in second.context] == ["q", "r", "s", "f"]
    assert second.context[-1].role is Role.USER


@pytest.mark.parametrize(
    "field, value",
    [("thumb", 1), ("thumb", -1), ("thumb", None), ("rating", 2.0), ("regenerated", True)],
)
def test_feedback_on_the_answer_is_kept(conversation, field, value):
    rated = conversation("u q", "a r", "u f", **{field: value})
    assert getattr(next(exchanges(rated)).follow_up, field) == value


@pytest.mark.parametrize("at", range(7))
def test_a_flag_on_any_turn_up_to_the_follow_up_counts(conversation, at):
    said = conversation("u q", "s facts", "a begins", "s note", "a ends", "u f", "a later")
    flagged = msgspec.structs.replace(said.turns[at], flagged=True)
    turns = (*said.turns[:at], flagged, *said.turns[at + 1 :])
    (found,) = exchanges(msgspec.structs.replace(said, turns=turns))
    assert found.flagged == (at < 6)


@pytest.mark.parametrize("at, edited", [(0, False), (1, True), (2, True), (3, False)])
def test_an_answer_is_edited_where_a_message_of_it_is(conversation, at, edited):
    said = conversation("u q", "a begins", "a ends", "u f")
    turns = tuple(msgspec.structs.replace(t, edited=t.turn_index == at) for t in said.turns)
    (found,) = exchanges(msgspec.structs.replace(said, turns=turns))
    assert found.edited == edited


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["u a", "a b", "s c", "t d", "u "]), max_size=12))
def test_a_context_ends_with_the_request(conversation, said):
    talk: Conversation = conversation(*said)
    for exchange in exchanges(talk):
        assert exchange.context[-1].role is Role.USER
        assert exchange.follow_up.user.endswith(exchange.context[-1].content)
        assert exchange.turn.turn_index > exchange.answer_turn.turn_index
