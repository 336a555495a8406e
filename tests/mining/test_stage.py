import datetime as dt

import pyarrow.parquet as pq
import pytest

from mining.harvest import TurnsFile
from mining.stage import SHARD_BYTES, MiningJob, TurnsShard, shards, stage_turns
from warehouse.schema import DSAT_TURNS, SIGNALS, Partition, to_batch
from warehouse.staging import PartitionWriter, verify

NIGHT = dt.date(2026, 3, 1)
WRONG = ("u capital of Australia?", "a Sydney.", "u No, that's wrong, it's Canberra")


@pytest.fixture
def job(tmp_path):
    return MiningJob(store=tmp_path, log_date=NIGHT, opted_out=frozenset())


@pytest.fixture
def shard(tmp_path):
    """A shard of files of turns, each of one list of conversations."""

    def make(*files):
        written = []
        for conversations in files:
            writer = PartitionWriter(tmp_path, Partition("turns", NIGHT, "log.jsonl"))
            for conversation in conversations:
                writer.write(to_batch("turns", NIGHT, conversation.turns))
            written.append(TurnsFile(writer.close().path, ()))
        return TurnsShard(tuple(written))

    return make


def test_a_shard_is_staged_as_one_file_of_a_table(tmp_path, job, shard, detector, conversation):
    said = [conversation(*WRONG, name=f"c{i}") for i in range(150)]
    found = shard(said, [conversation("u q", "a r", name="d")])
    noted = []
    done = stage_turns(found, detector, noted.append, job=job)
    assert (done.shard, done.lines) == (found.files[0].path, 151)
    assert [file.path for file in done.staged] == noted
    part = f"{detector.name}@{detector.version}"
    assert [(f.table, f.part, f.rows) for f in done.staged] == [
        ("signals", part, 150),
        ("dsat_turns", part, 150),
    ]
    for file, schema in zip(done.staged, (SIGNALS, DSAT_TURNS), strict=True):
        verify(tmp_path, file)
        assert pq.read_schema(tmp_path / file.path).names == schema.names


def test_nothing_found_is_no_file(job, shard, detector, conversation):
    done = stage_turns(shard([conversation("u q", "a r")]), detector, list, job=job)
    assert (done.lines, done.staged) == (1, [])


def test_where_it_fails_no_file_is_left(tmp_path, job, shard, detector, conversation):
    found = shard([conversation(*WRONG, name=f"c{i}") for i in range(150)])
    lost = TurnsShard((*found.files, TurnsFile("data/lost.parquet", ())))
    with pytest.raises(FileNotFoundError):
        stage_turns(lost, detector, list, job=job)
    assert [path.parent.parent.name for path in tmp_path.rglob("*.parquet")] == ["turns"]


MB = 2**20
# Sizes of the turns files in MB, workers -> the sizes in each shard.
DEALT = {
    "none": ([], 1, []),
    "small ones are one shard": ([1, 3, 2], 1, [[3, 2, 1]]),
    "one a worker at least": ([1, 3, 2], 2, [[3, 1], [2]]),
    "never more than files": ([1], 4, [[1]]),
    "large ones": ([32, 64, 32], 1, [[64], [32], [32]]),
}


@pytest.mark.parametrize("sizes, workers, dealt", DEALT.values(), ids=DEALT)
def test_files_are_dealt_by_size(sizes, workers, dealt):
    assert SHARD_BYTES == 32 * MB
    files = {TurnsFile(f"{at}", ()): size * MB for at, size in enumerate(sizes)}
    found = shards(list(files.items()), workers)
    assert [[files[file] // MB for file in shard.files] for shard in found] == dealt
