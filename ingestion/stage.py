"""One shard of a log -> staged Parquet files: a plain function, which the Beam transform calls."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from ingestion.assemble import Assembled, Assembler, Origin, Suppressed
from ingestion.formats.mapping_options import Mapping
from ingestion.handoff import ShardDone
from ingestion.logs.lines import Limits
from ingestion.nights import NightFiles, Note
from ingestion.shards import Shard, lines_of, reader_of
from warehouse.records import Reject, SeedPair, SystemPrompt

# Times before it are mistakes: a clock that was never set, seconds read as milliseconds.
_EARLIEST = dt.date(2000, 1, 1)
_ONE_DAY = dt.timedelta(days=1)
# System prompts that are known to be written already. Beyond so many, some are written again.
_PROMPTS = 10_000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What all shards of a run have in common. Workers are sent it."""

    store: Path  # of the warehouse's files
    log_date: dt.date  # the run's night
    dating: Literal["run", "record"]  # which night a record counts to: the run's, or its own
    limits: Limits
    mapping: Mapping  # how to read records of the format "mapping"


def stage_shard(shard: Shard, assembler: Assembler, note: Note, *, job: Job) -> ShardDone:
    """Write every record of the shard to the files of its night. Where this raises, none is left.

    Raises SourceUnavailable or OSError where the log cannot be read, and never for what it holds.
    """
    files = NightFiles(job.store, shard.file.name, note)
    try:
        return _stage(shard, job, assembler, files)
    except BaseException:
        files.discard()
        raise


def _stage(shard: Shard, job: Job, assembler: Assembler, files: NightFiles) -> ShardDone:
    origin = Origin(file=shard.file.name, source=shard.source)
    prompts = _Prompts()
    suppressed: Counter[dt.date] = Counter()
    count = 0
    reader = reader_of(shard.format, job.mapping)
    for line in lines_of(shard, reader, job.limits):
        count += 1
        if isinstance(line, Reject):
            files.add(job.log_date, 0, rejects=[line])
            continue
        size = len(line.data)
        found = assembler.assemble(reader.read(line.data), line, origin)
        match found:
            case Assembled(turns, facts):
                night = _night(facts.ended_at, job)
                new = prompts.new(night, found.prompts)
                files.add(night, size, turns=turns, conversations=[facts], system_prompts=new)
            case SeedPair():
                files.add(job.log_date, size, seed_pairs=[found])
            case Reject():
                files.add(job.log_date, 0, rejects=[found])
            case Suppressed(at):
                suppressed[_night(at, job)] += 1
    return ShardDone(
        shard=shard.id,
        name=shard.file.name,
        lines=count,
        suppressed=dict(suppressed),
        staged=files.close(),
    )


def _night(at: dt.datetime | None, job: Job) -> dt.date:
    """The night that a record counts to; `at`: its last time, UTC."""
    if job.dating == "run" or at is None:
        return job.log_date
    date = at.date()
    return date if _EARLIEST <= date <= job.log_date + _ONE_DAY else job.log_date


class _Prompts:
    """Which system prompts each night has already."""

    def __init__(self) -> None:
        self._known: set[tuple[dt.date, str]] = set()

    def new(self, log_date: dt.date, prompts: Iterable[SystemPrompt]) -> list[SystemPrompt]:
        """Those of the prompts that the night has not, each once."""
        new = []
        for prompt in prompts:
            key = (log_date, prompt.prompt_hash)
            if key not in self._known:
                if len(self._known) == _PROMPTS:
                    self._known.clear()
                self._known.add(key)
                new.append(prompt)
        return new
