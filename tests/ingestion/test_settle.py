"""What is shown of the conversations of a run, and of those before it."""

import datetime as dt
from collections import Counter
from itertools import groupby
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.schema import Partition


def record(night: int, log: str, texts: str, id: str = "x", user: str | None = None, **more):
    """A record of a log: a message a letter."""
    return {"night": night, "log": log, "texts": texts, "id": id, "user": user, **more}


# Runs, each of records -> what is shown at last, and how many duplicates and clashes the last
# run had.
RUNS = {
    "all different": (
        [[record(1, "a", "ab"), record(1, "a", "ab", "y", user="u"), record(1, "b", "cd", "z")]],
        ["1a x ab", "1a y ab", "1b z cd"], 0, 0,
    ),
    "a copy in the same log": (
        [[record(1, "a", "ab"), record(1, "a", "ab")]], ["1a x ab"], 1, 0,
    ),
    "a copy in another log": (
        [[record(1, "b", "ab"), record(1, "a", "ab")]], ["1a x ab"], 1, 0,
    ),
    "logged again after each message": (
        [[record(1, "a", "ab"), record(1, "a", "abcd"), record(1, "a", "abc")]],
        ["1a x abcd"], 2, 0,
    ),
    "a copy of what is published": (
        [[record(1, "b", "ab")], [record(1, "a", "ab")]], ["1b x ab"], 1, 0,
    ),
    "goes on the next night": (
        [[record(1, "a", "ab")], [record(2, "a", "abcd")]], ["1a x ab", "2a x (ab)cd"], 0, 0,
    ),
    "goes on for three nights, in one run": (
        [[record(2, "a", "abcd"), record(1, "a", "ab"), record(3, "a", "abcde")]],
        ["1a x ab", "2a x (ab)cd", "3a x (abcd)e"], 0, 0,
    ),
    "goes on the same night, in a later log": (
        [[record(1, "b", "ab")], [record(1, "a", "abcd")]], ["1a x abcd", "1b x (ab)"], 0, 0,
    ),
    "says nothing new the next night": (
        [[record(1, "a", "abcd")], [record(2, "a", "abc")]], ["1a x abcd"], 1, 0,
    ),
    "an old night comes late": (
        [[record(2, "a", "abcd")], [record(1, "a", "ab")]], ["1a x ab", "2a x (ab)cd"], 0, 0,
    ),
    "an old night comes late and holds all": (
        [[record(2, "a", "abcd")], [record(1, "a", "abcd")]], ["1a x abcd", "2a x (abcd)"], 0, 0,
    ),
    "an earlier log of a night comes late": (
        [[record(1, "b", "abcd")], [record(1, "a", "ab")]], ["1b x abcd"], 1, 0,
    ),
    "an old night comes late and brings more": (
        [[record(2, "a", "ab")], [record(1, "a", "abcd")]], ["1a x abcd", "2a x (ab)"], 0, 0,
    ),
    "a clash in one log": (
        [[record(1, "a", "ab"), record(1, "a", "zb")]], ["1a x ab"], 0, 1,
    ),
    "a clash with what is published, though longer": (
        [[record(2, "a", "ab")], [record(1, "a", "acde")]], ["2a x ab"], 0, 1,
    ),
    "a clash of two nights: the first prevails": (
        [[record(1, "a", "ab"), record(2, "a", "zbcd")]], ["1a x ab"], 0, 1,
    ),
    "a clash does not stand in the way of what goes on": (
        [[record(1, "a", "ab")], [record(2, "a", "zbcde"), record(2, "a", "abc")]],
        ["1a x ab", "2a x (ab)c"], 0, 1,
    ),
    "the same id in two streams": (
        [[record(1, "a", "ab")], [record(1, "b", "zb", source="other")]],
        ["1a x ab", "1b x zb"], 0, 0,
    ),
    "delivered again under a new id": (
        [[record(1, "a", "ab", user="u")], [record(2, "a", "ab", "y", user="u")]],
        ["1a x ab"], 1, 0,
    ),
    "twice in one run under two ids": (
        [[record(1, "b", "ab", "x", user="u"), record(1, "a", "ab", "y", user="u")]],
        ["1a y ab"], 1, 0,
    ),
    "the same words of another user": (
        [[record(1, "a", "ab", user="u")], [record(2, "a", "ab", "y", user="v")]],
        ["1a x ab", "2a y ab"], 0, 0,
    ),
    "delivered again after the window": (
        [[record(1, "a", "ab", user="u")], [record(31, "a", "ab", "y", user="u")]],
        ["1a x ab", "31a y ab"], 0, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("runs, shown, duplicates, clashes", RUNS.values(), ids=RUNS)
def test_what_is_shown(runs, shown, duplicates, clashes, world):
    for run in runs:
        settled = world.ingest(*run, window=29)
        world.check()
    assert world.shown() == shown
    rejects = sum(file.rows for file in settled.staged if file.table == "rejects")
    broken_lines = len({(made["night"], made["log"]) for made in runs[-1]})
    assert (settled.duplicates.total(), rejects - broken_lines) == (duplicates, clashes)


# What two nights have published -> what a log gives when it is read again, and what is shown.
AGAIN = {
    "the same": (record(1, "a", "ab"), ["1a x ab", "2a x (ab)cd"]),
    "with one message more": (record(1, "a", "abc"), ["1a x abc", "2a x (abc)d"]),
    "with all messages": (record(1, "a", "abcdef"), ["1a x abcdef", "2a x (abcd)"]),
    "with one message less": (record(1, "a", "a"), ["1a x a", "2a x (a)bcd"]),
    "with another text": (record(1, "a", "zb"), ["2a x abcd"]),
    "without the conversation": (record(1, "a", "ef", "y"), ["1a y ef", "2a x abcd"]),
    "the later one, with another text": (record(2, "a", "zbcd"), ["1a x ab"]),
    "the later one, with more": (record(2, "a", "abcde"), ["1a x ab", "2a x (ab)cde"]),
    "the later one, with nothing new": (record(2, "a", "ab"), ["1a x ab"]),
}


@pytest.mark.parametrize("again, shown", AGAIN.values(), ids=AGAIN)
def test_a_log_that_is_read_again(again, shown, world):
    world.ingest(record(1, "a", "ab"))
    world.ingest(record(2, "a", "abcd"))
    world.ingest(again)
    world.check()
    assert world.shown() == shown


def test_a_conversation_may_move_to_another_log_of_its_night(world):
    world.ingest(record(1, "a", "ab"))
    world.ingest(record(2, "a", "abcd"))
    settled = world.ingest(record(1, "b", "ab"), emptied=((1, "a"),))
    assert world.shown() == ["1b x ab", "2a x (ab)cd"]
    assert settled.rewritten == set()


def test_a_log_that_holds_nothing_any_more(world):
    world.ingest(record(1, "a", "ab"))
    world.ingest(record(2, "a", "abcd"))
    settled = world.ingest(emptied=((1, "a"),))
    assert world.shown() == ["2a x abcd"]
    assert settled.rewritten == {Partition("turns", dt.date(2026, 3, 2), "a")}


# Two conversations, cut into records over nights and logs.
RECORDS = st.builds(
    lambda night, log, name, length: record(night, log, f"{name}bcdef"[:length], name, name),
    st.integers(1, 3),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(1, 6),
)


def logs(records):
    """The records of each night and log: what is ingested at once, and replaced at once."""
    found: dict[tuple[int, str], list[dict]] = {}
    for made in records:
        found.setdefault((made["night"], made["log"]), []).append(made)
    return list(found.values())


def nights_of_turns(world) -> set[tuple[str, dt.date]]:
    """As the view `turns` has them."""
    shown = [row for row in world.rows("turns") if not row["carried"]]
    return {(row["turn_id"], row["log_date"]) for row in shown}


@pytest.mark.chaos
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_turn_is_shown_once_by_its_first_night_in_any_order(new_world, data):
    records = data.draw(st.lists(RECORDS, min_size=1, max_size=8))
    in_order = new_world()
    for _, night in groupby(sorted(records, key=itemgetter("night")), key=itemgetter("night")):
        in_order.ingest(*night)
    world = new_world()
    for log in data.draw(st.permutations(logs(records))):
        world.ingest(*log)
        world.check()
    assert nights_of_turns(world) == nights_of_turns(in_order)
    first: dict[tuple[str, int], int] = {}
    for made in sorted(records, key=itemgetter("night")):
        for index in range(len(made["texts"])):
            first.setdefault((made["id"], index), made["night"])
    assert Counter(first.values()) == Counter(day.day for _, day in nights_of_turns(world))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(RECORDS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_turn_is_shown_once_after_logs_are_replaced(new_world, runs):
    world = new_world()
    for run in runs:
        world.ingest(*run)
        world.check()
    before = world.shown()
    settled = world.ingest(*runs[-1])
    world.check()
    assert world.shown() == before, "what is read again shows what it showed"
    assert settled.rewritten == set()
