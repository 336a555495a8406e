import datetime as dt
import os
import pickle
import subprocess
import sys

import pytest

from ingestion.handoff import Handoff, ShardDone, close_dead, noted
from warehouse.errors import CommitConflict, CorruptStaging
from warehouse.records import ReasonCode, Reject
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter

NOW = dt.datetime(2026, 3, 2, 4, tzinfo=dt.UTC)
NIGHT = dt.date(2026, 3, 1)
AGED = dt.timedelta(hours=25)


@pytest.fixture
def handoff(tmp_path):
    handoff = Handoff(tmp_path, tmp_path, "ingest-1")
    with handoff.held():
        yield handoff


def _stage(handoff, *, closed=True):
    """A noted data file of one row; its path where it is not closed."""
    writer = PartitionWriter(handoff.root, Partition("rejects", NIGHT, "a"), handoff.note)
    row = Reject(
        reason=ReasonCode.INVALID_JSON, origin_file="a", origin_offset=0, length=1, digest="0",
        detail="x",
    )  # fmt: skip
    writer.write(to_batch("rejects", NIGHT, [row]))
    return writer.close() if closed else writer


def _data_files(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*.parquet")}


def _none_named(paths):
    return set()


def _done(shard="s1", *staged, lines=1):
    return ShardDone(shard=shard, name="a", lines=lines, staged=list(staged))


def test_what_workers_tell_the_driver_reads(handoff):
    file = _stage(handoff)
    done = ShardDone(shard="s1", name="a", lines=3, suppressed={NIGHT: 2}, staged=[file])
    handoff.finish(done)
    assert handoff.done() == 1
    assert handoff.complete({"s1"}) == [done]
    assert handoff.staged() == [file]


def test_a_failure_that_cannot_be_told_is_a_missing_shard(handoff, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left")

    with monkeypatch.context() as patch:
        patch.setattr("ingestion.handoff.write_whole", full)
        handoff.fail(OSError("x"))
    with pytest.raises(CorruptStaging, match="1 of 1 shards"):
        handoff.complete({"s1"})


def test_a_shard_that_two_workers_staged_counts_once(handoff):
    first, second = _stage(handoff), _stage(handoff)
    for file in (first, second):
        handoff.finish(_done("s1", file))
    assert handoff.done() == 1
    assert handoff.staged() == [second]


def test_a_missing_shard_is_named_by_what_to_do(handoff):
    handoff.finish(_done("s1"))
    with pytest.raises(CorruptStaging, match=r"1 of 2 shards .* all of them see"):
        handoff.complete({"s1", "s2"})


def _spoil(root, file):
    (root / file.path).write_bytes(b"PAR1")


def _lose(root, file):
    (root / file.path).unlink()


LEFT_BEHIND = {
    "as it was": (None, {"s1"}, {"s1"}),
    "its file is gone": (_lose, {"s1"}, set()),
    "its file is not what it was": (_spoil, {"s1"}, set()),
    "cut differently now": (None, {"s2"}, set()),
}


@pytest.mark.parametrize("harm, planned, kept", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_an_attempt_takes_over_what_stands(harm, planned, kept, handoff):
    file = _stage(handoff)
    handoff.finish(_done("s1", file))
    if harm:
        harm(handoff.root, file)
    assert handoff.resume(planned) == kept
    assert handoff.done() == len(kept)
    assert handoff.staged() == [file] * len(kept)


def test_close_removes_what_no_commit_has_named(handoff):
    published, unnamed = _stage(handoff), _stage(handoff)
    begun = _stage(handoff, closed=False)
    handoff.finish(_done("s1", published))
    handoff.note("data/never/begun.parquet")
    handoff.close(lambda paths: {published.path}, NOW)
    assert _data_files(handoff.root) == {published.path} != {unnamed.path}
    assert not list((handoff.root / "staging").iterdir())
    begun.close()
    assert _data_files(handoff.root) == {published.path}


def test_closing_twice_is_no_error(handoff):
    handoff.close(_none_named, NOW)
    handoff.close(_none_named, NOW)


def test_attempts_that_begin_anew_do_not_meet(tmp_path):
    first, second = (Handoff.of_attempt(tmp_path, tmp_path, "mine-1") for _ in range(2))
    with first.held(), second.held():
        first.finish(_done())
        assert second.done() == 0
        second.close(_none_named, NOW)
        assert first.done() == 1


def test_a_run_is_held_by_one_attempt_at_a_time(handoff):
    with pytest.raises(CommitConflict, match="another process is at work on this run"):
        with Handoff(handoff.root, handoff.store, "ingest-1").held():
            pass
    with Handoff(handoff.root, handoff.store, "ingest-2").held():
        pass


def test_a_run_can_be_held_again_after_its_end(tmp_path):
    for _ in range(2):
        handoff = Handoff(tmp_path, tmp_path, "ingest-1")
        with handoff.held():
            handoff.close(_none_named, NOW)


HOLD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ingestion.handoff import Handoff, ShardDone, close_dead, noted
handoff = Handoff(Path(sys.argv[1]), Path(sys.argv[1]), \"ingest-1\")
with handoff.held():
    handoff.note("data/rejects/begun.parquet")
    handoff.finish(ShardDone(shard="s1", name="a", lines=1))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_attempt_lets_go_of_the_run(tmp_path):
    dead = subprocess.run([sys.executable, "-c", HOLD_AND_DIE, str(tmp_path)], timeout=60)
    assert dead.returncode == -9
    begun = tmp_path / "data" / "rejects" / "begun.parquet"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"PAR1")
    handoff = Handoff(tmp_path, tmp_path, "ingest-1")
    with handoff.held():
        assert handoff.resume({"s1", "s2"}) == {"s1"}
        handoff.close(_none_named, NOW)
    assert not begun.exists()


def _left(root, run_id, age):
    handoff = Handoff(root, root, run_id)
    with handoff.held():
        file = _stage(handoff)
        handoff.finish(_done("s1", file))
    at = (NOW - age).timestamp()
    os.utime(handoff.folder, (at, at))
    return handoff, file.path


def test_what_killed_runs_left_behind_is_removed_a_day_later(tmp_path):
    killed, gone = _left(tmp_path, "ingest-1", AGED)
    fresh, stays = _left(tmp_path, "ingest-2", dt.timedelta(hours=23))
    held, held_stays = _left(tmp_path, "ingest-3", AGED)
    last = Handoff(tmp_path, tmp_path, "mine-4")
    with held.held(), last.held():
        last.close(_none_named, NOW)
    assert _data_files(tmp_path) == {stays, held_stays}
    assert {path.name for path in (tmp_path / "staging").iterdir()} == {
        *("ingest-2", "ingest-2.lock", "ingest-3", "ingest-3.lock"),
    }  # fmt: skip
    assert not killed.done() and fresh.done()


def test_it_crosses_processes(handoff):
    assert pickle.loads(pickle.dumps(handoff)).folder == handoff.folder


def test_what_runs_have_begun_is_noted_until_they_are_dead(tmp_path):
    """Silent for long is dead, unless a process holds the run."""
    assert noted(tmp_path, tmp_path, NOW) == set()
    paths = {}
    for name in ("at work", "killed", "killed long ago"):
        run = Handoff(tmp_path, tmp_path, name)
        with run.held():
            paths[name] = _stage(run).path
    at_work = Handoff(tmp_path, tmp_path, "at work")
    for name in ("at work", "killed long ago"):
        old = (NOW - AGED).timestamp()
        os.utime(tmp_path / "staging" / name, (old, old))
    os.utime(tmp_path / "staging" / "killed", (NOW.timestamp(), NOW.timestamp()))
    with at_work.held():
        os.utime(at_work.folder, (old, old))
        assert noted(tmp_path, tmp_path, NOW) == {paths["at work"], paths["killed"]}
        close_dead(tmp_path, tmp_path, _none_named, NOW)
        assert _data_files(tmp_path) == {paths["at work"], paths["killed"]}
        assert noted(tmp_path, tmp_path, NOW) == {paths["at work"], paths["killed"]}
