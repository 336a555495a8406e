"""The mining pipeline: each transform wires around its pure twin in `mining.harvest`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.utils.shared import Shared

from ingestion.handoff import Handoff, ShardDone
from ingestion.io import HandOver, WriteParquet
from mining import harvest
from mining.detector import Detector
from mining.harvest import TurnsFile
from warehouse.records import Conversation
from warehouse.schema import Partition

DetectorLoader = Callable[[], Detector]


class ReadTurns(beam.PTransform):
    """PCollection[TurnsFile] -> PCollection[list[Conversation]], about 100."""

    def __init__(self, root: Path, handoff: Handoff):
        self._root = root
        self._handoff = handoff

    def expand(self, files: beam.PCollection) -> beam.PCollection:
        """Read, and tell the driver of each file that is done."""
        return files | "Stream" >> beam.FlatMap(_read_turns, self._root, self._handoff)


def _read_turns(file: TurnsFile, root: Path, handoff: Handoff) -> Iterable[list[Conversation]]:
    count = 0
    for conversations in harvest.read_conversations(root, file):
        count += len(conversations)
        yield conversations
    handoff.finish(ShardDone(shard=file.path, name=file.path, lines=count))


class DetectFollowUps(beam.PTransform):
    """PCollection[list[Conversation]] -> PCollection[(Partition, pa.RecordBatch)]."""

    def __init__(self, load: DetectorLoader, log_date: dt.date, opted_out: frozenset[str]):
        self._detect = _Detect(load, log_date, opted_out)

    def expand(self, conversations: beam.PCollection) -> beam.PCollection:
        """Detect, and lay out."""
        return conversations | "Detect" >> beam.ParDo(self._detect)


class _Detect(beam.DoFn):
    def __init__(self, load: DetectorLoader, log_date: dt.date, opted_out: frozenset[str]):
        self._load = load
        self._log_date = log_date
        self._opted_out = opted_out
        self._shared = Shared()

    def setup(self) -> None:
        """One detector a process, however many threads Beam gives it."""
        self._detector: Detector = self._shared.acquire(self._load)

    def process(
        self, conversations: list[Conversation]
    ) -> Iterable[tuple[Partition, pa.RecordBatch]]:
        found = harvest.detect(self._detector, conversations, self._opted_out)
        return harvest.to_batches(self._detector, self._log_date, found)


class StageSignals(beam.PTransform):
    """Pipeline -> nothing: turns files in, staged files and their account in the handoff folder."""

    def __init__(
        self,
        files: Sequence[TurnsFile],
        *,
        root: Path,
        handoff: Handoff,
        load: DetectorLoader,
        log_date: dt.date,
        opted_out: frozenset[str],
    ):
        self._files = files
        self._root = root
        self._handoff = handoff
        self._load = load
        self._log_date = log_date
        self._opted_out = opted_out

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wire. Only names of files are shuffled, never conversations."""
        return (
            pipeline
            | "Files" >> beam.Create(self._files, reshuffle=False)
            | "Spread over workers" >> beam.Reshuffle()
            | "Read" >> ReadTurns(self._root, self._handoff)
            | "Detect" >> DetectFollowUps(self._load, self._log_date, self._opted_out)
            | "Write" >> WriteParquet(self._root, self._handoff.note)
            | "Hand over" >> HandOver(self._handoff)
        )
