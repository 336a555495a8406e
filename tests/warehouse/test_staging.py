"""Rows to files and back, and files that are not what their writer said."""

import datetime as dt
import hashlib
import os

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import durable, staging
from warehouse.errors import CorruptStaging
from warehouse.records import Category, Evidence, Role, Signal, SignalKind, Turn
from warehouse.schema import TABLES, TURNS, Partition, to_batch

NIGHT = dt.date(2026, 11, 20)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INSTANTS = st.datetimes(dt.datetime(1970, 1, 1), timezones=st.just(dt.UTC))
ROWS = {
    "turns": st.builds(
        Turn,
        turn_id=TEXT, conversation_id=TEXT, turn_index=st.integers(0, 2**31 - 1),
        role=st.sampled_from(Role), content=TEXT, model=st.none() | TEXT,
        event_ts=st.none() | INSTANTS, thumb=st.sampled_from([None, 1, -1]),
        regenerated=st.none() | st.booleans(), source=TEXT, origin_file=TEXT,
        origin_offset=st.integers(0, 2**63 - 1), chain=st.integers(0, 2**64 - 1),
    ),
    "signals": st.builds(
        Signal,
        turn_id=TEXT, conversation_id=TEXT, turn_index=st.integers(0, 2**31 - 1),
        answer_turn_id=TEXT, signal=st.sampled_from(SignalKind),
        category=st.sampled_from(Category), probability=st.floats(0, 1),
        evidence=st.lists(
            st.builds(
                Evidence, rule=TEXT, start=st.integers(0, 9), end=st.integers(0, 9),
                weight=st.floats(-9, 9),
            ),
            max_size=3,
        ).map(tuple),
        detector=TEXT, detector_version=TEXT, event_ts=st.none() | INSTANTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", ROWS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_rows_come_back_from_a_batch_as_they_went_in(table: str, data) -> None:
    rows = data.draw(st.lists(ROWS[table], max_size=5))
    batch = to_batch(table, NIGHT, rows)
    assert batch.schema == TABLES[table]
    back = [msgspec.convert(row, type(rows[0])) for row in batch.to_pylist()]
    assert back == rows


def test_a_row_that_does_not_fit_is_a_defect(store) -> None:
    with pytest.raises(pa.ArrowInvalid):
        to_batch("turns", NIGHT, [store.turn(1, turn_index="first")])


def test_a_closed_file_is_what_its_writer_says(store) -> None:
    staged = store.stage("turns", "a", [store.turn(i, event_ts=store.now) for i in range(3)])
    data = (store.root / staged.path).read_bytes()
    assert staged.path.startswith("data/turns/log_date=2026-11-20/")
    assert (staged.rows, staged.bytes) == (3, len(data))
    assert staged.sha256 == hashlib.sha256(data).hexdigest()
    assert staged.stats == {"event_ts": [store.now.isoformat()] * 2}
    staging.verify(store.root, staged)


def test_a_file_carries_field_ids_and_its_night(store) -> None:
    path = store.root / store.stage("turns", "a", [store.turn(1)]).path
    schema = pq.read_schema(path)
    ids = [field.metadata[b"PARQUET:field_id"] for field in schema]
    assert ids == [field.metadata[b"PARQUET:field_id"] for field in TURNS]
    assert len(set(ids)) == len(TURNS)
    read = "SELECT log_date FROM read_parquet(?, hive_partitioning = false)"
    assert duckdb.execute(read, [str(path)]).fetchall() == [(NIGHT,)]


def test_field_ids_are_never_used_twice() -> None:
    for schema in TABLES.values():
        ids = [field.metadata[b"PARQUET:field_id"] for field in schema]
        assert len(set(ids)) == len(ids)


def test_row_groups_end_when_they_are_full(store, monkeypatch) -> None:
    monkeypatch.setattr(staging, "ROW_GROUP_ROWS", 4)
    writer = staging.PartitionWriter(store.root, Partition("turns", NIGHT, "a"))
    for start in range(0, 10, 2):
        writer.write(to_batch("turns", NIGHT, [store.turn(start), store.turn(start + 1)]))
    staged = writer.close()
    metadata = pq.read_metadata(store.root / staged.path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert (staged.rows, sizes) == (10, [4, 4, 2])


def test_files_of_one_partition_never_share_a_name(store) -> None:
    assert store.stage("turns", "a", []).path != store.stage("turns", "a", []).path


@pytest.mark.parametrize("field, value", [("bytes", 1), ("rows", 7)])
def test_a_wrong_word_about_a_file_is_noticed(store, field: str, value: int) -> None:
    staged = store.stage("turns", "a", [store.turn(1)])
    with pytest.raises(CorruptStaging, match="Nothing was published"):
        staging.verify(store.root, msgspec.structs.replace(staged, **{field: value}))


def test_a_whole_file_takes_the_place_of_the_old_one(tmp_path) -> None:
    path = tmp_path / "file"
    durable.write_whole(path, b"old")
    durable.write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    durable.write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        durable.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
