"""The ingestion pipeline: each transform wires around its pure twin, `ingestion.stage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import apache_beam as beam

from ingestion.assemble import Assembler
from ingestion.handoff import Handoff
from ingestion.io import StageWhole
from ingestion.shards import Shard
from ingestion.stage import Job, stage_shard

AssemblerLoader = Callable[[], Assembler]


class StageLogs(beam.PTransform):
    """Pipeline -> nothing: shards in, staged files and markers in the handoff folder."""

    def __init__(
        self, shards: Sequence[Shard], *, job: Job, load: AssemblerLoader, handoff: Handoff
    ):
        self._shards = shards
        self._stage = StageWhole(load, partial(stage_shard, job=job), handoff)

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wire. Only shards are shuffled, never records."""
        return (
            pipeline
            | "Shards" >> beam.Create(self._shards, reshuffle=False)
            | "Spread over workers" >> beam.Reshuffle()
            | "Stage" >> self._stage
        )
