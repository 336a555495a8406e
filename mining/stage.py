"""Some turns files -> staged signals: a plain function, which the Beam transform calls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ingestion.handoff import ShardDone
from ingestion.nights import NightFiles, Note
from mining.detector import Detector
from mining.harvest import TurnsFile, detect, part_of, read_conversations

# Of turns that are one shard, where a night has many small files: each shard is a file of signals.
SHARD_BYTES = 32 * 2**20


class TurnsShard(msgspec.Struct, frozen=True, gc=False):
    """Turns files that one worker mines."""

    files: tuple[TurnsFile, ...]

    @property
    def id(self) -> str:
        """A night has each file once."""
        return self.files[0].path


class MiningJob(msgspec.Struct, frozen=True, kw_only=True):
    """What all shards of a run have in common. Workers are sent it."""

    store: Path  # of the warehouse's files
    log_date: dt.date
    opted_out: frozenset[str]  # keys of users


def shards(files: Sequence[tuple[TurnsFile, int]], workers: int) -> list[TurnsShard]:
    """Files with their sizes in bytes -> shards of about SHARD_BYTES, one a worker at least.

    The largest file comes first, and files are dealt by turns, so that no worker is left with a
    large one at the end.
    """
    by_size = sorted(files, key=lambda file: (-file[1], file[0].path))
    total = sum(size for _, size in files)
    count = min(len(files), max(workers, -(-total // SHARD_BYTES)))
    paths = [file for file, _ in by_size]
    return [TurnsShard(tuple(paths[first::count])) for first in range(count)]


def stage_turns(shard: TurnsShard, detector: Detector, note: Note, *, job: MiningJob) -> ShardDone:
    """Write a verdict on every follow-up of the shard. Where this raises, no file is left.

    The marker's `lines` are conversations. Raises OSError or ArrowException where turns cannot
    be read.
    """
    files = NightFiles(job.store, part_of(detector.name, detector.version), note)
    count = 0
    try:
        for file in shard.files:
            for conversations in read_conversations(job.store, file):
                found = detect(detector, conversations, job.opted_out)
                size = sum(len(turn.feedback) + len(turn.answer) for turn in found.dsat_turns)
                files.add(
                    job.log_date,
                    size,
                    records=len(conversations),
                    signals=found.signals,
                    dsat_turns=found.dsat_turns,
                )
                count += len(conversations)
        return ShardDone(shard=shard.id, name=shard.id, lines=count, staged=files.close())
    except BaseException:
        files.discard()
        raise
