"""Logs that another one was written over, and logs that were corrected."""

import datetime as dt
import json

import pytest

from ingestion.hashes import user_key
from ingestion.options import IngestionOptions
from ingestion.retry import retry
from warehouse.barred import Bar, bar
from warehouse.errors import QualityLimit

FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (1, 2, 3))
NOW = dt.datetime(2026, 3, 4, 4, tzinfo=dt.UTC)

# Ids of the conversations that a log holds at first -> those that it holds next; how many of how
# many are said to be gone, None where the log is replaced.
REWRITTEN = {
    "the next log": ("abc", "def", "3 of the 3"),
    "most of it is gone": ("abc", "a", "2 of the 3"),
    "all of it is gone": ("abc", "", "3 of the 3"),
    "corrected": ("abc", "abd", None),
    "half of it is gone": ("ab", "a", None),
    "grown": ("abc", "abcdefghi", None),
    "as it was, in another order": ("abc", "cba", None),
}


@pytest.mark.parametrize("before, after, says", REWRITTEN.values(), ids=REWRITTEN)
@pytest.mark.parametrize("dating", ["run", "record"])
def test_a_log_that_is_read_again(dating, before, after, says, chat, write_log, ingest_night, sql):
    def write(ids, said):
        records = [chat(name, f"{name} {said}") for name in ids]
        return write_log("app.jsonl", *records)

    ingest_night(write(before, "first"), dating=dating)
    shown = sql("SELECT content FROM turns ORDER BY 1")
    log = write(after, "second")
    if says is None:
        assert ingest_night(log, dating=dating).published
        assert sql("SELECT content FROM turns ORDER BY 1") == [
            (f"{i} second",) for i in sorted(after)
        ]
        return
    with pytest.raises(QualityLimit, match=rf"app\.jsonl: {says} .*\n.*MAX_LOST_SHARE=1"):
        ingest_night(log, dating=dating)
    assert sql("SELECT content FROM turns ORDER BY 1") == shown
    assert ingest_night(log, dating=dating, max_lost_share=1.0).published
    assert len(sql("FROM turns")) == len(after)


def dated(record, at):
    for message in record["messages"]:
        message["timestamp"] = at
    return record


def test_a_dated_log_that_the_next_night_wrote_over(chat, write_log, ingest_night, sql):
    old = [dated(chat(name, name), "2026-03-01T10:00:00Z") for name in "ab"]
    new = [dated(chat(name, name), "2026-03-02T10:00:00Z") for name in "cd"]
    ingest_night(write_log("app.jsonl", *old), log_date=SECOND, dating="record")
    with pytest.raises(QualityLimit, match="2 of the 2"):
        ingest_night(write_log("app.jsonl", *new), log_date=THIRD, dating="record")
    assert sql("SELECT log_date, content FROM turns ORDER BY 2") == [(FIRST, "a"), (FIRST, "b")]
    ingest_night(write_log("app-2.jsonl", *new), log_date=THIRD, dating="record")
    assert len(sql("FROM turns")) == 4


def test_ids_that_were_made_anew_are_no_loss(chat, write_log, ingest_night, sql):
    said = "a question that is long enough to be told from all others, whoever asks it" * 9
    ingest_night(write_log("app.jsonl", *(chat(i, f"{i} {said}", "yes") for i in range(3))))
    ingest_night(write_log("app.jsonl", *(chat(i + 9, f"{i} {said}", "yes") for i in range(3))))
    assert sql("SELECT DISTINCT conversation_id FROM turns ORDER BY 1") == [
        ("10",),
        ("11",),
        ("9",),
    ]


def test_a_conversation_that_another_log_of_the_run_holds_is_no_loss(
    chat, write_log, ingest_night, sql
):
    ingest_night(write_log("a.jsonl", chat("1", "x"), chat("2", "y")))
    logs = (
        write_log("a.jsonl", chat("3", "z")),
        write_log("b.jsonl", chat("2", "y"), chat("1", "x")),
    )
    assert ingest_night(*logs).conversations == 3


def test_what_an_erased_user_said_is_meant_to_go(catalog, chat, write_log, ingest_night, sql):
    said = [{**chat(name, name), "user": user} for name, user in zip("abc", "xxy", strict=True)]
    ingest_night(write_log("app.jsonl", *said))
    with catalog.write() as connection:
        bar(connection, Bar.ERASED, [user_key("x", b"a secret")])
    report = ingest_night(write_log("app.jsonl", *said, chat("d", "d")))
    assert (report.suppressed, report.conversations) == (2, 2)


def test_logs_are_named_and_many_are_a_number(chat, write_log, ingest_night):
    def write(said):
        return [write_log(f"{n}.jsonl", chat(f"{said} {n}", said)) for n in range(7)]

    ingest_night(*write("x"))
    with pytest.raises(QualityLimit, match=r"4\.jsonl: 1 of the 1 .*\n  and of 2 more logs"):
        ingest_night(*write("y"))


def test_a_log_whose_rejects_are_retried(catalog, chat, write_log, ingest_night, sql):
    log = write_log("app.jsonl", chat("a", "x"), chat("b", "y"), b"{")
    ingest_night(log, max_reject_share=1.0)
    log.write_text(json.dumps(chat("c", "z")) + "\n")

    def again(**options):
        retry(
            catalog, log_date=None, options=IngestionOptions(**options), user_key=b"a secret",
            now=NOW,
        )  # fmt: skip

    with pytest.raises(QualityLimit, match="2 of the 2"):
        again()
    assert sql("SELECT content FROM turns ORDER BY 1") == [("x",), ("y",)]
    again(max_lost_share=1.0)
    assert sql("SELECT content FROM turns") == [("z",)]
