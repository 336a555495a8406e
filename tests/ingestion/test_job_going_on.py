"""Conversations that go on on a later night, and nights that records say themselves."""

import datetime as dt
import itertools

import pytest

from warehouse.query import live_files, night_counts

NIGHTS = [dt.date(2026, 3, day) for day in (1, 2, 3)]
FIRST, SECOND, THIRD = NIGHTS


@pytest.fixture
def shown(sql):
    """(night, text) of the turns view."""
    return lambda: sql("SELECT log_date, content FROM turns ORDER BY turn_index, log_date")


def test_each_turn_is_shown_once_and_its_context_is_kept(chat, write_log, ingest_night, shown, sql):
    ingest_night(write_log("1.jsonl", chat("c", "a", "b")), log_date=FIRST)
    report = ingest_night(write_log("2.jsonl", chat("c", *"abcd")), log_date=SECOND)
    assert (report.conversations, report.duplicates) == (1, 0)
    assert shown() == [(FIRST, "a"), (FIRST, "b"), (SECOND, "c"), (SECOND, "d")]
    assert sql("SELECT messages FROM conversations ORDER BY log_date") == [(2,), (4,)]


def test_a_state_that_is_held_already_is_a_duplicate(chat, write_log, ingest_night, shown):
    ingest_night(write_log("1.jsonl", chat("c", *"abcd")), log_date=FIRST)
    report = ingest_night(write_log("2.jsonl", chat("c", "a", "b")), log_date=SECOND)
    assert (report.conversations, report.duplicates) == (0, 1)
    assert [text for _, text in shown()] == list("abcd")


def test_feedback_on_a_turn_that_another_night_shows(chat, write_log, ingest_night, sql):
    ingest_night(write_log("1.jsonl", chat("c", "a", "b")), log_date=FIRST)
    rated = chat("c", "a", "b")
    rated["messages"][1]["feedback"] = {"thumb": "down", "rating": 2}
    report = ingest_night(write_log("2.jsonl", rated), log_date=SECOND)
    assert (report.conversations, report.duplicates) == (0, 1)
    assert sql("SELECT log_date, content, thumb, rating FROM turns ORDER BY turn_index") == [
        (FIRST, "a", None, None),
        (FIRST, "b", -1, 2.0),
    ]


def test_another_conversation_of_the_same_id_is_a_clash(chat, write_log, ingest_night):
    ingest_night(write_log("1.jsonl", chat("c", "a")), log_date=FIRST)
    log = write_log("2.jsonl", chat("c", "other", "b"))
    report = ingest_night(log, log_date=SECOND, max_reject_share=1.0)
    assert report.rejected_by_reason == {"id_clash": 1}


def test_ids_that_begin_anew_each_night(chat, write_log, ingest_night, sql):
    for night, text in ((FIRST, "a"), (SECOND, "other")):
        log = write_log(f"{night}.jsonl", chat("1", text))
        assert ingest_night(log, log_date=night, id_scope="night").conversations == 1
    assert sql("SELECT count(DISTINCT turn_id) FROM turns") == [(2,)]


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))], ids=str)
def test_the_order_in_which_nights_are_read_does_not_matter(
    order, catalog, chat, write_log, ingest_night, shown
):
    logs = [write_log(f"{i}.jsonl", chat("c", *"abcdef"[: 2 * i + 2])) for i in range(3)]
    for i in order:
        ingest_night(logs[i], log_date=NIGHTS[i])
    nights = [night for night in NIGHTS for _ in range(2)]
    assert shown() == list(zip(nights, "abcdef", strict=True))
    assert sum(night_counts(catalog, night).turns for night in NIGHTS) == 6


def test_a_log_that_is_replaced_gives_its_turns_back(chat, write_log, ingest_night, shown):
    first = write_log("1.jsonl", chat("c", "a", "b"))
    ingest_night(first, log_date=FIRST)
    ingest_night(write_log("2.jsonl", chat("c", *"abcd")), log_date=SECOND)
    write_log("1.jsonl", chat("another", "x"))
    ingest_night(first, log_date=FIRST, max_lost_share=1.0)
    assert shown() == [(FIRST, "x"), (SECOND, "a"), (SECOND, "b"), (SECOND, "c"), (SECOND, "d")]


def dated(conversation: dict, *moments: str) -> dict:
    for message, moment in zip(conversation["messages"], moments, strict=True):
        message["timestamp"] = moment
    return conversation


def test_each_record_may_say_its_night(catalog, chat, write_log, ingest_night, sql):
    log = write_log(
        "a.jsonl",
        dated(chat("1", "a", "b"), "2026-03-01T23:50:00Z", "2026-03-01T23:51:00Z"),
        dated(chat("2", "a", "b"), "2026-03-01T23:59:00Z", "2026-03-02T00:01:00Z"),
        chat("3", "a"),
        b"{",
    )
    report = ingest_night(log, log_date=THIRD, dating="record", max_reject_share=0.5)
    assert (report.lines_in, report.conversations, report.rejected) == (4, 3, 1)
    assert sql("SELECT log_date, conversation_id FROM conversations ORDER BY ALL") == [
        (FIRST, "1"), (SECOND, "2"), (THIRD, "3"),
    ]  # fmt: skip
    assert [night_counts(catalog, night).lines_in for night in NIGHTS] == [1, 1, 2]
    assert not ingest_night(log, log_date=THIRD, dating="record").published


def test_a_log_of_many_nights_that_grew_is_replaced_in_all_of_them(
    catalog, chat, write_log, ingest_night, sql
):
    old = dated(chat("1", "a"), "2026-03-01T10:00:00Z")
    ingest_night(write_log("a.jsonl", old), log_date=THIRD, dating="record")
    new = dated(chat("2", "b"), "2026-03-02T10:00:00Z")
    ingest_night(write_log("a.jsonl", old, new), log_date=THIRD, dating="record")
    assert sql("SELECT log_date, content FROM turns ORDER BY ALL") == [(FIRST, "a"), (SECOND, "b")]
    ingest_night(write_log("a.jsonl", new), log_date=THIRD, dating="record")
    assert sql("SELECT log_date, content FROM turns ORDER BY ALL") == [(SECOND, "b")]
    assert night_counts(catalog, FIRST).lines_in == 0


def test_bots_are_flagged_across_nights(chat, write_log, ingest_night, sql):
    said = "please write a short story about a lighthouse keeper who finds a bottle with a map "
    for night in (FIRST, SECOND):
        bots = [chat(f"{night}-{i}", f"{said * 2} number {i} of {night}") for i in range(3)]
        ingest_night(write_log(f"{night}.jsonl", *bots), log_date=night)
    clusters = sql("SELECT count(DISTINCT cluster), count(cluster), count(*) FROM conversations")
    assert clusters == [(1, 6, 6)]


def test_the_longest_state_wins_within_a_night(catalog, chat, write_log, ingest_night, shown):
    states = [chat("c", *"abcd"[:n]) for n in (2, 4, 3)]
    report = ingest_night(write_log("a.jsonl", *states), log_date=FIRST)
    assert (report.conversations, report.duplicates) == (1, 2)
    assert [text for _, text in shown()] == list("abcd")
    assert len(live_files(catalog, "turns")) == 1
