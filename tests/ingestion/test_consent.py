"""Who once opted out of training stays so, whichever record said it."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.schema import Partition

NIGHT = dt.date(2026, 3, 1)


def record(night: int, log: str, texts: str, out: bool = False, id: str = "x", **more):
    """A record of a log, a message a letter."""
    return {"night": night, "log": log, "texts": texts, "id": id, "opted_out": out, **more}


def out(world) -> set[str]:
    """Ids of the conversations that are opted out; all their rows must agree."""
    said: dict[str, set[bool]] = {}
    for row in world.rows("turns") + world.rows("conversations"):
        said.setdefault(row["conversation_id"], set()).add(row["opted_out"])
    assert all(len(values) == 1 for values in said.values()), said
    return {name for name, values in said.items() if values == {True}}


# Runs -> the conversations that are opted out at last.
RUNS = {
    "nobody opts out": ([[record(1, "a", "ab"), record(1, "a", "abc")]], set()),
    "its own record says so": (
        [[record(1, "a", "ab", True), record(1, "a", "ab", id="y", user="u")]], {"x"},
    ),
    "a repetition": ([[record(1, "a", "ab")], [record(2, "a", "ab", True)]], {"x"}),
    "a repetition in the same log": ([[record(1, "a", "ab"), record(1, "a", "ab", True)]], {"x"}),
    "a shorter state": ([[record(1, "a", "ab", True), record(1, "a", "abcd")]], {"x"}),
    "it goes on": ([[record(1, "a", "ab")], [record(2, "a", "abcd", True)]], {"x"}),
    "it goes on and does not say so again": (
        [[record(1, "a", "ab", True)], [record(2, "a", "abcd")]], {"x"},
    ),
    "an old night comes late": ([[record(2, "a", "abcd")], [record(1, "a", "ab", True)]], {"x"}),
    "a clash": ([[record(1, "a", "ab")], [record(2, "a", "zb", True)]], {"x"}),
    "a copy under another id": (
        [[record(1, "a", "ab", user="u")], [record(2, "a", "ab", True, "y", user="u")]], {"x"},
    ),
    "two copies in one run": (
        [[record(1, "a", "ab", user="u"), record(1, "a", "ab", True, "y", user="u")]], {"x"},
    ),
    "another stream": (
        [[record(1, "a", "ab", id="y")], [record(1, "b", "ab", True, source="other")]], {"x"},
    ),
    "a log that is read again and says so no more": (
        [[record(1, "a", "ab", True)], [record(1, "a", "abc")]], {"x"},
    ),
    "a log that is read again, after another said so": (
        [[record(1, "a", "ab")], [record(2, "a", "ab", True)], [record(1, "a", "abc")]], {"x"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("runs, expected", RUNS.values(), ids=RUNS)
def test_who_is_opted_out(runs, expected, world):
    for run in runs:
        world.ingest(*run)
        world.check()
    assert out(world) == expected
    assert world.ingest(*runs[-1]).rewritten == set(), "reading it again changes nothing"
    assert out(world) == expected


def test_only_partitions_that_change_are_written_anew(world):
    world.ingest(record(1, "a", "ab"), record(1, "b", "cd", id="y"))
    settled = world.ingest(record(2, "a", "ab", True), record(2, "a", "cd", id="y"))
    first = dt.date(2026, 3, 1)
    assert settled.rewritten == {
        Partition(table, first, "a") for table in ("turns", "conversations")
    }
    assert settled.duplicates == {(dt.date(2026, 3, 2), "a"): 2}


def test_a_night_that_is_published_hears_of_it(chat, write_log, ingest_night, sql):
    """As a table with gaps writes it, in a record that is left out."""
    said = chat("c", "How tall is K2?", "8,611 m.")
    ingest_night(write_log("a.jsonl", said))
    again = write_log("b.jsonl", {**said, "opt_out": 1.0})
    report = ingest_night(again, log_date=NIGHT + dt.timedelta(days=1))
    assert (report.conversations, report.duplicates) == (0, 1)
    assert sql("SELECT log_date, opted_out FROM turns") == 2 * [(NIGHT, True)]
    assert sql("SELECT log_date, opted_out FROM conversations") == [(NIGHT, True)]


# Records of two conversations over nights and logs.
RECORDS = st.builds(
    lambda night, log, name, length, out: record(
        night, log, f"{name}bcdef"[:length], out, name, user=name
    ),
    st.integers(1, 3),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(1, 6),
    st.booleans(),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(RECORDS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_once_out_always_out(new_world, runs):
    world = new_world()
    said: set[str] = set()
    for run in runs:
        world.ingest(*run)
        world.check()
        said |= {made["id"] for made in run if made["opted_out"]}
        # Of what a log lost nothing is kept, so neither that.
        said &= {row["conversation_id"] for row in world.rows("turns")}
        assert out(world) == said
