"""Work that outlives a crash: samples, the reference's log-probabilities, checkpoints.

    <models>/work/<key>/samples.jsonl
    <models>/work/<key>/update-<pairs>/reference-*.json, checkpoint-N/

The key is of everything that the work depends on, so a run that starts again after a crash with
the same turns, policy and settings finds it, and any other does not. Checkpoints hold optimizer
state in torch's own format; they are read back by this program alone and are never published.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

KEPT = dt.timedelta(days=7)  # unfinished work that nobody came back to


def folder(models: Path, *parts: Any) -> Path:
    """Where the work on `parts` is kept, made if it is not there. Parts are encoded as JSON."""
    key = hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
    path = models / "work" / key
    path.mkdir(parents=True, exist_ok=True)
    os.utime(path)
    return path


def finish(path: Path) -> None:
    """Remove the work of a version that is registered."""
    shutil.rmtree(path, ignore_errors=True)


def sweep(models: Path, *, now: dt.datetime) -> None:
    """Remove work that nobody came back to."""
    for path in unfinished(models):
        if dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) < now - KEPT:
            shutil.rmtree(path, ignore_errors=True)


def forget(models: Path) -> int:
    """Remove all of it: it may hold what a policy wrote in answer to a user who is erased."""
    found = unfinished(models)
    for path in found:
        shutil.rmtree(path)
    return len(found)


def unfinished(models: Path) -> list[Path]:
    """The folders that there are."""
    root = models / "work"
    return sorted(root.iterdir()) if root.is_dir() else []
