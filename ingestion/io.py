"""How Driftmine's pipelines run and write: the runner by name, the Parquet sink, the handoff."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import (
    ExtendedProvisionInfo,
    FnApiRunner,
)
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms.environments import SubprocessSDKEnvironment
from apache_beam.transforms.window import GlobalWindows

from ingestion.handoff import Handoff
from ingestion.nights import FILE_BYTES, Note
from ingestion.runners import Runner
from warehouse import errors
from warehouse.errors import DriftmineError
from warehouse.schema import Partition
from warehouse.staging import PartitionWriter, StagedFile

# A file is closed at so many rows, or at FILE_BYTES; both are checked between batches only, so
# that the rows of a conversation, which come in one batch, stay in one file.
FILE_ROWS = 2_000_000

# Told (done, total, what) while a pipeline runs.
Progress = Callable[[int, int, str], object]

# Of what workers log. That they find no staged files is nothing to warn of.
_QUIET = {
    "default_sdk_harness_log_level": "WARNING",
    "sdk_harness_log_level_overrides": {"__main__": "ERROR"},
}

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


class WriteParquet(beam.PTransform):
    """PCollection[(Partition, pa.RecordBatch)] -> PCollection[StagedFile].

    A worker holds one open file per table: batches of one partition should come in a row. `note`
    is told the path of each file before there is one.
    """

    def __init__(
        self,
        root: Path,
        note: Note,
        *,
        file_rows: int = FILE_ROWS,
        file_bytes: int = FILE_BYTES,
    ):
        self._sink = _Sink(root, note, file_rows, file_bytes)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Write."""
        return batches | "Write files" >> beam.ParDo(self._sink)


class HandOver(beam.PTransform):
    """PCollection[msgspec.Struct] -> the driver, by way of the run's handoff folder."""

    def __init__(self, handoff: Handoff):
        self._handoff = handoff

    def expand(self, messages: beam.PCollection) -> beam.PCollection:
        """Tell."""
        return messages | "Tell the driver" >> beam.Map(self._handoff.put)


@dataclass(slots=True)
class _Open:
    """A file being written."""

    writer: PartitionWriter
    rows: int = 0
    bytes: int = 0


class _Sink(beam.DoFn):
    def __init__(self, root: Path, note: Note, file_rows: int, file_bytes: int):
        self._root = root
        self._note = note
        self._file_rows = file_rows
        self._file_bytes = file_bytes
        self._open: dict[str, _Open] = {}

    def process(self, element: tuple[Partition, pa.RecordBatch]) -> Iterable[StagedFile]:
        partition, batch = element
        file = self._open.get(partition.table)
        if file and (file.writer.partition != partition or self._full(file)):
            yield self._open.pop(partition.table).writer.close()
            file = None
        if file is None:
            writer = PartitionWriter(self._root, partition, self._note)
            file = self._open[partition.table] = _Open(writer)
        file.writer.write(batch)
        file.rows += batch.num_rows
        file.bytes += batch.nbytes

    def finish_bundle(self) -> Iterator[Any]:
        while self._open:
            _, file = self._open.popitem()
            yield GlobalWindows.windowed_value(file.writer.close())

    def teardown(self) -> None:
        """Files are open here only where the bundle failed: nobody will ever name them."""
        while self._open:
            _, file = self._open.popitem()
            (self._root / file.writer.close().path).unlink()

    def _full(self, file: _Open) -> bool:
        return file.rows >= self._file_rows or file.bytes >= self._file_bytes
