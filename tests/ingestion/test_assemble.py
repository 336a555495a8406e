import datetime as dt

import msgspec
import pytest

from ingestion.assemble import Assembler, Assembly, Origin, Suppressed
from ingestion.formats.raw import RawConversation, RawPair, RawTurn, Refused
from ingestion.hashes import user_key
from ingestion.logs.lines import Line
from ingestion.redact.options import RedactionOptions
from warehouse.records import Message, ReasonCode, Redaction, Reject, Role

LINE = Line(0, b'{"any": "line"}')
SECRET = b"a secret"


def _raw(*texts: str, conversation_id="c1", user="ann", roles=("user", "assistant"), **fields):
    turns = [RawTurn(role=roles[i % len(roles)], content=text) for i, text in enumerate(texts)]
    return RawConversation(id=conversation_id, user=user, turns=turns, **fields)


@pytest.fixture
def assemble(assembler, origin):
    def run(raw, line=LINE, origin=origin):
        return assembler.assemble(raw, line, origin)

    return run


@pytest.fixture
def told(origin):
    """What an assembler makes that was told of users."""

    def run(raw, **assembly):
        made = Assembler(Assembly(secret=SECRET, redaction=RedactionOptions(), **assembly))
        return made.assemble(raw, LINE, origin)

    return run


def test_ids_depend_on_source_conversation_and_index_alone(assemble, origin):
    first = [turn.turn_id for turn in assemble(_raw("a", "b")).turns]
    moved = Origin(file="/logs/b.jsonl", source=origin.source)
    again = assemble(_raw("x", "y"), Line(99, b"another line"), moved).turns
    assert first == [turn.turn_id for turn in again]
    others = [
        assemble(_raw("a", "b", conversation_id="c2")).turns,
        assemble(_raw("a", "b"), origin=Origin(file=origin.file, source="other")).turns,
    ]
    ids = [*first, *(turn.turn_id for turns in others for turn in turns)]
    assert len(set(ids)) == 6
    assert {len(turn_id) for turn_id in ids} == {32}


def test_ids_are_frozen(assemble):
    """A changed hash would make every turn of a re-run another turn."""
    (turn,) = assemble(_raw("a")).turns
    assert turn.turn_id == "7597198c591e200a59f386dba901cc62"
    assert turn.chain == 16611871517466878882
    assert turn.user_key == "72407a3754a12ed8be474f568aca5778"


def test_a_record_without_an_id_is_known_by_what_it_says(assemble):
    """However it is written: as a line, in an array, in Parquet."""
    for missing in (None, ""):
        found = assemble(_raw("a", conversation_id=missing)).facts.conversation_id
        assert found.startswith("sha-")
        assert len(found) == 36
    again = assemble(_raw("a", conversation_id=None), Line(0, LINE.data + b" ")).facts
    assert again.conversation_id == found
    for raw in (_raw("b", conversation_id=None), _raw("a", conversation_id=None, user="bob")):
        assert assemble(raw).facts.conversation_id != found
    later = _raw("a", conversation_id=None)
    later.turns[0].timestamp = "2026-03-01T10:00:00Z"
    assert assemble(later).facts.conversation_id != found


def test_the_id_zero_is_an_id(assemble):
    assert assemble(_raw("a", conversation_id=0)).facts.conversation_id == "0"


REACHABLE = {
    "an address": ("ann@example.com", True),
    "an address in a URL": ("jo%40example.com", True),
    "an address with a list": ("jo+lists@example.com", True),
    "an account of a messenger": ("12025550143@s.whatsapp.net", True),
    "a phone number": ("+49 30 901820", True),
    "a phone number of a messenger": ("whatsapp:+14155552671", True),
    "a phone number as a link": ("tel:+41446681800", True),
    "a phone number as it is dialled": ("0041446681800", True),
    "a link to one as it is dialled": ("tel:0041446681800", True),
    "a phone number behind a word": ("user_+1 415 555 2671", True),
    "a phone number in a URL": ("user%2B14155552671", True),
    "a number": ("4111111111111111", False),
    "an address that is none": ("chat@home", False),
    "a number with zeros": ("0000000001", False),
    "base64": ("q+8Kx/12+a==", False),
    "a percent sign": ("50%25", False),
    "a UUID": ("00412345-e29b-41d4-a716-446655440000", False),
}


@pytest.mark.parametrize("given, hidden", REACHABLE.values(), ids=REACHABLE)
def test_an_id_by_which_somebody_is_reached_is_hashed(given, hidden, assemble):
    found = assemble(_raw("a", conversation_id=given)).facts.conversation_id
    assert found == (f"key-{user_key(given, SECRET)}" if hidden else given)


def test_ids_of_one_night_only_have_it_before_them(told):
    assembled = told(_raw("a"), id_prefix="2026-03-01/")
    assert assembled.facts.conversation_id == "2026-03-01/c1"


def test_chains_are_equal_as_far_as_conversations_are(assemble):
    long = [turn.chain for turn in assemble(_raw("a", "b", "c")).turns]
    short = [turn.chain for turn in assemble(_raw("a", "b", conversation_id="c2")).turns]
    assert long[:2] == short
    assert long[2] not in short
    assert [turn.chain for turn in assemble(_raw("b", "a")).turns][1] != short[1]
    swapped = assemble(_raw("a", "b", roles=("user", "user"))).turns
    assert swapped[1].chain != short[1]


