"""Which night a log counts to, and what a night adds up to after several runs."""

import datetime as dt
from pathlib import Path

import pytest

from ingestion import due
from ingestion.job import ingest
from ingestion.logs.places import find
from ingestion.options import IngestionOptions
from warehouse import publish
from warehouse.ledger import SourceFile
from warehouse.query import night_counts

NIGHT = dt.date(2026, 3, 1)
LATER = dt.date(2026, 3, 2)
TODAY = dt.date(2026, 3, 3)
NOW = dt.datetime(2026, 3, 4, 4, tzinfo=dt.UTC)


def line(letter: str) -> bytes:
    return b'{"id": "%b"}' % letter.encode()


@pytest.fixture
def store_logs(catalog, write_log, look):
    """Put logs into the ledger of a night, as an ingestion does."""

    def put(night, logs):
        files = look(*(write_log(n, *map(line, text)) for n, text in logs.items()))
        run = f"ingest-{night}"
        publish.begin(catalog, run_id=run, stage="ingest", log_date=night, now=NOW)
        publish.publish(
            catalog,
            run_id=run,
            staged=[],
            replaces=[],
            sources=[
                SourceFile(name=f.name, log_date=night, size=f.size, stamp=f.stamp,
                           sha256=f.sha256, lines=1, duplicates=0, suppressed=0)
                for f in files
            ],
            counts={}, seen=publish.Seen(erasure=0), watermark=night,
            now=NOW,
        )  # fmt: skip

    return put


# What is published before: {night: {log: its lines, a letter each}}. Logs as they are now -> what
# is due.
DUE = {
    "published": ({NIGHT: {"a": "x"}}, {"a": "x"}, None, {}),
    "new": ({NIGHT: {"a": "x"}}, {"b": "y"}, None, {TODAY: ["b"]}),
    "of another name": ({NIGHT: {"a": "x"}}, {"b": "x"}, None, {}),
    "grown": ({NIGHT: {"a": "x"}}, {"a": "xy"}, None, {NIGHT: ["a"]}),
    "grown, beside a new one": (
        {NIGHT: {"a": "x"}},
        {"a": "xy", "b": "z"},
        None,
        {NIGHT: ["a"], TODAY: ["b"]},
    ),
    "grown in its newest night": (
        {NIGHT: {"a": "x"}, LATER: {"a": "y"}},
        {"a": "yz"},
        None,
        {LATER: ["a"]},
    ),
    "overwritten by the next night's": ({NIGHT: {"a": "x"}}, {"a": "yz"}, None, {TODAY: ["a"]}),
    "grown from nothing": ({NIGHT: {"a": ""}}, {"a": "x"}, None, {TODAY: ["a"]}),
    "overwritten by less": ({NIGHT: {"a": "xy"}}, {"a": "x"}, None, {TODAY: ["a"]}),
    "two new ones of one content": ({}, {"a": "x", "b": "x"}, None, {TODAY: ["a"]}),
    "grown, and a copy of it": (
        {NIGHT: {"b": "x"}},
        {"a": "xy", "b": "xy"},
        None,
        {NIGHT: ["b"]},
    ),
    "published in that night": ({NIGHT: {"a": "x"}}, {"a": "x", "b": "x"}, NIGHT, {}),
    "published in another night": ({NIGHT: {"a": "x"}}, {"a": "x"}, LATER, {LATER: ["a"]}),
    "grown, for another night": ({NIGHT: {"a": "x"}}, {"a": "xy"}, LATER, {LATER: ["a"]}),
    "nothing": ({}, {}, None, {}),
}


@pytest.mark.parametrize("before, logs, log_date, expected", DUE.values(), ids=DUE)
def test_the_nights_that_logs_are_due_for(
    before, logs, log_date, expected, catalog, write_log, store_logs
):
    for night, published in before.items():
        store_logs(night, published)
    files = find([str(write_log(n, *map(line, text))) for n, text in logs.items()])
    found = due.nights(catalog, files, log_date=log_date, today=TODAY)
    names = {night: [Path(file.name).name for file in new] for night, new in found.items()}
    assert names == expected


def test_a_log_of_the_same_stamp_is_not_read(catalog, write_log, store_logs, monkeypatch):
    store_logs(NIGHT, {"a": "x"})
    monkeypatch.setattr(due, "digest", lambda log: pytest.fail("it was read"))
    assert due.nights(catalog, find(["a"]), log_date=None, today=TODAY) == {}


def test_a_path_says_its_night(catalog, chat, write_log, ingest_night):
    """A log that comes late for a night that is read already joins that night."""
    write_log("2026-03-01/a.jsonl", chat("1", "x"))
    write_log("2026-03-02/a.jsonl", chat("2", "x"))
    found = due.nights(catalog, find(["{date}/*.jsonl"]), log_date=None, today=TODAY)
    assert {night: len(logs) for night, logs in found.items()} == {NIGHT: 1, LATER: 1}
    assert ingest_night("{date}/*.jsonl", log_date=NIGHT).conversations == 1
    late = write_log("2026-03-01/late.jsonl", chat("3", "x"))
    found = due.nights(catalog, find(["{date}/*.jsonl"]), log_date=None, today=TODAY)
    assert [file.name for file in found[NIGHT]] == [str(late.resolve())]


def test_where_records_say_their_night_the_path_does_not(catalog, chat, write_log):
    record = chat("1", "x")
    record["messages"][0]["timestamp"] = "2026-02-28T23:00:00Z"
    write_log("2026-03-01.jsonl", record)
    reports = [
        ingest(
            catalog,
            logs=find(["{date}.jsonl"]),
            log_date=day,
            options=IngestionOptions(),
            user_key=b"a secret",
            now=NOW,
            dating="record",
        )
        for day in (LATER, TODAY)
    ]
    assert [report.published for report in reports] == [True, False]


def test_a_log_of_another_name_or_folder_is_not_new(
    chat, write_log, ingest_night, tmp_path, monkeypatch
):
    log = write_log("logs/a.jsonl", chat("1", "x"))
    assert ingest_night(log).published
    assert not ingest_night(log.absolute()).published
    monkeypatch.chdir(tmp_path / "logs")
    assert not ingest_night(log.relative_to("logs")).published


def test_a_night_adds_up_after_late_and_replaced_logs(catalog, chat, write_log, ingest_night, sql):
    def check(lines_in, conversations, rejected, duplicates):
        night = night_counts(catalog, NIGHT)
        assert (night.lines_in, night.duplicates) == (lines_in, duplicates)
        assert (night.conversations, night.rejected_by_reason) == (conversations, rejected)
        out = night.conversations + night.rejected + night.duplicates + night.suppressed
        assert (night.lines_in, night.rejected) == (out, sum(rejected.values()))
        assert sql("SELECT count(*) FROM turns") == [(night.turns,)]

    a = write_log("a.jsonl", chat("1", "x", "y"), chat("1", "x"), b"{")
    ingest_night(a, max_reject_share=0.5)
    check(3, 1, {"invalid_json": 1}, 1)
    ingest_night(write_log("late.jsonl", chat("1", "x", "y"), chat("2", "z")))
    check(5, 2, {"invalid_json": 1}, 2)
    write_log("a.jsonl", chat("1", "x"), chat("2", "other"), chat("3", "u", "v", "w"))
    ingest_night(a, max_reject_share=0.5)
    check(5, 3, {"id_clash": 1}, 1)
    ingest_night(write_log("b.jsonl", chat("9", "x")), log_date=LATER)
    assert night_counts(catalog, NIGHT).lines_in == 5
