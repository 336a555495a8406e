"""Two ingestions at once: all or nothing of each, and no duplicate is missed."""

import datetime as dt

import pytest

from ingestion import job
from warehouse import publish
from warehouse.errors import CommitConflict
from warehouse.query import live_files
from warehouse.records import ConversationFacts
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter

NOW = dt.datetime(2026, 3, 2, 4, tzinfo=dt.UTC)
LATER = dt.date(2026, 3, 2)


@pytest.fixture
def elsewhere(catalog):
    """Publish a conversation, as a run on another machine does: no lock keeps it out."""

    def run() -> None:
        facts = ConversationFacts(
            conversation_id="9", source="openai", messages=1, content_hash="", chain=0,
            origin_file="/elsewhere", origin_offset=0,
        )  # fmt: skip
        writer = PartitionWriter(catalog.root, Partition("conversations", LATER, "/elsewhere"))
        writer.write(to_batch("conversations", LATER, [facts]))
        file = writer.close()
        publish.begin(catalog, run_id="other", stage="ingest", log_date=LATER, now=NOW)
        publish.publish(
            catalog, run_id="other", staged=[file], replaces=[file.partition], counts={}, now=NOW,
            seen=publish.Seen(erasure=0),
        )  # fmt: skip

    return run


def test_a_warehouse_that_changed_meanwhile_is_a_conflict(
    catalog, chat, write_log, ingest_night, elsewhere, monkeypatch, sql, orphans
):
    """What is a duplicate, and what goes on, was decided by what the other logs held."""

    def late(scene):
        settled = settle(scene)
        elsewhere()
        return settled

    settle = job.settle
    log = write_log("a.jsonl", chat("1", "x"), chat("2", "y"))
    with monkeypatch.context() as patch, pytest.raises(CommitConflict, match="run again"):
        patch.setattr(job, "settle", late)
        ingest_night(log)
    assert not live_files(catalog, "turns")
    assert ingest_night(log).conversations == 2
    assert sql("SELECT count(*) FROM turns") == [(2,)]
    assert not orphans()


def test_of_two_identical_ingestions_at_once_one_works(
    catalog, chat, write_log, ingest_night, monkeypatch, sql
):
    def meanwhile(*args, **kwargs):
        with pytest.raises(CommitConflict, match="another process is at work on this run"):
            ingest_night(log)
        return run_pipeline(*args, **kwargs)

    run_pipeline = job.run_pipeline
    log = write_log("a.jsonl", chat("1", "x"))
    with monkeypatch.context() as patch:
        patch.setattr(job, "run_pipeline", meanwhile)
        assert ingest_night(log).published
    assert not ingest_night(log).published
    assert sql("SELECT state, counts.lines_in::INT FROM runs") == [("committed", 1)]


def test_a_log_that_is_published_while_another_run_starts(
    catalog, chat, write_log, ingest_night, monkeypatch
):
    """Just after that run has asked the ledger what is new."""

    def late(*args, **kwargs):
        monkeypatch.setattr(job, "plan", plan)
        run = plan(*args, **kwargs)
        assert ingest_night(log).published
        return run

    log, plan = write_log("a.jsonl", chat("1", "x")), job.plan
    monkeypatch.setattr(job, "plan", late)
    report = ingest_night(log)
    assert (report.published, report.new_files, report.lines_in) == (False, (), 0)
    assert {file.generation for file in live_files(catalog, "turns")} == {1}
    assert not [path for path in (catalog.root / "staging").iterdir() if path.is_dir()]
