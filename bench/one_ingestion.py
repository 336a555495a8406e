"""One ingestion, in a process of its own: what `ingest.py` measures."""

from __future__ import annotations

import datetime as dt
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

NIGHT = dt.date(2026, 3, 1)
NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
SECRET = b"bench"


def cpu_s() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ingest(logs: Path, root: Path, options: dict[str, Any], engine: str) -> dict[str, Any]:
    """Ingest the logs; the report, and CPU and wall seconds without those of importing."""
    from ingestion import job
    from ingestion.logs.places import find
    from ingestion.options import IngestionOptions
    from warehouse.catalog import Catalog

    if engine == "plain":
        job._stage = without_beam
    catalog = Catalog.open(root)
    began, started = cpu_s(), time.monotonic()
    report = job.ingest(
        catalog,
        logs=find([str(logs)]),
        log_date=NIGHT,
        options=IngestionOptions(**options),
        user_key=SECRET,
        now=NOW,
    )
    found = {"cpu_s": cpu_s() - began, "wall_s": time.monotonic() - started}
    catalog.close()
    names = [name for name in report.__struct_fields__ if name not in ("files", "new_files")]
    return found | {name: getattr(report, name) for name in names}


def without_beam(run: Any, planned: Sequence[Any], progress: Any) -> list[Any]:
    """What `ingestion.job` does with Beam, by a loop over the shards or a pool of processes."""
    if run.options.workers == 1:
        prepare(run.assembly)
        for shard in planned:
            stage(run.job, run.handoff, shard)
    else:
        # Fresh processes, as Beam's are.
        context = get_context("spawn")
        with context.Pool(run.options.workers, prepare, (run.assembly,)) as pool:
            pool.map(partial(stage, run.job, run.handoff), planned, chunksize=1)
            pool.close()
            pool.join()
    return run.handoff.complete({shard.id for shard in planned})


def prepare(assembly: Any) -> None:
    global assembler
    from ingestion.assemble import Assembler

    assembler = Assembler(assembly)


def stage(job: Any, handoff: Any, shard: Any) -> None:
    from ingestion.stage import stage_shard

    handoff.finish(stage_shard(shard, assembler, handoff.note, job=job))


def start(logs: Path, root: Path, engine: str = "Beam", **options: Any) -> subprocess.Popen[str]:
    """Begin an ingestion in a session of its own."""
    command = [sys.executable, __file__, str(logs), str(root), engine, json.dumps(options)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"an ingestion failed:\n{errors}")
    found: dict[str, Any] = json.loads(out)
    return found


if __name__ == "__main__":
    logs, root, engine, options = sys.argv[1:]
    print(json.dumps(ingest(Path(logs), Path(root), json.loads(options), engine), default=str))
