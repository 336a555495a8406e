import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.scene import FEEDBACK
from warehouse.schema import Partition

UP, DOWN = {"thumb": 1}, {"thumb": -1}


def record(night: int, log: str, texts: str, said: dict | None = None, id: str = "x", **more):
    """A record of a log, a message a letter; what it says of its second turn, or of each."""
    by_turn = {1: said} if said and not isinstance(next(iter(said)), int) else said or {}
    return {"night": night, "log": log, "texts": texts, "said": by_turn, "id": id, **more}


def told(world) -> dict[str, dict]:
    """Text of each turn that is shown and spoken of -> the feedback on it."""
    found = {}
    for row in world.rows("turns"):
        said = {name: row[name] for name in FEEDBACK if row[name] is not None}
        if said and not row["carried"]:
            found[row["content"]] = said
    return found


# Runs -> what is said of the turns that are shown.
RUNS = {
    "nobody says anything": ([[record(1, "a", "ab"), record(1, "a", "abc")]], {}),
    "nobody else": ([[record(1, "a", "ab", UP)]], {"b": UP}),
    "a shorter state": ([[record(1, "a", "ab", UP), record(1, "a", "abcd")]], {"b": UP}),
    "a copy in another log": ([[record(1, "a", "ab"), record(1, "b", "ab", DOWN)]], {"b": DOWN}),
    "several states, each of another turn": (
        [[record(1, "a", "ab", UP), record(1, "a", "abcd", {3: DOWN}), record(1, "a", "abcde")]],
        {"b": UP, "d": DOWN},
    ),
    "each of another thing": (
        [[record(1, "a", "ab", {"rating": 2.0}), record(1, "a", "ab", {"edited": True}),
          record(1, "a", "ab", {"regenerated": True}), record(1, "a", "abc", UP)]],
        {"b": {**UP, "rating": 2.0, "regenerated": True, "edited": True}},
    ),
    "a copy of what is published": (
        [[record(1, "a", "ab")], [record(2, "a", "ab", UP)]], {"b": UP},
    ),
    "the conversation goes on": (
        [[record(1, "a", "ab")], [record(2, "a", "abcd", UP)]], {"b": UP},
    ),
    "the conversation goes on, in one run": (
        [[record(2, "a", "abcd", UP), record(1, "a", "ab")]], {"b": UP},
    ),
    "an old night comes late": ([[record(2, "a", "ab", UP)], [record(1, "a", "abc")]], {"b": UP}),
    "an old night comes late, as a duplicate": (
        [[record(2, "a", "abc")], [record(1, "a", "ab", UP)]], {"b": UP},
    ),
    "the last has the last word": (
        [[record(1, "a", "ab", UP), record(1, "a", "abc", DOWN)]], {"b": DOWN},
    ),
    "the last, though shorter": (
        [[record(1, "a", "abc", UP), record(1, "a", "ab", DOWN)]], {"b": DOWN},
    ),
    "the last that says anything": (
        [[record(1, "a", "ab", UP), record(1, "a", "ab", DOWN), record(1, "a", "abc")]],
        {"b": DOWN},
    ),
    "the last, though another night": (
        [[record(1, "a", "ab", UP)], [record(2, "a", "ab", DOWN)]], {"b": DOWN},
    ),
    "an earlier night than what is published": (
        [[record(2, "a", "abc", UP)], [record(1, "a", "ab", DOWN)]], {"b": UP},
    ),
    "the last, over what another night gave": (
        [[record(1, "a", "ab")], [record(2, "a", "ab", UP)], [record(3, "a", "ab", DOWN)]],
        {"b": DOWN},
    ),
    "what is superseded is not said again": (
        [[record(1, "a", "ab")], [record(1, "b", "abc", UP), record(1, "b", "ab", DOWN)],
         [record(2, "a", "ab")]],
        {"b": DOWN},
    ),
    "no is said as well": (
        [[record(1, "a", "ab", {"edited": True}), record(1, "a", "ab", {"edited": False})]],
        {"b": {"edited": False}},
    ),
    "a clash says nothing": ([[record(1, "a", "ab"), record(1, "a", "zb", UP)]], {}),
    "a clash of another night": ([[record(1, "a", "ab")], [record(2, "a", "zbc", UP)]], {}),
    "another stream": ([[record(1, "a", "ab"), record(1, "b", "ab", UP, source="other")]],
                       {"b": UP}),
    "a copy under another id": (
        [[record(1, "a", "ab", user="u")], [record(2, "a", "ab", UP, "y", user="u")]], {},
    ),
    "a log that is read again keeps what others said": (
        [[record(1, "a", "ab")], [record(2, "a", "ab", UP)], [record(1, "a", "ab")]], {"b": UP},
    ),
    "and has a word of its own": (
        [[record(1, "a", "ab")], [record(2, "a", "ab", UP)], [record(1, "a", "ab", DOWN)]],
        {"b": DOWN},
    ),
    "a log that is read again and says something else": (
        [[record(1, "a", "ab", UP)], [record(1, "a", "cd")]], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("runs, expected", RUNS.values(), ids=RUNS)
def test_what_is_said(runs, expected, world):
    for run in runs:
        world.ingest(*run)
        world.check()
    assert told(world) == expected
    assert world.ingest(*runs[-1]).rewritten == set()
    assert told(world) == expected, "reading it again changes nothing"


def test_the_other_stream_is_not_spoken_of(world):
    world.ingest(record(1, "a", "ab"), record(1, "b", "ab", UP, source="other"))
    spoken = {row["source"]: row["thumb"] for row in world.rows("turns") if row["turn_index"]}
    assert spoken == {"chat": None, "other": 1}


def test_what_is_carried_stays_as_it_was_logged(world):
    world.ingest(record(1, "a", "ab", UP))
    settled = world.ingest(record(2, "a", "abc"))
    assert settled.rewritten == set()
    carried = [row["thumb"] for row in world.rows("turns") if row["carried"]]
    assert carried == [None, None]


def test_only_partitions_that_change_are_written_anew(world):
    first = dt.date(2026, 3, 1)
    world.ingest(record(1, "a", "ab"), record(1, "b", "cd", UP, "y"), record(1, "c", "ef", id="z"))
    settled = world.ingest(
        record(2, "a", "ab", UP), record(2, "a", "cd", UP, "y"), record(2, "a", "ef", id="z")
    )
    assert settled.rewritten == {Partition("turns", first, "a")}
    assert settled.duplicates == {(dt.date(2026, 3, 2), "a"): 3}
    assert told(world) == {"b": UP, "d": UP}


# What users say of the turns of one conversation, in records over nights and logs.
THUMBS = st.dictionaries(st.integers(0, 5), st.sampled_from([UP, DOWN]), max_size=3)
RECORDS = st.builds(
    lambda night, log, length, said: record(
        night, log, "abcdef"[:length], {at: thumb for at, thumb in said.items() if at < length}
    ),
    st.integers(1, 3),
    st.sampled_from("ab"),
    st.integers(1, 6),
    THUMBS,
)


def logs(records):
    """The records of each night and log, in order: what is ingested at once."""
    found: dict[tuple[int, str], list[dict]] = {}
    for made in records:
        found.setdefault((made["night"], made["log"]), []).append(made)
    return [found[place] for place in sorted(found)]


def last_words(records) -> dict[str, dict]:
    """What `told` should be: World places the records of a log as they come."""
    in_logs = {log: [made for made in records if made["log"] == log] for log in "ab"}
    places = [(m["night"], log, at, m) for log in in_logs for at, m in enumerate(in_logs[log])]
    words = {}
    for *_, made in sorted(places, key=lambda place: place[:3]):
        words |= {made["texts"][at]: thumb for at, thumb in made["said"].items()}
    return words


@settings(max_examples=15, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=8))
def test_the_last_word_counts_at_once_and_night_by_night(new_world, records):
    at_once, by_night = new_world(), new_world()
    at_once.ingest(*records)
    for log in logs(records):
        by_night.ingest(*log)
    assert told(at_once) == told(by_night) == last_words(records)
    again = at_once.ingest(*records), by_night.ingest(*log)
    assert [settled.rewritten for settled in again] == [set(), set()]
    assert told(at_once) == told(by_night) == last_words(records)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_nothing_that_was_said_is_lost_in_any_order(new_world, data):
    records = data.draw(st.lists(RECORDS, min_size=1, max_size=8))
    for made in records:
        made["said"] = {at: (UP, DOWN)[at % 2] for at in made["said"]}
    world = new_world()
    for log in data.draw(st.permutations(logs(records))):
        world.ingest(*log)
    assert told(world) == last_words(records)
    again = data.draw(st.sampled_from(logs(records)))
    world.ingest(*again)
    world.check()
    assert told(world) == last_words(records)
