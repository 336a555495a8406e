"""Whatever runs the pipeline, the same rows come out: proven against Beam's own job service."""

import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.job import ingest
from ingestion.logs.places import find
from ingestion.options import IngestionOptions
from warehouse.catalog import Catalog
from warehouse.query import live_files
from warehouse.schema import TABLES

NIGHT = dt.date(2026, 3, 1)
NOW = dt.datetime(2026, 3, 2, 4, tzinfo=dt.UTC)
WORKER = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of several shards, a packed one, and every kind of record."""
    folder = tmp_path_factory.mktemp("logs")
    lines = [_chat(i) for i in range(3000)] + [b"{", b"\xff", b'{"text": 1}', _chat(7)]
    (folder / "a.jsonl").write_bytes(b"\n".join(lines))
    with gzip.open(folder / "b.jsonl.gz", "wb") as packed:
        packed.write(b"\n".join(_chat(i) for i in range(2990, 3200)))
    pair = {
        "prompt": "Why?", "prompt_id": "p1",
        "chosen": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
        "rejected": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "No."}],
    }  # fmt: skip
    (folder / "pairs.jsonl").write_bytes(json.dumps(pair).encode())
    return folder


def _chat(i: int) -> bytes:
    messages = [
        {"role": "system", "content": f"You are bot {i % 3}."},
        {"role": "user", "content": f"Write of tea {i} to me{i}@example.org {'again ' * 60}"},
        {"role": "assistant", "content": "Gladly."},
    ]
    at = dt.datetime(2026, 2, 27 + i % 2, tzinfo=dt.UTC).isoformat()
    record = {"id": f"c{i}", "user": f"u{i % 9}", "created_at": at, "messages": messages}
    return json.dumps(record).encode()


def _rows(logs: Path, root: Path, **options: Any) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables that an ingestion into an empty warehouse publishes, sorted."""
    catalog = Catalog.open(root)
    try:
        report = ingest(
            catalog, logs=find([str(logs)]), log_date=NIGHT, dating="record",
            options=IngestionOptions(shard_mb=1, **options), user_key=b"key", now=NOW,
        )  # fmt: skip
        assert report.published
        rows = {}
        for table in TABLES:
            paths = [str(root / file.path) for file in live_files(catalog, table)]
            if paths:
                found = duckdb.read_parquet(paths)
                rows[table] = found.order(", ".join(found.columns)).fetchall()
    finally:
        catalog.close()
    return rows


@pytest.fixture(scope="module")
def expected(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What one process makes of the logs."""
    rows = _rows(logs, tmp_path_factory.mktemp("expected"))
    assert rows.keys() == TABLES.keys() - {"signals", "dsat_turns", "lineage"}
    assert len(rows["conversations"]) == 3200
    return rows


def test_two_processes(logs: Path, expected: object, tmp_path: Path) -> None:
    assert _rows(logs, tmp_path, workers=2) == expected


@pytest.fixture(scope="module")
def job_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Beam's job service, in a process of its own; its address."""
    folder = tmp_path_factory.mktemp("service")
    port = folder / "port"
    command = [
        sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main",
        "--port_file", str(port), "--staging_dir", str(folder / "staged"),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not port.exists():
            assert service.poll() is None, "the job service did not start"
            assert time.monotonic() < deadline, "the job service did not come up"
            time.sleep(0.05)
        yield f"localhost:{port.read_text()}"
    finally:
        service.terminate()
        service.wait(30)


WORKERS = {
    "in processes that the service starts": (
        "--environment_type=beam:env:harness_subprocess_python:v1",
        f"--environment_config={WORKER}",
    ),
    "in this process": ("--environment_type=LOOPBACK",),
}


@pytest.mark.parametrize("environment", WORKERS.values(), ids=WORKERS)
def test_a_job_service_with_workers(
    environment: tuple[str, ...], job_service: str, logs: Path, expected: object, tmp_path: Path
) -> None:
    flags = (f"--job_endpoint={job_service}", *environment)
    assert _rows(logs, tmp_path, runner="PortableRunner", runner_options=flags) == expected


def test_flink(logs: Path, expected: object, tmp_path: Path) -> None:
    jar = os.environ.get("FLINK_JOB_SERVER_JAR")
    if not jar:
        pytest.skip("needs Beam's Flink job server, a jar that FLINK_JOB_SERVER_JAR names")
    flags = (
        "--flink_master=[local]", f"--flink_job_server_jar={jar}", "--environment_type=LOOPBACK",
        "--parallelism=2",
    )  # fmt: skip
    assert _rows(logs, tmp_path, runner="FlinkRunner", runner_options=flags) == expected