def test_chains_are_of_what_was_said_and_not_of_how_it_is_redacted(assemble, origin):
    said = _raw("I am ann@example.com")
    kept = Assembler(Assembly(secret=SECRET, redaction=RedactionOptions(kinds=())))
    chain = assemble(said).facts.chain
    assert kept.assemble(said, LINE, origin).facts.chain == chain
    assert assemble(_raw("I am bob@example.com")).facts.chain != chain
    other = Assembler(Assembly(secret=b"another secret", redaction=RedactionOptions()))
    assert other.assemble(said, LINE, origin).facts.chain != chain


def test_a_system_prompt_that_changes_makes_no_other_conversation(assemble):
    roles = ("system", "user")
    said = [assemble(_raw(f"It is {hour} o'clock.", "hi", roles=roles)) for hour in (9, 10)]
    assert said[0].facts.chain == said[1].facts.chain
    assert said[0].turns[0].prompt_hash != said[1].turns[0].prompt_hash


@pytest.mark.parametrize("space", [" ", "\n", "\r\n\t", "\u00a0"], ids=ascii)
def test_space_around_a_text_makes_no_other_conversation(space, assemble):
    trimmed, untrimmed = assemble(_raw("a", "b")), assemble(_raw(f"{space}a", f"b{space}"))
    assert untrimmed.facts.chain == trimmed.facts.chain
    assert untrimmed.turns[1].content == f"b{space}", "it is stored as it was said"
    assert assemble(_raw("a", f"b{space}b")).facts.chain != trimmed.facts.chain


def test_the_users_id_is_never_kept(assemble):
    found = assemble(_raw("a", user="ann@example.org"))
    assert "ann@example.org" not in str(msgspec.to_builtins(found))
    assert found.turns[0].user_key == found.facts.user_key == user_key("ann@example.org", SECRET)
    assert found.facts.user_key != user_key("ann@example.org", b"another secret")
    assert len(found.facts.user_key) == 32


def test_a_number_and_its_digits_are_one_user():
    assert user_key(42, b"k") == user_key("42", b"k")


def test_no_user_is_no_key(assemble):
    for nobody in (None, ""):
        (turn,) = assemble(_raw("a", user=nobody)).turns
        assert turn.user_key is None


def test_any_order_of_turns_is_kept(assemble, origin):
    roles = ["system", "user", "user", "assistant", "tool", "assistant", "user"]
    turns = assemble(_raw(*"abcdefg", roles=roles), Line(5, b"{}")).turns
    assert [turn.role for turn in turns] == roles
    assert [turn.turn_index for turn in turns] == list(range(7))
    assert {(turn.origin_file, turn.origin_offset) for turn in turns} == {(origin.file, 5)}


REJECTED = {
    "refused by its reader": (
        Refused(ReasonCode.WRONG_SHAPE, "no messages"),
        ReasonCode.WRONG_SHAPE,
        "no messages",
    ),
    "an unknown role": (
        _raw("a", "b", roles=("user", "oracle")),
        ReasonCode.WRONG_SHAPE,
        "message 1 has an unknown role",
    ),
    "nobody asks": (
        _raw("a", roles=("assistant",)),
        ReasonCode.NO_USER_TURN,
        "1 messages, none by a user",
    ),
}


@pytest.mark.parametrize("raw, reason, detail", REJECTED.values(), ids=REJECTED)
def test_what_is_no_conversation_is_rejected(raw, reason, detail, assemble, origin):
    found = assemble(raw, Line(7, b"abc"))
    assert isinstance(found, Reject)
    assert (found.reason, found.detail) == (reason, detail)
    assert (found.origin_file, found.origin_offset, found.length) == (origin.file, 7, 3)


def test_what_is_personal_is_taken_out_and_counted(assemble):
    said = assemble(_raw("I am ann@example.com", "Hello ann@example.com", "or bob@example.com"))
    texts = [turn.content for turn in said.turns]
    assert texts == ["I am [EMAIL_1]", "Hello [EMAIL_1]", "or [EMAIL_2]"]
    assert said.facts.redactions == (Redaction("EMAIL", 3),)


def test_kinds_that_are_switched_off_stay(origin):
    kept = Assembler(Assembly(secret=SECRET, redaction=RedactionOptions(kinds=())))
    (turn,) = kept.assemble(_raw("I am ann@example.com"), LINE, origin).turns
    assert turn.content == "I am ann@example.com"


def test_a_system_prompt_is_kept_apart_and_redacted(assemble):
    roles = ("system", "user", "system")
    said = assemble(_raw("Ask ann@example.com.", "hi", "", roles=roles))
    first, _, empty = said.turns
    (prompt,) = said.prompts
    assert (prompt.content, prompt.prompt_hash) == ("Ask [EMAIL_1].", first.prompt_hash)
    assert (first.content, empty.content, empty.prompt_hash) == ("", "", None)
    other = assemble(_raw("Be brief.", "hi", roles=roles)).prompts[0]
    assert other.prompt_hash != prompt.prompt_hash


