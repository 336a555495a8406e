"""The mining pipeline: each transform wires around its pure twin, `mining.stage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import apache_beam as beam

from ingestion.handoff import Handoff
from ingestion.io import StageWhole
from mining.detector import Detector
from mining.stage import MiningJob, TurnsShard, stage_turns

DetectorLoader = Callable[[], Detector]


class StageSignals(beam.PTransform):
    """Pipeline -> nothing: turns files in, staged files and markers in the handoff folder."""

    def __init__(
        self,
        shards: Sequence[TurnsShard],
        *,
        job: MiningJob,
        load: DetectorLoader,
        handoff: Handoff,
    ):
        self._shards = shards
        self._stage = StageWhole(load, partial(stage_turns, job=job), handoff)

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Wire. Only names of files are shuffled, never conversations."""
        return (
            pipeline
            | "Shards" >> beam.Create(self._shards, reshuffle=False)
            | "Spread over workers" >> beam.Reshuffle()
            | "Stage" >> self._stage
        )
