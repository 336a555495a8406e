"""The update on several devices: one process each, started by Accelerate.

`update_on` is what a cycle calls. Each process runs this module: it loads the policy anew, and
TRL's trainer shards or copies it as Accelerate's settings say. The first one writes the weights
and the report.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from traceback import extract_tb

import msgspec
import torch

from training import failures
from training.checkpoints import newest
from training.options import TrainingOptions
from training.policy import load
from training.samplers.base import Progress
from training.update import UpdateReport, update
from warehouse.durable import write_whole
from warehouse.errors import DriftmineError, TrainingFailed
from warehouse.records import PreferencePair

_MARK = "driftmine-progress"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the processes are to do."""

    source: str  # of the policy
    folder: str  # of the new weights
    work: str
    curves: str  # "" = none
    options: TrainingOptions
    pairs: tuple[PreferencePair, ...]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a process ended without a report."""

    message: str


def update_on(job: Job, progress: Progress | None = None) -> UpdateReport:
    """Run `training.update.update` on `job.options.processes` devices.

    Raises TrainingFailed with what the processes say of it, or the last lines of their output.
    """
    work = Path(job.work)
    work.mkdir(parents=True, exist_ok=True)
    told, report, failure = work / "job.json", work / "report.json", work / "failure.json"
    for path in (report, failure):
        path.unlink(missing_ok=True)
    told.write_bytes(msgspec.json.encode(job))
    # Not this process's torch threads: each process has its share of the cores.
    threads = str(max((os.cpu_count() or 1) // job.options.processes, 1))
    environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
    if not torch.cuda.is_available():
        environment["ACCELERATE_USE_CPU"] = "true"
    newest(work)  # removes what is not whole: each process would, and of all but one it is gone
    with subprocess.Popen(
        command(job.options, told),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            lines = _followed(process, progress)
        except BaseException:  # they would go on until they next have something to say
            process.terminate()
            raise
    if report.exists() and process.returncode == 0:
        return msgspec.json.decode(report.read_bytes(), type=UpdateReport)
    raise TrainingFailed(_why(failure, process.returncode, lines))


def _followed(process: subprocess.Popen[str], progress: Progress | None) -> list[str]:
    """The last lines that are no progress."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_MARK):
            done, total = line.split()[1:]
            if progress:
                progress(int(done), int(total), "update")
        elif line.strip():
            lines = [*lines[-9:], line.rstrip()]
    return lines


def command(options: TrainingOptions, job: Path) -> list[str]:
    """The launcher's command line."""
    how = (
        ["--config_file", options.launch_config]
        if options.launch_config
        else ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_machines", "1"]
    )
    if not options.launch_config:
        how.append("--multi_gpu")  # Accelerate's word for several processes, on CPUs too
    return [
        *(sys.executable, "-m", "accelerate.commands.launch", *how),
        *("--num_processes", str(options.processes), "-m", "training.launch", str(job)),
    ]


def _why(failure: Path, code: int, lines: Sequence[str]) -> str:
    if failure.exists():
        return msgspec.json.decode(failure.read_bytes(), type=Failure).message
    said = "\n".join(lines)
    return (
        f"The update's processes ended with status {code} and no report. Nothing was registered. "
        f"Check [training] processes and launch_config; the last that they said:\n{said}"
    )


def _said(error: Exception) -> str:
    """What may be told of an error: the text of an unforeseen one may quote a log."""
    if isinstance(error, DriftmineError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {error.strerror}. Nothing was registered."
    place = extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__} in a process of the update ({place.filename}, line "
        f"{place.lineno}), which should not happen. Nothing was registered; run again, and report "
        "this if it comes back."
    )


def main(path: str) -> int:
    """One of the processes."""
    told = Path(path)
    job = msgspec.json.decode(told.read_bytes(), type=Job)
    first = os.environ.get("RANK", "0") == "0"
    if torch.cuda.is_available():  # before anything is loaded, or all of it goes to the first
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))

    def tell(done: int, total: int, _: str) -> None:
        print(_MARK, done, total, flush=True)

    try:
        with failures.named():
            report = update(
                load(job.source, trusted=job.source in job.options.trust_remote_code),
                job.pairs,
                job.options,
                work=Path(job.work),
                curves=Path(job.curves) if job.curves else None,
                progress=tell if first else None,
                save=Path(job.folder),
            )
    except Exception as error:  # in any of them: the others only hear that it is gone
        said = msgspec.json.encode(Failure(message=_said(error)))
        write_whole(told.with_name("failure.json"), said)
        return 1
    if first:
        told.with_name("report.json").write_bytes(msgspec.json.encode(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