def test_text_that_looks_the_same_is_the_same(assemble):
    """é as one character and as two."""
    assert assemble(_raw("caf\u00e9")).facts.chain == assemble(_raw("cafe\u0301")).facts.chain


def test_languages_are_found_where_the_log_does_not_say(assemble):
    texts = ("Wie hoch ist der höchste Berg der Welt?", "8.849 m.", "Merci beaucoup, c'est parfait")
    raw = _raw(*texts)
    raw.turns[1].language = "English"
    said = assemble(raw)
    assert [turn.language for turn in said.turns] == ["de", "en", "fr"]
    assert said.facts.language == "de"


def test_feedback_is_kept(assemble):
    raw = _raw("a", "b")
    raw.turns[1] = RawTurn(
        role="assistant", content="b", thumb="down", rating="2", regenerated="true", edited=1
    )
    turn = assemble(raw).turns[1]
    assert (turn.thumb, turn.rating, turn.regenerated, turn.edited) == (-1, 2.0, True, True)


def test_facts_say_when_it_was(assemble):
    raw = _raw("a", "b", "c")
    raw.turns[0].timestamp, raw.turns[1].timestamp = "2026-03-01T10:00:00Z", 1772359500
    facts = assemble(raw).facts
    assert facts.started_at == dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)
    assert facts.ended_at == dt.datetime(2026, 3, 1, 10, 5, tzinfo=dt.UTC)
    assert (facts.messages, assemble(_raw("a")).facts.ended_at) == (3, None)


def test_two_who_say_the_same_are_no_copies(assemble):
    later = _raw("hi")
    later.turns[0].timestamp = "2026-03-01T10:00:00Z"
    ann, copy = assemble(_raw("hi")).facts, assemble(_raw("hi", conversation_id="c2")).facts
    assert ann.content_hash == copy.content_hash
    assert ann.content_hash != assemble(_raw("hi", user="bob")).facts.content_hash
    assert ann.content_hash != assemble(later).facts.content_hash


COPIES = {
    "the same user": ({}, {}, True),
    "nobody knows whose": ({"user": None}, {"user": None}, False),
    "nobody knows whose, but long": (
        {"user": None, "text": "long " * 90},
        {"user": None, "text": "long " * 90},
        True,
    ),
    "of one user and of nobody": ({}, {"user": None}, False),
}


@pytest.mark.parametrize("one, other, same", COPIES.values(), ids=COPIES)
def test_what_is_a_copy_under_another_id(one, other, same, assemble):
    hashes = {
        assemble(_raw(f.pop("text", "hi"), conversation_id=i, **f)).facts.content_hash
        for i, f in enumerate([dict(one), dict(other)])
    }
    assert (len(hashes) == 1) is same


OPT_OUTS = {
    "nobody said": ({}, {}, False),
    "the log says": ({"opted_out": "yes"}, {}, True),
    "the log says, in a table with gaps": ({"opted_out": 1.0}, {}, True),
    "the log says no": ({"opted_out": 0}, {}, False),
    "the list says": ({}, {"opted_out": frozenset([user_key("ann", SECRET)])}, True),
    "the list says, of another": ({}, {"opted_out": frozenset([user_key("bob", SECRET)])}, False),
}


@pytest.mark.parametrize("fields, assembly, out", OPT_OUTS.values(), ids=OPT_OUTS)
def test_who_opted_out_is_marked(fields, assembly, out, told):
    said = told(_raw("a", "b", **fields), **assembly)
    assert [turn.opted_out for turn in said.turns] == [out, out]
    assert said.facts.opted_out is out


def test_nothing_is_kept_of_a_user_who_is_erased(told):
    raw = _raw("a", "b")
    raw.turns[1].timestamp = 1772359500
    gone = frozenset([user_key("ann", SECRET)])
    assert told(raw, suppressed=gone) == Suppressed(dt.datetime(2026, 3, 1, 10, 5, tzinfo=dt.UTC))
    assert told(_raw("a", user="bob"), suppressed=gone).facts.messages == 1
    assert told(_raw("a", user=None), suppressed=gone).facts.messages == 1


def test_a_pair_is_redacted_as_one_text(assemble, origin):
    raw = RawPair(
        id="p1",
        prompt=[RawTurn("system", "Be kind."), RawTurn("user", "I am ann@example.com")],
        chosen="Hello bob@example.com",
        rejected="Hello ann@example.com",
        user="ann",
    )
    pair = assemble(raw, Line(3, b"{}"))
    assert pair.prompt == (
        Message(role=Role.SYSTEM, content="Be kind."),
        Message(role=Role.USER, content="I am [EMAIL_1]"),
    )
    assert (pair.chosen, pair.rejected) == ("Hello [EMAIL_2]", "Hello [EMAIL_1]")
    assert pair.redactions == (Redaction("EMAIL", 3),)
    assert (pair.user_key, pair.origin_offset) == (user_key("ann", SECRET), 3)
    assert assemble(raw, Line(9, b"[]")).pair_id == pair.pair_id != ""
