"""Small files of a partition become few, with the same rows in the same order."""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.manifest import read
from warehouse.query import generations, live_files, newest_commit, snapshot, stale_dates
from warehouse.schema import TABLES, Partition, shape, to_batch
from warehouse.staging import PartitionWriter
from warehouse.upkeep.compact import compact, plan

MB = 2**20


def publish_small(store, count: int, *, part: str = "a", run: str = "1") -> list[str]:
    """`count` files of two conversations each, published by one run -> their paths, in order."""
    staged = [
        store.stage("turns", part, [store.turn(i) for i in range(8 * n, 8 * n + 8)])
        for n in range(count)
    ]
    store.publish(run, *staged)
    return [file.path for file in staged]


def rows(store, *paths: str) -> list[dict]:
    return [row for path in paths for row in pq.read_table(store.root / path).to_pylist()]


def run(store, target: int = MB, now: dt.datetime | None = None):
    return compact(store.catalog, plan(store.catalog, target=target), now=now or store.now)


def live(store, table: str = "turns") -> list[str]:
    return [file.path for file in live_files(store.catalog, table)]


def test_small_files_of_a_partition_become_one_with_their_rows_in_order(store) -> None:
    paths = publish_small(store, 5)
    before = rows(store, *paths)
    shown = store.sql("FROM turns ORDER BY turn_index, turn_id")
    done = run(store)
    (merged,) = live(store)
    assert (done.files_before, done.files_after, done.skipped, done.damaged) == (5, 1, 0, ())
    assert rows(store, merged) == before, "as they were staged, not by the names of their files"
    assert store.sql("FROM turns ORDER BY turn_index, turn_id") == shown
    assert store.sql("SELECT commit_id FROM warehouse_info") == [(2,)]


def test_the_manifest_says_what_was_compacted(store) -> None:
    paths = publish_small(store, 2)
    run(store)
    said = read(store.root, 2)
    assert (said.kind, said.subject, said.compacted) == ("compact", "turns of 2026-11-20", paths)
    assert [file.path for file in said.staged] == live(store)
    assert (said.replaces, said.committed_at) == ([], store.now)


def test_generations_and_what_is_due_stay_as_they_were(store) -> None:
    publish_small(store, 2)
    store.publish("2", store.stage("signals", "rules@1", []))
    run(store)
    assert generations(store.catalog, "turns", store.night) == {
        Partition("turns", store.night, "a"): 1
    }
    assert stale_dates(store.catalog) == []
    assert newest_commit(store.catalog, "turns") == 1
    assert [file.generation for file in live_files(store.catalog, "turns")] == [1]


def test_older_snapshots_still_show_the_former_files(store) -> None:
    publish_small(store, 3)
    before = store.sql("FROM turns ORDER BY turn_id")
    run(store)
    with snapshot(store.catalog, 1) as connection:
        assert connection.execute("FROM turns ORDER BY turn_id").fetchall() == before


def test_compacting_again_finds_nothing(store) -> None:
    publish_small(store, 3)
    run(store)
    assert plan(store.catalog, target=MB) == []


def test_parts_and_nights_are_never_mixed(store) -> None:
    for number, part in enumerate("ab"):
        publish_small(store, 2, part=part, run=part)
        earlier = store.night - dt.timedelta(days=number + 1)
        store.publish(f"{part}2", store.stage("turns", part, [store.turn(1)], earlier))
    run(store)
    found = live_files(store.catalog, "turns")
    assert sorted(file.part for file in found if file.log_date == store.night) == ["a", "b"]
    assert len(found) == 4


def test_files_of_the_size_that_is_wanted_stay_as_they_are(store) -> None:
    paths = publish_small(store, 3)
    smallest = min((store.root / path).stat().st_size for path in paths)
    assert plan(store.catalog, target=smallest) == []
    # A group is full once it has that size.
    groups = plan(store.catalog, target=2 * smallest - 1)
    assert [len(group.files) for group in groups] == [2], "the third is alone"


def test_a_file_of_an_older_shape_is_made_todays(store, monkeypatch) -> None:
    """Alone or not; a column that it lacks is filled as its readers fill it."""
    whole = TABLES["turns"]
    older = pa.schema([field for field in whole if field.name not in ("thumb", "carried")])
    monkeypatch.setitem(TABLES, "turns", older)
    old = store.stage("turns", "a", [store.turn(1), store.turn(2)])
    monkeypatch.undo()
    assert old.shape != shape(whole)
    store.publish("1", old)
    shown = store.sql("FROM turns ORDER BY turn_id")
    done = run(store, target=1)
    (made,) = live_files(store.catalog, "turns")
    assert (done.files_before, done.files_after, made.shape) == (1, 1, shape(whole))
    assert pq.read_schema(store.root / made.path).names == whole.names
    assert store.sql("FROM turns ORDER BY turn_id") == shown
    assert plan(store.catalog, target=1) == []


def test_a_damaged_file_is_named_and_its_partition_left_alone(store) -> None:
    """Or the merged file would have a digest that vouches for the damage."""
    bad, _ = publish_small(store, 2)
    good = publish_small(store, 2, part="b", run="2")
    content = bytearray((store.root / bad).read_bytes())
    content[40] ^= 1
    (store.root / bad).write_bytes(content)
    done = run(store)
    (damage,) = done.damaged
    assert (damage.where, damage.what) == (bad, "has other bytes than were written")
    assert bad in live(store)
    assert not set(good) & set(live(store))
    assert done.skipped == 0


def test_empty_files_are_merged_too(store) -> None:
    store.publish("1", *(store.stage("rejects", "a", []) for _ in range(3)))
    assert (run(store).files_after, len(live(store, "rejects"))) == (1, 1)


@pytest.mark.parametrize("target", [1, MB], ids=["nothing", "all"])
def test_an_empty_warehouse_has_nothing_to_compact(store, target: int) -> None:
    assert plan(store.catalog, target=target) == []


def test_what_is_held_is_a_row_group_and_not_the_files(store, monkeypatch) -> None:
    monkeypatch.setattr("warehouse.staging.ROW_GROUP_BYTES", 2 * MB)
    turns = [store.turn(i, content="x" * 100_000) for i in range(400)]
    staged = [store.stage("turns", "a", []), store.stage("turns", "a", [])]
    for _ in range(2):
        writer = PartitionWriter(store.root, Partition("turns", store.night, "a"))
        for start in range(0, 400, 10):
            writer.write(to_batch("turns", store.night, turns[start : start + 10]))
        staged.append(writer.close())
    del turns
    store.publish("1", *staged)
    before = pa.total_allocated_bytes()
    held = []
    write = PartitionWriter.write

    def measured(self: PartitionWriter, batch: pa.RecordBatch) -> None:
        write(self, batch)
        held.append(pa.total_allocated_bytes() - before)

    monkeypatch.setattr(PartitionWriter, "write", measured)
    assert run(store).files_before == 4
    assert max(held) < 20 * MB, "of 80"
