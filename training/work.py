"""Work that outlives a crash: samples, the reference's log-probabilities, looks, checkpoints.

    <models>/work/samples-<process>.jsonl
    <models>/work/update-<key>/reference-*.json, looks.json, checkpoint-N/
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

from warehouse.errors import ErasureUnfinished

KEPT = dt.timedelta(days=7)  # unfinished work that nobody came back to


class Work:
    """What one trainer keeps, until its version is registered.

    To be made before the trainer leases turns: so `forget` sees whoever may hold a user's.
    """

    def __init__(self, models: Path) -> None:
        self._root = models / "work"
        self._root.mkdir(parents=True, exist_ok=True)
        self._held: dict[Path, FileLock] = {}
        self.samples = self._own("samples", ".jsonl")

    def update(self, *parts: Any) -> Path:
        """Where the update on `parts` is kept, made if it is not there. Parts are encoded as JSON.

        One of its own where another process is at work on the very same update.
        """
        key = hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
        path = self._root / f"update-{key}"
        if path not in self._held:
            try:
                self._held[path] = _held(path, timeout=0)
            except Timeout:
                path = self._own("update")
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

    def _own(self, name: str, suffix: str = "") -> Path:
        path = self._root / f"{name}-{uuid.uuid4().hex}{suffix}"
        self._held[path] = _held(path, timeout=-1)  # a sweep may have it for an instant
        return path


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
    """Remove work that nobody is at, and that nobody came back to."""
    for path in _known(models):
        with suppress(OSError):
            touched = (path if path.exists() else _lock_of(path)).stat().st_mtime
            if dt.datetime.fromtimestamp(touched, dt.UTC) < now - KEPT:
                _remove_free(path)


def forget(models: Path) -> int:
    """Remove all of it: it may hold what a policy wrote in answer to a user who is erased.

    Raises ErasureUnfinished where a trainer is at work, after removing the rest.
    """
    there = len(unfinished(models))
    busy = [path.name for path in _known(models) if not _remove_free(path)]
    if busy:
        raise ErasureUnfinished(
            f"{models / 'work'}: a training run is at work, and may hold turns of the user "
            f"({', '.join(busy)}). All else is erased. Wait for it to end, or end it, and erase "
            "again."
        )
    return there


def unfinished(models: Path) -> list[Path]:
    """The files and folders that there are."""
    return [path for path in _known(models) if path.exists()]


_LOCK = ".lock"


def _known(models: Path) -> list[Path]:
    """What there is, and what has only a lock yet."""
    found = (models / "work").glob("*")
    return sorted({path.with_suffix("") if path.suffix == _LOCK else path for path in found})


def _lock_of(path: Path) -> Path:
    """Beside it, for it must outlive it."""
    return path.with_name(path.name + _LOCK)


def _held(path: Path, *, timeout: float) -> FileLock:
    """Its lock, which the system lets go of where the process is killed. Raises Timeout."""
    lock = FileLock(_lock_of(path), timeout=timeout)
    lock.acquire()
    return lock


def _remove_free(path: Path) -> bool:
    """Remove it unless a process is at work on it."""
    try:
        with _held(path, timeout=0):
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
