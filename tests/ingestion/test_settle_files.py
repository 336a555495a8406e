"""Which files a run publishes: those that were staged, those written anew, rejects of clashes."""

import datetime as dt

import msgspec
import pyarrow.parquet as pq
import pytest

from ingestion import rewrite
from ingestion.hashes import hash_of
from ingestion.logs.lines import Line
from ingestion.settle import settle
from warehouse.errors import SourceUnavailable
from warehouse.live import LiveFile
from warehouse.schema import Partition


def record(night: int, log: str, texts: str, id: str = "x", user: str | None = None, **more):
    """A record of a log: a message a letter."""
    return {"night": night, "log": log, "texts": texts, "id": id, "user": user, **more}


def night(number: int) -> dt.date:
    return dt.date(2026, 3, number)


def test_duplicates_are_counted_by_night_and_log(world):
    world.ingest(record(1, "a", "abcd"))
    settled = world.ingest(
        *(record(1, "b", text) for text in ("ab", "abc")),
        record(2, "b", "abcd"),
        record(2, "c", "a"),
    )
    assert settled.duplicates == {(night(1), "b"): 2, (night(2), "b"): 1, (night(2), "c"): 1}


def test_files_without_a_change_are_published_as_they_are(world):
    world.ingest(record(1, "a", "ab"), record(1, "b", "ef", "y"))
    staged = world.stage(record(2, "a", "abcd"), record(2, "b", "gh", "z"))
    kept = {file.path for file in staged if file.part == "b" or file.table != "turns"}
    before = {file.path: (world.root / file.path).read_bytes() for file in staged}
    settled = settle(world.scene(staged, set()))
    assert {file.path for file in settled.staged} - set(world.noted) == kept
    assert len(world.noted) == 1, "the turns of a, with what is carried"
    assert {path: (world.root / path).read_bytes() for path in before} == before


def test_files_without_a_change_are_not_even_looked_at(world, monkeypatch):
    looked_at = []

    def edits(connection, root, file):
        looked_at.append(file.partition)
        return rewrite_edits(connection, root, file)

    rewrite_edits = rewrite.edits
    monkeypatch.setattr(rewrite, "edits", edits)
    world.ingest(*(record(1, f"{n}", f"{n}b", f"{n}") for n in range(9)), record(1, "a", "0", "0"))
    assert looked_at == [Partition(table, night(1), "a") for table in ("turns", "conversations")]


def test_a_file_that_loses_all_is_left_out(world):
    world.ingest(record(1, "a", "ab"))
    settled = world.ingest(record(2, "a", "ab"))
    assert [file.table for file in settled.staged] == ["rejects"]
    assert world.noted == []


def test_a_published_partition_is_written_anew_as_a_whole(world):
    log_date = night(2)
    world.ingest(record(2, "a", "abcd"), record(2, "b", "ef", "y"))
    turns, facts = world.make(500, record(2, "a", "gh", "z"))  # of another shard of the log
    for table, contents in (("turns", turns), ("conversations", [facts])):
        known = msgspec.structs.asdict(world.write(table, log_date, "a", contents))
        world.live.append(LiveFile(**known, generation=1, commit_id=1))
    settled = world.ingest(record(1, "a", "abcdef"))
    assert settled.rewritten == {Partition("turns", log_date, "a")}
    anew = [file for file in settled.staged if file.log_date == log_date]
    assert [(file.table, file.part, file.rows) for file in anew] == [
        ("turns", "a", n) for n in (4, 2)
    ]
    assert {file.path for file in anew} == set(world.noted)
    assert world.shown() == ["1a x abcdef", "2a x (abcd)", "2a z gh", "2b y ef"]


def test_a_clash_is_a_reject_with_the_digest_of_its_line(world):
    world.ingest(record(1, "a", "ab"))
    records = record(2, "b", "cd", "y"), record(2, "b", "zb"), record(3, "b", "zc")
    staged = world.stage(*records)
    # The line that envelops the last two, and one that could not be read.
    world.lines["b"] = [
        Line(0, b"y"),
        world.broken("b"),
        Line(10, b"long"),
        Line(10, b"x"),
        Line(20, b"z"),
    ]
    settled = settle(world.scene(staged, set()))
    files = [
        file for file in settled.staged if file.path in world.noted and file.table == "rejects"
    ]
    found = [pq.read_table(world.root / file.path).to_pylist() for file in files]
    assert [(file.log_date, file.part) for file in files] == [(night(2), "b"), (night(3), "b")]
    names = ("reason", "origin_offset", "length", "digest", "detail")
    assert [[tuple(row[name] for name in names) for row in rows] for rows in found] == [
        [("id_clash", 10, 4, hash_of(b"long"), "its id belongs to the record at 0 of a")],
        [("id_clash", 20, 1, hash_of(b"z"), "its id belongs to the record at 0 of a")],
    ]


def test_a_log_that_changed_meanwhile_stops_the_run(world):
    staged = world.stage(record(1, "a", "ab"), record(1, "a", "zb"))
    del world.lines["a"][1]
    with pytest.raises(SourceUnavailable, match="a: it has changed since it was read"):
        settle(world.scene(staged, set()))


def test_records_that_one_line_envelops_are_told_apart(world):
    made = [world.make(0, record(1, "a", "ab")), world.make(0, record(1, "a", "cd", "y"))]
    staged = [
        world.write("turns", night(1), "a", [turn for turns, _ in made for turn in turns]),
        world.write("conversations", night(1), "a", [facts for _, facts in made]),
    ]
    world.ingest(record(1, "b", "ab"))
    settled = settle(world.scene(staged, set()))
    left = [pq.read_table(world.root / file.path) for file in settled.staged]
    assert [set(table["conversation_id"].to_pylist()) for table in left] == [{"y"}, {"y"}]


def test_near_duplicates_are_marked_where_they_are_staged(world):
    world.ingest(record(1, "a", "ab", "x", sketch=(1, 2)))
    before = list(world.live)
    settled = world.ingest(
        record(2, "a", "cd", "y", sketch=(2, 3)), record(2, "a", "ef", "z", sketch=(4,))
    )
    assert settled.rewritten == set()
    assert world.live[: len(before)] == before
    clusters = {row["conversation_id"]: row["cluster"] for row in world.rows("conversations")}
    assert (clusters["x"], clusters["z"]) == (None, None)
    assert len(clusters["y"]) == 32


def test_near_duplicates_lie_within_the_window(world):
    world.ingest(record(1, "a", "ab", "x", sketch=(1,)))
    world.ingest(record(9, "a", "cd", "y", sketch=(1,)), window=7)
    assert [row["cluster"] for row in world.rows("conversations")] == [None, None]
