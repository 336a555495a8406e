"""What workers tell the driver: small files in a folder that all of them see.

It works across processes and runners, and while the pipeline runs, which results and metrics of
Beam's local runner do not: the driver's progress bar counts the same files. The folder outlives
a run that is killed or fails: an attempt at the same run begins with what is done already.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

import msgspec
from filelock import FileLock, Timeout

from ingestion.failures import ShardFailed, raised, told
from warehouse.durable import write_whole
from warehouse.errors import CommitConflict, CorruptStaging
from warehouse.staging import StagedFile, verify
from warehouse.store import remove

# A run that said nothing for so long is not started again.
_DEAD_AFTER = dt.timedelta(days=1)

_NOTE = "begun-"  # names of files that name a data file

_Kind = TypeVar("_Kind", bound=msgspec.Struct)

# Of data files, those that a commit has named. Paths are relative to the warehouse's store.
Named = Callable[[Collection[str]], Collection[str]]


class ShardDone(msgspec.Struct, frozen=True, kw_only=True):
    """The marker of a shard of which every line is in a staged file."""

    shard: str  # its id
    name: str  # of the file that it is a part of
    lines: int  # records, those that could not be read included
    suppressed: dict[dt.date, int] = {}  # records left out, for their users are erased, by night
    staged: list[StagedFile] = []


class Handoff:
    """The folder of one run, `<root>/staging/<name>`; only paths cross processes.

    `root` is the warehouse's folder, `store` the place of its data files.
    """

    def __init__(self, root: Path, store: Path, name: str) -> None:
        self.root = root
        self.store = store
        self.folder = root / "staging" / name

    @classmethod
    def of_attempt(cls, root: Path, store: Path, run_id: str) -> Self:
        """The folder of one attempt at a run that begins anew each time."""
        return cls(root, store, f"{run_id}-{uuid.uuid4().hex}")

    @property
    def _lock(self) -> Path:
        """Beside the folder, for it must outlive it."""
        return self.folder.with_name(f"{self.folder.name}.lock")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep others on this machine from working in it meanwhile.

        The system lets go of it when the process is killed. Raises CommitConflict where another
        process holds it.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise CommitConflict(
                f"{self.folder.name}: another process is at work on this run. Nothing was changed "
                "by this one; wait for it to end, then run again."
            ) from None
        try:
            self.folder.mkdir(exist_ok=True)
            yield
        finally:
            lock.release()

    def is_free(self) -> bool:
        """Whether no process of this machine is at work in it."""
        with suppress(CommitConflict), self.held():
            return True
        return False

    def note(self, path: str) -> None:
        """Say that a data file is about to be written; called by workers."""
        # Not synced, for there may be thousands: what a power cut leaves behind is an orphan.
        (self.folder / f"{_NOTE}{uuid.uuid4().hex}").write_text(path)

    def fail(self, error: Exception) -> None:
        """Tell the driver what a shard failed of; called by workers. Never raises OSError."""
        with suppress(OSError):  # of a full disk: a shard without a marker is not done either
            self._write(told(error), uuid.uuid4().hex)

    def finish(self, done: ShardDone) -> None:
        """Mark a shard as done; called by workers. Said twice, the last word counts."""
        self._write(done, hashlib.blake2b(done.shard.encode(), digest_size=16).hexdigest())

    def _write(self, message: msgspec.Struct, key: str) -> None:
        path = self.folder / f"{type(message).__name__}-{key}.json"
        write_whole(path, msgspec.json.encode(message))

    def resume(self, shards: Collection[str]) -> set[str]:
        """Those of the shards that an earlier attempt has done.

        Every other marker is taken back: of a shard that is none of these, and of one whose files
        are not what they were.
        """
        for path, _ in self._found(ShardFailed):
            path.unlink()
        return {
            done.shard for path, done in self._found(ShardDone) if self._stands(path, done, shards)
        }

    def _stands(self, path: Path, done: ShardDone, shards: Collection[str]) -> bool:
        with suppress(CorruptStaging):
            for file in done.staged:
                verify(self.store, file)
            if done.shard in shards:
                return True
        path.unlink()
        return False

    def done(self) -> int:
        """How many shards are done so far."""
        return sum(1 for _ in self.folder.glob(f"{ShardDone.__name__}-*.json"))

    def complete(self, shards: Collection[str]) -> list[ShardDone]:
        """The markers of all the shards, in the order of their ids.

        Raises what a worker failed of, and CorruptStaging where one is missing.
        """
        for _, failed in self._found(ShardFailed):
            raise raised(failed)
        found = {done.shard: done for _, done in self._found(ShardDone) if done.shard in shards}
        if missing := set(shards) - found.keys():
            raise CorruptStaging(
                f"{len(missing)} of {len(shards)} shards were not staged to their end, by "
                f"{self.folder}. Nothing was published. Where workers run on other machines, the "
                "warehouse must be in a folder that all of them see under this path; run again."
            )
        return [found[shard] for shard in sorted(found)]

    def staged(self) -> list[StagedFile]:
        """The files of the shards that are done so far, in the order of their paths."""
        files = [file for _, done in self._found(ShardDone) for file in done.staged]
        return sorted(files, key=lambda file: file.path)

    def close(self, named: Named, now: dt.datetime) -> None:
        """Remove the folder and the data files of the run that no commit has named.

        And the same of every run that was killed long ago.
        """
        self._remove(named)
        close_dead(self.root, self.store, named, now)

    def begun(self) -> set[str]:
        """The paths of all data files that the run has begun."""
        # A note that is empty was not finished, and its file not begun.
        return {note.read_text() for note in self.folder.glob(f"{_NOTE}*")} - {""}

    def _is_silent(self, now: dt.datetime) -> bool:
        with suppress(FileNotFoundError):  # its attempt has just closed it
            return now.timestamp() - self.folder.stat().st_mtime > _DEAD_AFTER.total_seconds()
        return False

    def _remove(self, named: Named) -> None:
        noted = self.begun()
        for path in noted.difference(named(noted)):
            remove(self.store / path)
        shutil.rmtree(self.folder, ignore_errors=True)
        # While it is held: who waits for the lock finds that its file has gone, and tries anew.
        self._lock.unlink(missing_ok=True)

    def _found(self, kind: type[_Kind]) -> list[tuple[Path, _Kind]]:
        paths = sorted(self.folder.glob(f"{kind.__name__}-*.json"))
        return [(path, msgspec.json.decode(path.read_bytes(), type=kind)) for path in paths]


def end_killed(root: Path, store: Path, named: Named) -> set[str]:
    """Close the folders of all runs that were killed; the data files that runs at work have begun.

    What is closed is not taken up again: a run that is started again begins from the start.
    """
    busy: set[str] = set()
    for run in _all(root, store):
        try:
            with run.held():
                run._remove(named)
        except CommitConflict:
            busy |= run.begun()
    return busy


def close_dead(root: Path, store: Path, named: Named, now: dt.datetime) -> None:
    """Remove what runs that were killed long ago have left: see `Handoff.close`."""
    for other in _silent(root, store, now):
        with suppress(CommitConflict), other.held():
            other._remove(named)


def noted(root: Path, store: Path, now: dt.datetime) -> set[str]:
    """The data files that runs have begun which are at work, or may be taken up again."""
    dead = {other.folder for other in _silent(root, store, now) if other.is_free()}
    found: set[str] = set()
    for run in _all(root, store):
        if run.folder not in dead:
            with suppress(FileNotFoundError):  # it has just ended, and removed what it leaves
                found |= run.begun()
    return found


def _all(root: Path, store: Path) -> list[Handoff]:
    folders = sorted(path for path in (root / "staging").glob("*") if path.is_dir())
    return [Handoff(root, store, folder.name) for folder in folders]


def _silent(root: Path, store: Path, now: dt.datetime) -> list[Handoff]:
    return [run for run in _all(root, store) if run._is_silent(now)]
