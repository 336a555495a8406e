"""How Driftmine's pipelines run: the runner by name, and shards that are staged whole."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Generic, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import (
    ExtendedProvisionInfo,
    FnApiRunner,
)
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms.environments import SubprocessSDKEnvironment
from apache_beam.utils.shared import Shared

from ingestion.handoff import Handoff, ShardDone
from ingestion.nights import Note
from ingestion.runners import Runner
from warehouse import errors
from warehouse.errors import DriftmineError

# Told (done, total, what) while a pipeline runs.
Progress = Callable[[int, int, str], object]

# Of what workers log. That they find no staged files is nothing to warn of.
_QUIET = {
    "default_sdk_harness_log_level": "WARNING",
    "sdk_harness_log_level_overrides": {"__main__": "ERROR"},
}

_Shard = TypeVar("_Shard")
_Tool = TypeVar("_Tool")

# Seconds between two looks at how much is done.
_LOOK_S = 0.2


def run_pipeline(build: Callable[[beam.Pipeline], Any], runner: Runner) -> None:
    """Build a pipeline and run it to its end.

    Raises the DriftmineError that a worker raised. Other errors of workers are raised as they are
    by workers in this process, else as a RuntimeError with the traceback in its text.
    """
    options = PipelineOptions(list(runner.flags))
    engine = _local(options) if runner.name == "FnApiRunner" else runner.name
    try:
        with beam.Pipeline(runner=engine, options=options) as pipeline:
            build(pipeline)
    except Exception as error:
        own = _own_error(error)
        if own is None:
            raise
        raise own from error


def _own_error(error: Exception) -> DriftmineError | None:
    """What a worker raised on purpose, without what Beam adds to it."""
    said, kind = str(error), type(error)
    if not isinstance(error, DriftmineError):
        name, _, said = said.rpartition(f"\n{errors.__name__}.")[2].partition(": ")
        kind = getattr(errors, name, Exception)
    if not issubclass(kind, DriftmineError):
        return None
    return kind(said.rpartition(" [while running ")[0] or said)


def _local(options: PipelineOptions) -> FnApiRunner:
    direct = options.view_as(DirectOptions)
    if direct.direct_num_workers == 1:
        return FnApiRunner()
    direct.direct_running_mode = None  # any mode would put Beam's worker in place of ours
    # -P: started in a home, it would take the folder `warehouse` there for the package.
    command = f"exec {shlex.quote(sys.executable)} -P -m ingestion.worker"
    quiet = JobServiceHandle.encode_pipeline_options(_QUIET)
    return FnApiRunner(
        default_environment=SubprocessSDKEnvironment.from_command_string(command),
        provision_info=ExtendedProvisionInfo(
            beam_provision_api_pb2.ProvisionInfo(pipeline_options=quiet)
        ),
    )


@contextmanager
def watched(
    done: Callable[[], int], total: int, what: str, progress: Progress | None
) -> Iterator[None]:
    """Tell `progress` what `done` says, while the block runs and once more at its end.

    From a thread: running a pipeline blocks, and it has no metrics before its end.
    """
    if progress is None:
        yield
        return
    ended = Event()

    def look() -> None:
        while not ended.wait(_LOOK_S):
            progress(done(), total, what)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    progress(done(), total, what)


class StageWhole(beam.PTransform):
    """PCollection[shard] -> PCollection[ShardDone].

    One worker does a shard whole, so that what is staged depends on no runner's way of cutting
    a pipeline into bundles. What fails is told to the driver, and nothing is ever raised in Beam:
    it would log the text, which may quote a record, and may wait for the worker for ever.

    `load` makes what a process needs once, however many threads Beam gives it; `stage` is called
    with a shard, that, and `handoff.note`.
    """

    def __init__(
        self,
        load: Callable[[], _Tool],
        stage: Callable[[_Shard, _Tool, Note], ShardDone],
        handoff: Handoff,
    ):
        self._stage = _StageWhole(load, stage, handoff)

    def expand(self, shards: beam.PCollection) -> beam.PCollection:
        """Stage, and mark as done."""
        return shards | "Stage shard" >> beam.ParDo(self._stage)


class _StageWhole(beam.DoFn, Generic[_Shard, _Tool]):
    def __init__(
        self,
        load: Callable[[], _Tool],
        stage: Callable[[_Shard, _Tool, Note], ShardDone],
        handoff: Handoff,
    ):
        self._load = load
        self._stage = stage
        self._handoff = handoff
        self._shared = Shared()

    def process(self, shard: _Shard) -> Iterable[ShardDone]:
        try:
            # Here and not in `setup`, where what fails would be raised in Beam. Kept, so that it
            # is loaded once.
            self._tool = self._shared.acquire(self._load)
            done = self._stage(shard, self._tool, self._handoff.note)
            self._handoff.finish(done)
        except Exception as error:
            self._handoff.fail(error)
        else:
            yield done
