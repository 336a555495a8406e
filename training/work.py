"""Work that outlives a crash: samples, the reference's log-probabilities, checkpoints.

    <models>/work/samples-<process>.jsonl
    <models>/work/update-<key>/reference-*.json, checkpoint-N/
    <models>/work/<either>.lock     beside it: held by the process that is at work on it

A line of samples has a key of its own: of the policy's files, the prompts, and how they were drawn.
Who draws the same finds it, whatever the other settings are by then. Each process writes to a file
of its own and reads all of them, so several trainers may be at work. An update's key is of the
policy, the options and the pairs: a checkpoint is gone on from by none but the very same update.
Checkpoints hold optimizer state in torch's own format; they are read back by this program alone and
are never published.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

KEPT = dt.timedelta(days=7)  # unfinished work that nobody came back to


class Work:
    """What one trainer keeps, from before it holds any turn until its version is registered."""

    def __init__(self, models: Path) -> None:
        self._root = models / "work"
        self._root.mkdir(parents=True, exist_ok=True)
        self._held: dict[Path, FileLock] = {}
        self.samples = self._root / f"samples-{uuid.uuid4().hex}.jsonl"
        self._hold(self.samples)

    def update(self, *parts: Any) -> Path:
        """Where the update on `parts` is kept, made if it is not there. Parts are encoded as JSON.

        One of its own where another process is at work on the very same update.
        """
        key = hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
        path = self._root / f"update-{key}"
        if path not in self._held and not self._hold(path):
            path = path.with_name(f"{path.name}-{uuid.uuid4().hex}")
            self._hold(path)
        path.mkdir(exist_ok=True)
        os.utime(path)
        return path

    def finish(self) -> None:
        """Remove it, its version being registered, and what it went on with of killed processes."""
        used = kept_samples(self.samples).keys()
        for path in self._root.glob("samples-*.jsonl"):
            if path not in self._held and kept_samples(path).keys() <= used:
                _remove_free(path)
        for path in self._held:
            with suppress(OSError):
                _remove(path)
        self.close()

    def close(self) -> None:
        """Let go of it: a later trainer may go on with what is there."""
        for path, lock in self._held.items():
            if not path.exists():
                _lock_of(path).unlink(missing_ok=True)
            lock.release()
        self._held.clear()

    def _hold(self, path: Path) -> bool:
        lock = FileLock(_lock_of(path), blocking=False)
        with suppress(Timeout):
            lock.acquire()
            self._held[path] = lock
        return path in self._held


def kept_samples(path: Path) -> dict[str, msgspec.Raw]:
    """The lines of a file of samples by their keys; without one that was not written to its end."""
    found: dict[str, msgspec.Raw] = {}
    with suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with suppress(msgspec.MsgspecError):
                key, samples = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
                found[key] = samples
    return found


def sweep(models: Path, *, now: dt.datetime) -> None:
    """Remove work that nobody came back to."""
    for path in unfinished(models):
        with suppress(OSError):
            if dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) < now - KEPT:
                _remove_free(path)


def forget(models: Path) -> int:
    """Remove all of it: it may hold what a policy wrote in answer to a user who is erased."""
    found = unfinished(models)
    for path in found:
        _remove_free(path)
    return len(found)


def unfinished(models: Path) -> list[Path]:
    """The files and folders that there are."""
    return sorted(path for path in (models / "work").glob("*") if path.suffix != _LOCK)


_LOCK = ".lock"


def _lock_of(path: Path) -> Path:
    """Beside it, for it must outlive it."""
    return path.with_name(path.name + _LOCK)


def _remove_free(path: Path) -> bool:
    """Remove it unless a process is at work on it."""
    try:
        with FileLock(_lock_of(path), blocking=False):
            _remove(path)
            # While it is held: who has just opened it finds that it has gone, and tries anew.
            _lock_of(path).unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
