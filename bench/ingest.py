"""What ingestion costs, and whether every line of a log comes out.

    python bench/ingest.py cpu [--conversations 50000] [--workers 1] [--repeats 5]
    python bench/ingest.py memory [--conversations 50000]
    python bench/ingest.py files [--files 2000]
    python bench/ingest.py account [--lines 1000000]
    python bench/ingest.py kill [--kills 20]

cpu      CPU seconds of the whole process tree, of the Beam job and of the same job with a plain
         loop (or a multiprocessing.Pool) over the shards in its place, in turn; no imports.
memory   peak memory of the process tree, at one input and at four times as much.
files    seconds that so many logs of one conversation each take, all at once.
account  of every kind of damage 1%: lines in = rows out + rejected + duplicates + suppressed,
         and of each kind as many as there must be.
kill     kill -9 at random moments, run again until done: the same rows, and no file left over.

Each ingestion is a process of its own. --json prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import synthetic
from one_ingestion import SECRET, finish, start

CPU_TARGETS = {1: 1.2, 2: 1.25}
MEMORY_TARGET = 1.4
LONG_LINE = 2**20  # bytes; `account` runs with this limit


# ---- cpu -------------------------------------------------------------------------------------


def cpu(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    logs = folder / "logs"
    logs.mkdir()
    synthetic.wildchat(logs, args.conversations)
    size = sum(path.stat().st_size for path in logs.iterdir()) / 1e6
    runs: dict[str, list[dict[str, Any]]] = {"plain": [], "Beam": []}
    for repeat in range(args.repeats):
        for engine in list(runs)[:: 1 if repeat % 2 == 0 else -1]:
            with tempfile.TemporaryDirectory(dir=folder) as root:
                found = finish(start(logs, Path(root), engine, workers=args.workers, shard_mb=8))
            runs[engine].append(found)
    counts = [(run["lines_in"], run["turns"], run["rejected"]) for r in runs.values() for run in r]
    if len(set(counts)) > 1:
        raise SystemExit(f"the engines did different work: {counts}")
    pairs = list(zip(runs["Beam"], runs["plain"], strict=True))
    found = {
        "lines": counts[0][0],
        "mb": round(size, 1),
        "workers": args.workers,
        "mb_per_s_and_core": spread([size / run["cpu_s"] for run in runs["Beam"]]),
        "us_per_line": spread([run["cpu_s"] / run["lines_in"] * 1e6 for run in runs["Beam"]]),
        "target": CPU_TARGETS.get(args.workers),
    }
    for measure in ("cpu_s", "wall_s"):
        for engine in runs:
            found[f"{engine}_{measure}"] = spread([run[measure] for run in runs[engine]])
        ratios = [beam[measure] / plain[measure] for beam, plain in pairs]
        found[f"ratio_{measure}"] = spread(ratios)
    return found


def spread(values: Sequence[float]) -> list[float]:
    """Median, least, most."""
    return [round(f(values), 3) for f in (statistics.median, min, max)]


# ---- memory ----------------------------------------------------------------------------------


def memory(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    peaks = []
    for times in (1, 4):
        logs, root = folder / f"logs-{times}", folder / f"root-{times}"
        logs.mkdir()
        synthetic.wildchat(logs, times * args.conversations)
        peaks.append(watch(start(logs, root, workers=args.workers)))
    return {
        "conversations": args.conversations,
        "peak_mib": peaks,
        "ratio": round(peaks[1] / peaks[0], 2),
        "target": MEMORY_TARGET,
    }


def watch(process: subprocess.Popen[str]) -> int:
    """The most memory (MiB, resident) that the process and its children held at a time."""
    import psutil

    top, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        held = 0
        for one in (top, *top.children(recursive=True)):
            try:
                held += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak = max(peak, held)
        time.sleep(0.02)
    finish(process)
    return peak // 2**20


# ---- files -----------------------------------------------------------------------------------


def files(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    logs = folder / "logs"
    logs.mkdir()
    synthetic.tiny(logs, args.files)
    report = finish(start(logs, folder / "root", workers=args.workers))
    if report["conversations"] != args.files:
        raise SystemExit(f"{report['conversations']} of {args.files} conversations came out")
    return {
        "files": args.files,
        "wall_s": round(report["wall_s"], 1),
        "cpu_s": round(report["cpu_s"], 1),
        "ms_per_file": round(1000 * report["wall_s"] / args.files, 2),
    }


# ---- account ---------------------------------------------------------------------------------


def account(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from ingestion.hashes import user_key
    from warehouse.barred import Bar, bar
    from warehouse.catalog import Catalog
    from warehouse.query import connect

    logs, root = folder / "logs", folder / "root"
    logs.mkdir()
    expected = synthetic.damaged(logs, args.lines, LONG_LINE)
    catalog = Catalog.open(root)
    with catalog.write() as connection:
        bar(connection, Bar.ERASED, [user_key(synthetic.ERASED, SECRET)])
    catalog.close()
    report = finish(start(logs, root, workers=args.workers, max_line_mb=1))
    with connect(root) as connection:
        told = "SELECT count(*) FILTER (opted_out) FROM conversations"
        ((opted_out,),) = connection.execute(told).fetchall()
    found = {
        "lines_in": report["lines_in"],
        "conversations": report["conversations"],
        "duplicates": report["duplicates"],
        "suppressed": report["suppressed"],
        "near_duplicates": report["near_duplicates"],
        "opted_out": opted_out,
        "emails": report["redacted"].get("EMAIL", 0),
        "rejected": dict(sorted(report["rejected_by_reason"].items())),
    }
    wanted = vars(expected) | {"rejected": dict(sorted(expected.rejected.items()))}
    out = found["conversations"] + found["duplicates"] + found["suppressed"] + report["rejected"]
    return {
        "found": found,
        "expected": wanted,
        "balanced": out == found["lines_in"],
        "as_expected": found == wanted,
        "wall_s": round(report["wall_s"], 1),
    }


# ---- kill ------------------------------------------------------------------------------------


def kill(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    logs = folder / "logs"
    logs.mkdir()
    synthetic.damaged(logs, args.lines, LONG_LINE)
    options = {"workers": args.workers, "shard_mb": 1, "max_line_mb": 1}
    began = time.monotonic()
    finish(start(logs, folder / "undisturbed", **options))
    longest = time.monotonic() - began
    wanted = digest(folder / "undisturbed")
    rng, kills, rounds, wrong = random.Random(synthetic.SEED), 0, 0, []
    while kills < args.kills:
        rounds += 1
        root = folder / f"killed-{rounds}"
        while kills < args.kills and killed(start(logs, root, **options), rng, longest):
            kills += 1
        finish(start(logs, root, **options))
        if digest(root) != wanted or unnamed(root):
            wrong.append(rounds)
    return {"kills": kills, "warehouses": rounds, "wrong": wrong, "seconds": round(longest, 1)}


def killed(process: subprocess.Popen[str], rng: random.Random, longest: float) -> bool:
    """Kill it at a random moment, by turns alone and with its workers; False: it was quicker."""
    try:
        process.communicate(timeout=rng.uniform(0, longest))
        return False
    except subprocess.TimeoutExpired:
        victim = os.kill if rng.random() < 0.5 else os.killpg
        victim(process.pid, signal.SIGKILL)
        process.wait()
        return True


def digest(root: Path) -> str:
    """Of all published rows of all tables, in any order."""
    import hashlib

    import duckdb

    from warehouse.catalog import Catalog
    from warehouse.query import live_files
    from warehouse.schema import TABLES

    catalog, found = Catalog.open(root), hashlib.sha256()
    for table in TABLES:
        paths = [str(root / file.path) for file in live_files(catalog, table)]
        if paths:
            rows = "SELECT sha256(t::VARCHAR) AS h FROM read_parquet(?) AS t ORDER BY h"
            for (row,) in duckdb.execute(rows, [paths]).fetchall():
                found.update(row.encode())
    catalog.close()
    return found.hexdigest()


def unnamed(root: Path) -> set[str]:
    """Data files that no commit has named."""
    from warehouse import publish
    from warehouse.catalog import Catalog

    catalog = Catalog.open(root)
    files = {path.relative_to(root).as_posix() for path in (root / "data").rglob("*.parquet")}
    left = files - publish.named(catalog, files)
    catalog.close()
    return left


# ---- the command line ------------------------------------------------------------------------

MEASURES = {"cpu": cpu, "memory": memory, "files": files, "account": account, "kill": kill}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measure", choices=list(MEASURES))
    parser.add_argument("--conversations", type=int, default=50_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main() -> None:
    args = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = MEASURES[args.measure](args, Path(folder))
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
