"""SAT turns and seed pairs as a batch gets them: what they are made of, and which are left out."""

import datetime as dt
import random

import msgspec
import pytest

from mining.conversations import exchanges
from tests.conversations import A, S, T, U, content, facts, publish, record, revised, seed, verdict
from warehouse.barred import Bar, bar
from warehouse.leases import acquire
from warehouse.records import (
    Conversation,
    Message,
    SatTurn,
    SeedPair,
    SignalKind,
)
from warehouse.selection import SelectionOptions, Wanted
from warehouse.streams import heldout_satisfied

EARLIER = dt.date(2026, 11, 19)


def take(store, **options):
    most = {"satisfied": 9, "seeds": 9} | options
    asked = {name: most.pop(name) for name in ("turns", "satisfied", "seeds") if name in most}
    words = {"stream": "s", "holdout": 0.0, "ttl": dt.timedelta(hours=1), "now": store.now}
    lease = acquire(store.catalog, Wanted(**asked), **words | {"seed": 0} | most)
    return lease


def test_a_sat_turn_is_put_together_from_its_record(store) -> None:
    said = [
        (S, "", {"prompt_hash": "aa"}), (U, "one"), (A, "first"), (U, "two"), (U, "and three"),
        (A, "begins", {"model": "small"}), (A, "ends"), (U, "thank you"), (U, "so much"), (A, "!"),
    ]  # fmt: skip
    turns = record(store, "c", said)
    publish(store, turns, [verdict(store, turns, 7, 5)], about=[facts(store, turns, cluster="k")])
    (found,) = take(store).satisfied
    assert found == SatTurn(
        turn_id="c7", conversation_id="c", answer_turn_id="c5",
        context=(
            Message(role=S, content="Be brief."), Message(role=U, content="one"),
            Message(role=A, content="first"), Message(role=U, content="two"),
            Message(role=U, content="and three"),
        ),
        answer="begins\nends", feedback="thank you\nso much", probability=0.1, model="small",
        user_key="user-c", language="en", event_ts=store.now, cluster="k",
    )  # fmt: skip


def test_a_follow_up_of_a_later_night_has_the_context_of_its_own_record(store) -> None:
    said = [(U, "one"), (A, "first"), (U, "no"), (A, "second"), (U, "thanks")]
    before = record(store, "c", said[:2])
    publish(store, before, [], night=EARLIER, run="before")
    turns = record(store, "c", said)
    later = [msgspec.structs.replace(t, carried=t.turn_index < 2, origin_offset=7) for t in turns]
    publish(store, later, [verdict(store, later, 4, 3)])
    (found,) = take(store).satisfied
    assert [message.content for message in found.context] == ["one", "first", "no"]
    assert (found.answer, found.feedback) == ("second", "thanks")


UNFIT = {
    "a blank answer": [(U, "ask"), (A, " \n\u2003"), (U, "thanks")],
    "an answer made with tools": [(U, "ask"), (T, "found"), (A, "answer"), (U, "thanks")],
    "tools after the answer": [(U, "ask"), (A, "answer"), (T, "done"), (U, "thanks")],
    "a call in the answer": [(U, "ask"), (A, "Wait.\n[tool call] f({})\nanswer"), (U, "thanks")],
    "nothing but a call": [(U, "ask"), (A, "[tool call] f()"), (U, "thanks")],
    "a call before it": [(U, "ask"), (A, "[tool call] f()"), (A, "answer"), (U, "thanks")],
    "facts between request and answer": [(U, "ask"), (S, "facts"), (A, "answer"), (U, "thanks")],
    "a flagged request": [(U, "ask", {"flagged": True}), (A, "answer"), (U, "thanks")],
    "a flagged answer": [(U, "ask"), (A, "answer", {"flagged": True}), (U, "thanks")],
    "flagged feedback": [(U, "ask"), (A, "answer"), (U, "thanks"), (U, "you", {"flagged": True})],
    "opted out": [(U, "ask"), (A, "answer"), (U, "thanks", {"opted_out": True})],
    "no request": [(S, "be"), (A, "Hello!"), (U, "thanks")],
}


