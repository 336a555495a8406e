"""Each transform once, in a pipeline; what they compute is tested in their pure twins."""

import datetime as dt
import json
import pickle
from functools import partial
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that

from ingestion import runners, shards
from ingestion.assemble import Assembler, Assembly, reject
from ingestion.formats.mapping_options import Mapping
from ingestion.handoff import Handoff, ShardDone
from ingestion.io import StageWhole, run_pipeline, watched
from ingestion.logs.contents import Container
from ingestion.logs.lines import Span
from ingestion.logs.places import LogFile
from ingestion.options import IngestionOptions
from ingestion.redact.options import RedactionOptions
from ingestion.shards import Shard
from ingestion.stage import Job, stage_shard
from ingestion.transforms import StageLogs
from warehouse.errors import DriftmineError, SourceUnavailable
from warehouse.records import ReasonCode

NIGHT = dt.date(2026, 3, 1)
OPTIONS = IngestionOptions()
LOAD = partial(Assembler, Assembly(secret=b"k", redaction=RedactionOptions()))


@pytest.fixture
def job(tmp_path):
    return Job(
        store=tmp_path, log_date=NIGHT, dating="run", limits=shards.limits(OPTIONS),
        mapping=Mapping(),
    )  # fmt: skip


@pytest.fixture
def planned(tmp_path):
    """Two logs: of 150 conversations and a broken line, and of one conversation."""
    files = []
    for name, count, rest in (("a.jsonl", 150, b"{\n"), ("b.jsonl", 1, b"")):
        lines = [
            json.dumps({"id": f"{name} {i}", "messages": [{"role": "user", "content": "x"}]})
            for i in range(count)
        ]
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode() + b"\n" + rest)
        files.append(LogFile(str(path), path.stat().st_size, "1", sha256="aa"))
    return shards.plan(files, OPTIONS)


@pytest.fixture
def handoff(tmp_path):
    handoff = Handoff(tmp_path, tmp_path, "ingest-1")
    with handoff.held():
        yield handoff


def _run(build, workers=1):
    run_pipeline(build, runners.local(workers))


def _whole(job, handoff, load=LOAD):
    return StageWhole(load, partial(stage_shard, job=job), handoff)


def test_shards_are_staged_whole(planned, job, handoff):
    def check(found):
        assert [(Path(done.name).name, done.lines) for done in found] == [
            ("a.jsonl", 151),
            ("b.jsonl", 1),
        ]

    _run(lambda p: assert_that(p | beam.Create(planned) | _whole(job, handoff), check))
    assert len(handoff.complete({shard.id for shard in planned})) == 2


def test_one_assembler_serves_a_process(planned, job, handoff, tmp_path):
    def load():
        with (tmp_path / "loaded").open("a") as file:
            file.write("x")
        return LOAD()

    _run(lambda p: p | beam.Create(planned) | _whole(job, handoff, load))
    assert (tmp_path / "loaded").read_text() == "x"


def _stage(planned, job, handoff, workers=1, load=LOAD):
    stage = StageLogs(planned, job=job, load=load, handoff=handoff)
    _run(lambda pipeline: pipeline | stage, workers)
    return sorted((file.table, Path(file.part).name, file.rows) for file in handoff.staged())


@pytest.mark.parametrize("workers", [1, 2])
def test_stage_logs_in_any_number_of_processes(workers, planned, job, handoff, capfd):
    assert _stage(planned, job, handoff, workers) == [
        ("conversations", "a.jsonl", 150),
        ("conversations", "b.jsonl", 1),
        ("rejects", "a.jsonl", 1),
        ("turns", "a.jsonl", 150),
        ("turns", "b.jsonl", 1),
    ]
    assert handoff.done() == 2
    assert capfd.readouterr().err == "", "where nothing went wrong nothing is said"


def test_workers_are_dealt_shards_by_turns(job, handoff, tmp_path):
    """`shards.plan` orders them for that."""

    def load():
        import os

        class Telling:
            def assemble(self, raw, line, origin):
                Path(f"{origin.file}.{os.getpid()}").touch()
                return reject(ReasonCode.WRONG_SHAPE, line, origin.file, "")

        return Telling()

    planned = []
    for number in range(6):
        path = tmp_path / str(number)
        path.write_bytes(b"{}\n")
        planned.append(Shard(LogFile(str(path), 3, "1"), Container.LINES, Span(), None, "x"))
    _stage(planned, job, handoff, workers=2, load=load)
    dealt = {}
    for told in tmp_path.glob("[0-9].*"):
        dealt.setdefault(told.suffix, set()).add(told.stem)
    assert sorted(map(sorted, dealt.values())) == [["0", "2", "4"], ["1", "3", "5"]]


class Unplugged(Exception):
    """A worker's disk is gone."""


class _Failing:
    """An assembler that fails at the second log."""

    def __init__(self, load):
        self._assembler = load()

    def assemble(self, raw, line, origin):
        if origin.file.endswith("b.jsonl"):
            raise Unplugged("the disk is gone")
        return self._assembler.assemble(raw, line, origin)


def test_a_failed_shard_is_all_that_the_next_attempt_does(planned, job, handoff):
    ids = {shard.id for shard in planned}
    _stage(planned, job, handoff, load=partial(_Failing, LOAD))
    with pytest.raises(DriftmineError, match="Unplugged at .*, line"):
        handoff.complete(ids)
    assert handoff.resume(ids) == {planned[0].id}
    _stage([shard for shard in planned if shard.id != planned[0].id], job, handoff)
    assert sum(done.lines for done in handoff.complete(ids)) == 152


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_loaded_is_raised_by_the_driver(workers, planned, job, handoff, capfd):
    def load():
        raise ValueError("ann said so")

    _stage(planned, job, handoff, workers, load=load)
    with pytest.raises(DriftmineError, match="ValueError at .*, line"):
        handoff.complete({shard.id for shard in planned})
    assert "ann said so" not in "".join(capfd.readouterr())


def test_an_error_of_ours_is_raised_as_it_was():
    def fail(element):
        raise SourceUnavailable("s3://logs/a: access denied.\n  Check it, and run again.")

    with pytest.raises(SourceUnavailable) as raised:
        _run(lambda pipeline: pipeline | beam.Create([1]) | beam.Map(fail))
    assert str(raised.value) == "s3://logs/a: access denied.\n  Check it, and run again."


def test_what_crosses_processes_can_be_pickled(planned, job):
    done = ShardDone(shard="a", name="a", lines=1, suppressed={NIGHT: 1})
    for thing in (planned, job, done, LOAD.args):
        assert pickle.loads(pickle.dumps(thing)) == thing


def test_watched_tells_the_end_also_where_the_block_was_short():
    told = []
    with watched(lambda: 2, 2, "logs", lambda *state: told.append(state)):
        pass
    assert told == [(2, 2, "logs")]


def test_watched_stops_looking_where_the_block_fails():
    told = []
    with (
        pytest.raises(ValueError, match="x"),
        watched(lambda: 2, 2, "logs", lambda *state: told.append(state)),
    ):
        raise ValueError("x")
    assert told == []
