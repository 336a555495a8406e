"""The ingestion pipeline: each transform wires around its pure twin, `ingestion.stage`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import apache_beam as beam
from apache_beam.utils.shared import Shared

from ingestion.assemble import Assembler
from ingestion.failures import told
from ingestion.handoff import Handoff, ShardDone
from ingestion.shards import Shard
from ingestion.stage import Job, stage_shard

AssemblerLoader = Callable[[], Assembler]


class StageShards(beam.PTransform):
    """PCollection[Shard] -> PCollection[ShardDone].

    One worker does a shard whole, so that what is staged depends on no runner's way of cutting
    a pipeline into bundles.
    """

    def __init__(self, job: Job, load: AssemblerLoader, handoff: Handoff):
        self._stage = _StageShard(job, load, handoff)

    def expand(self, shards: beam.PCollection) -> beam.PCollection:
        """Stage."""
        return shards | "Stage shard" >> beam.ParDo(self._stage)


class _StageShard(beam.DoFn):
    def __init__(self, job: Job, load: AssemblerLoader, handoff: Handoff):
        self._job = job
        self._load = load
        self._handoff = handoff
        self._shared = Shared()

    def setup(self) -> None:
        """One assembler a process, however many threads Beam gives it."""
        self._assembler: Assembler = self._shared.acquire(self._load)

    def process(self, shard: Shard) -> Iterable[ShardDone]:
        try:
            done = stage_shard(shard, self._job, self._assembler, self._handoff.note)
        except Exception as error:
            self._handoff.put(told(error))
        else:
            yield done


class StageLogs(beam.PTransform):
    """Pipeline -> nothing: shards in, staged files and markers in the handoff folder."""

    def __init__(
        self, shards: Sequence[Shard], *, job: Job, load: AssemblerLoader, handoff: Handoff
    ):
        self._shards = shards
        self._stage = StageShards(job, load, handoff)
        self._handoff = handoff

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wire. Only shards are shuffled, never records."""
        return (
            pipeline
            | "Shards" >> beam.Create(self._shards, reshuffle=False)
            | "Spread over workers" >> beam.Reshuffle()
            | "Stage" >> self._stage
            | "Tell the driver" >> beam.Map(self._handoff.finish)
        )