@pytest.mark.parametrize("said", UNFIT.values(), ids=UNFIT)
def test_what_should_not_be_trained_on_is_no_sat_turn(store, said) -> None:
    turns = record(store, "c", said)
    answer = next(i for i, turn in enumerate(turns) if turn.role is A)
    at = next(i for i, turn in enumerate(turns) if i > answer and turn.role is U)
    good, fine = content(store, "good")
    publish(store, [*turns, *good], [verdict(store, turns, at, answer), fine])
    assert [turn.turn_id for turn in take(store).satisfied] == ["good2"]


FIT = {
    "tools of an earlier answer": [
        (U, "a"), (T, "found"), (A, "b"), (U, "no"), (A, "answer"), (U, "thanks"),
    ],
    "flagged later on": [(U, "ask"), (A, "answer"), (U, "thanks"), (A, "x", {"flagged": True})],
    "a call in an earlier answer": [
        (U, "a"), (A, "[tool call] f()"), (U, "no"), (A, "answer"), (U, "thanks"),
    ],
    "a note after the answer": [
        (U, "a"), (A, "b"), (U, "no"), (A, "answer"), (S, "note"), (U, "thanks"),
    ],
    "flagged by nobody": [(U, "ask", {"flagged": False}), (A, "answer"), (U, "thanks")],
}  # fmt: skip


@pytest.mark.parametrize("said", FIT.values(), ids=FIT)
def test_what_has_nothing_to_do_with_the_answer_keeps_none_out(store, said) -> None:
    turns = record(store, "c", said)
    at = max(i for i, turn in enumerate(turns) if turn.role is U)
    answer = max(i for i, turn in enumerate(turns[:at]) if turn.role is A)
    publish(store, turns, [verdict(store, turns, at, answer)])
    assert [turn.answer for turn in take(store).satisfied] == ["answer"]


@pytest.mark.parametrize("kind", Bar)
def test_barred_users_are_left_out_of_all_kinds(store, kind: Bar) -> None:
    turns, pair = revised(store)
    imported = seed(store, "p", user_key=turns[0].user_key)
    publish(store, turns, pair[0], dsat=pair[1], pairs=[imported])
    assert [len(kind) for kind in take(store, stream="t").items.values()] == [0, 1, 2]
    with store.catalog.write() as connection:
        bar(connection, kind, [turns[0].user_key])
    assert take(store) is None
    assert heldout_satisfied(store.catalog, holdout=1.0, n=9) == []


def test_the_newest_verdict_of_the_detector_that_is_shown_counts(store) -> None:
    turns, fine = content(store)
    publish(store, turns, [fine], night=EARLIER, run="before")
    publish(store, turns, [verdict(store, turns, 2, 1, signal=SignalKind.NEUTRAL)])
    assert take(store) is None
    publish(store, turns, [fine], run="again")
    assert len(take(store).satisfied) == 1
    store.publish("small", store.stage("signals", "small@7", []))
    (found,) = take(store, stream="t").satisfied  # the earlier night's verdict is left
    assert (found.turn_id, found.probability) == ("c2", 0.1)


def test_of_equal_prompts_one_is_taken_and_of_a_cluster_two(store) -> None:
    turns, signals, about = [], [], []
    for i in range(8):  # 0 to 2: the same prompt; from 4 on: a cluster
        own, fine = content(store, f"{i}x", chain=7 if i < 3 else 100 + i)
        turns += own
        signals.append(fine)
        about.append(facts(store, own, cluster="k" if i >= 4 else None))
    publish(store, turns, signals, about=about)
    limited = take(store, selection=SelectionOptions())
    names = [turn.conversation_id for turn in limited.satisfied]
    assert len(names) == 1 + 1 + 2 and sum(name in ("0x", "1x", "2x") for name in names) == 1


def test_canaries_are_of_held_out_conversations_and_the_same_every_time(store) -> None:
    turns, signals = [], []
    for i in range(40):
        own, fine = content(store, f"{i}", chain=i + 1)
        turns += own
        signals.append(fine)
    publish(store, turns, signals)
    canaries = heldout_satisfied(store.catalog, holdout=0.5, n=40)
    leased = take(store, satisfied=40, holdout=0.5).satisfied
    held, free = ({turn.turn_id for turn in some} for some in (canaries, leased))
    assert not held & free and held | free == {f"{i}2" for i in range(40)}
    assert heldout_satisfied(store.catalog, holdout=0.5, n=5) == canaries[:5]


