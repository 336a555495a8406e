import datetime as dt
import json
from pathlib import Path

import pytest

from ingestion.options import IngestionOptions
from ingestion.retry import retry
from warehouse.query import generations, night_counts

NIGHT = dt.date(2026, 3, 1)
LATER = dt.date(2026, 3, 2)
NOW = dt.datetime(2026, 3, 2, 4, tzinfo=dt.UTC)


@pytest.fixture
def again(catalog):
    def run(log_date=None, gone=(), **options):
        gone = list(gone)
        reports, missing = retry(
            catalog,
            log_date=log_date,
            options=IngestionOptions(**{"max_reject_share": 1.0} | options),
            user_key=b"a secret",
            now=NOW,
        )
        assert missing == gone
        return reports

    return run


@pytest.fixture
def half_read(chat, write_log, ingest_night) -> Path:
    """A log of another shape, read as openai; and one that is fine."""
    own = {"chat": [{"who": "user", "says": "hi"}]}
    log = write_log("own.jsonl", own, own)
    ingest_night(log, format="openai", max_reject_share=1.0)
    ingest_night(write_log("fine.jsonl", chat("1", "x")))
    return log


MAPPING = {"messages": "chat", "role": "who", "content": "says"}


def test_after_the_settings_were_mended(again, half_read, catalog, sql):
    from ingestion.formats.mapping_options import Mapping

    (report,) = again(mapping=Mapping(**MAPPING))
    assert (report.published, report.log_date) == (True, NIGHT)
    assert report.new_files == (str(half_read.resolve()),)
    # Records without an id are known by their bytes: the second is a copy.
    assert (report.conversations, report.duplicates, report.rejected) == (1, 1, 0)
    assert sql("SELECT content FROM turns ORDER BY 1") == [("hi",), ("x",)]
    assert night_counts(catalog, NIGHT).rejected == 0
    assert again(mapping=Mapping(**MAPPING)) == []


def test_nothing_that_was_mended_changes_nothing(again, half_read, catalog):
    before = generations(catalog, "turns", NIGHT)
    for _ in range(2):
        (report,) = again(format="openai")
        assert (report.published, report.new_files) == (False, ())
    assert generations(catalog, "turns", NIGHT) == before
    assert night_counts(catalog, NIGHT).rejected == 2


def test_after_the_log_was_mended(again, half_read, chat, sql):
    half_read.write_text("".join(json.dumps(chat(i, "mended")) + "\n" for i in "ab"))
    (report,) = again()
    assert (report.conversations, report.rejected) == (2, 0)
    assert sql("SELECT count(*) FROM turns WHERE content = 'mended'") == [(2,)]


def test_a_log_that_is_gone_is_named_and_keeps_no_other(
    again, half_read, chat, write_log, ingest_night, catalog
):
    other = write_log("other.jsonl", chat("2", "y"), b"{")
    ingest_night(other, max_reject_share=1.0)
    name = str(half_read.resolve())
    half_read.unlink()
    write_log("other.jsonl", chat("2", "y"), chat("3", "z"))
    (report,) = again(gone=[name])
    assert (report.published, report.rejected) == (True, 0)
    assert night_counts(catalog, NIGHT).rejected == 2, "those of the log that is gone"
    assert again(gone=[name]) == []


def test_only_the_night_that_is_named(again, half_read):
    assert again(LATER) == []
    assert len(again(NIGHT)) == 1


def test_a_log_that_the_next_night_overwrote_is_left_alone(
    again, chat, write_log, ingest_night, sql
):
    ingest_night(write_log("app.jsonl", chat("1", "first"), b"{"), max_reject_share=1.0)
    ingest_night(write_log("app.jsonl", chat("2", "second")), log_date=LATER)
    assert again() == []
    assert sql("SELECT content FROM turns ORDER BY ALL") == [("first",), ("second",)]


def test_a_log_of_many_nights_is_retried_once_for_all_of_them(
    again, chat, write_log, ingest_night, sql
):
    def at(day, record):
        record["messages"][0]["timestamp"] = f"2026-02-{day}T10:00:00Z"
        return record

    kept, clash = at(10, chat("1", "x")), at(11, chat("1", "other"))
    log = write_log("many.jsonl", kept, clash, b"{")
    ingest_night(log, dating="record", max_reject_share=1.0)
    write_log("many.jsonl", kept, clash, at(12, chat("2", "mended")))
    (report,) = again()
    assert (report.published, report.log_date, report.rejected) == (True, NIGHT, 1)
    assert sql("SELECT log_date, reason FROM rejects") == [(dt.date(2026, 2, 11), "id_clash")]
    assert not again(dt.date(2026, 2, 11))[0].published