# ---- seed pairs ------------------------------------------------------------------------------


def test_an_accepted_better_answer_is_a_seed_pair(store) -> None:
    turns, (signals, dsat) = revised(store)
    imported = seed(store, "p", conversation_id="d")
    publish(store, turns, signals, dsat=dsat, pairs=[imported])
    found = {pair.pair_id: pair for pair in take(store).seeds}
    assert found == {
        "p": imported,
        "c2": SeedPair(
            pair_id="c2", conversation_id="c", chosen="right\nindeed", rejected="wrong",
            prompt=(Message(role=S, content="Be brief."), Message(role=U, content="ask")),
            user_key="user-c", source="chat", origin_file="log.jsonl",
            origin_offset=turns[0].origin_offset,
        ),
    }  # fmt: skip


UNTAUGHT = {
    "an untrainable complaint": ({"trainable": False}, None),
    "a blank revision": ({}, [(U, "ask"), (A, "wrong"), (U, "no"), (A, " "), (U, "thanks")]),
    "a flagged revision": (
        {},
        [(U, "ask"), (A, "wrong"), (U, "no"), (A, "right", {"flagged": True}), (U, "thanks")],
    ),
    "a revision made with tools": (
        {},
        [(U, "ask"), (A, "wrong"), (U, "no"), (A, "let me look"), (T, "x"), (U, "thanks")],
    ),
}


@pytest.mark.parametrize("dsat, said", UNTAUGHT.values(), ids=UNTAUGHT)
def test_pairs_that_should_not_be_trained_on_are_left_out(store, dsat, said) -> None:
    turns, (signals, rows) = revised(store, said=said, **dsat)
    publish(store, turns, signals, dsat=rows)
    assert take(store, satisfied=0) is None


UNWANTED = {
    "opted out": {"opted_out": True},
    "equal answers": {"chosen": "bad"},
    "a blank answer": {"chosen": "\n\u2003", "rejected": "bad"},
}


@pytest.mark.parametrize("fields", UNWANTED.values(), ids=UNWANTED)
def test_imported_pairs_that_teach_nothing_are_left_out(store, fields) -> None:
    publish(store, [], [], pairs=[seed(store, "p", **fields), seed(store, "q")])
    assert [pair.pair_id for pair in take(store, satisfied=0).seeds] == ["q"]


def test_seed_pairs_neither_age_nor_have_to_tell_their_language(store) -> None:
    turns, fine = content(store)
    publish(store, turns, [fine], pairs=[seed(store, "p")], night=EARLIER, run="before")
    late = store.now + dt.timedelta(days=30)
    limits = {"fresh_days": SelectionOptions(fresh_days=3),
              "languages": SelectionOptions(languages=("de",))}  # fmt: skip
    for name, selection in limits.items():
        words = {"now": late, "stream": name, "selection": selection}
        assert take(store, seeds=0, **words) is None
        assert [pair.pair_id for pair in take(store, satisfied=0, **words).seeds] == ["p"]


def test_sat_turns_are_cut_from_a_conversation_as_mining_cuts_its_exchanges(store) -> None:
    """Random conversations, each of whose follow-ups is said to be content."""
    rng, expected, turns, signals = random.Random(0), {}, [], []
    texts = ("", " ", "a", "b\nc", "d", "e\n[tool call] f()")
    for number in range(200):
        said = [
            (rng.choice((U, A) * 6 + (S, T)), rng.choice(texts),
             {"flagged": rng.choice((False, *[None] * 18, True)), "chain": rng.getrandbits(60)})
            for _ in range(rng.randrange(3, 12))
        ]  # fmt: skip
        own = record(store, f"{number}-", said)
        turns += own
        for exchange in exchanges(Conversation(conversation_id=f"{number}-", turns=tuple(own))):
            asked = exchange.follow_up
            at, answer = exchange.turn.turn_index, exchange.answer_turn.turn_index
            signals.append(verdict(store, own, at, answer))
            if asked.answer.strip() and not exchange.used_tools and not exchange.flagged:
                expected[exchange.turn.turn_id] = (exchange.context, asked.answer, asked.follow_up)
    publish(store, turns, signals)
    found = {t.turn_id: (t.context, t.answer, t.feedback)
             for t in take(store, satisfied=999).satisfied}  # fmt: skip
    assert found == expected and len(found) > 30
