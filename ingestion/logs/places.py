"""Which log files are meant, and whether they are still what they were."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Sequence

import msgspec
from fsspec.utils import glob_translate

from ingestion.logs.stored import Stored, shown, store_of
from ingestion.logs.stores import Refused, Store, fixed_part, lies_in, why
from ingestion.logs.streams import CHUNK, plain
from warehouse.errors import SettingsError, SourceUnavailable

_LOG_NAMES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst", ".parquet")
_DATE = "{date}"
_WILD = "*?["
_ANY_DATE = "-".join(["[0-9]" * 4, "[0-9]" * 2, "[0-9]" * 2])


class LogFile(msgspec.Struct, frozen=True, gc=False):
    """A log file as it was when it was looked at."""

    name: str  # absolute path (resolved) or URL: what the warehouse calls it
    size: int  # bytes as stored
    stamp: str  # etag, else the time of its last change in ns; another stamp: looked at anew
    log_date: dt.date | None = None  # that its path says, by a {date} template
    sha256: str = ""  # of the bytes as stored; "" until `digest` was asked


def find(
    logs: Sequence[str], *, roots: Sequence[str] = (), log_date: dt.date | None = None
) -> list[LogFile]:
    """Files, folders (their logs), globs and {date} templates -> the files that they mean.

    Each file once, sorted by name; nothing is read. A template takes `log_date`, or without it
    every date that matches. What matches must lie in the folder before the first wildcard, and
    everything in one of the roots, where there are any; links are followed before that is asked.
    Raises one SourceUnavailable that names everything that is wrong, and SettingsError where a
    package for a URL is missing.
    """
    search = _Search(roots)
    for given in logs:
        search.add(given, log_date)
    if search.trouble:
        listed = "\n  ".join(search.trouble)
        raise SourceUnavailable(
            f"These logs cannot be read:\n  {listed}\n"
            f"Nothing was ingested. A folder means its {', '.join('*' + n for n in _LOG_NAMES)}. "
            "Check the paths and the access to them, then run again."
        )
    return sorted(search.found.values(), key=lambda file: file.name)


class _Meant:
    """What one entry of a list of logs means: a path in a store, with or without wildcards."""

    def __init__(self, given: str, log_date: dt.date | None) -> None:
        self.store, path = store_of(given)
        self._log_date = log_date if _DATE in path else None
        self._path = path.replace(_DATE, log_date.isoformat()) if log_date else path
        self._template = _date_pattern(self._path) if _DATE in self._path else None
        # Where nothing varies, a person chose that very path, and wherever a link in it leads.
        self.home = None
        if any(mark in path for mark in (*_WILD, _DATE)):
            fixed = fixed_part(path, (*_WILD, _DATE))
            if ".." in path.removeprefix(fixed).split("/"):
                raise Refused("'..' leads out of what a wildcard or {date} stands for")
            self.home = self.store.resolve(fixed)

    def paths(self) -> list[str]:
        """The files and folders; none where nothing matches. Raises what the store raises."""
        if self._template is None:
            try:
                self.store.look_at(self._path)
                return [self._path]
            except FileNotFoundError:
                if not any(mark in self._path for mark in _WILD):
                    raise
        paths = self.store.glob(self._path.replace(_DATE, _ANY_DATE))
        return [path for path in paths if self._template is None or self.log_date(path)]

    def log_date(self, path: str) -> dt.date | None:
        """The date that the path says; None where it says none, or no valid one."""
        match = self._template and self._template.match(path)
        if not match:
            return self._log_date
        try:
            return dt.date.fromisoformat(match["date"])
        except ValueError:
            return None


def _date_pattern(path: str) -> re.Pattern[str]:
    """Matches what the template matches; every {date} of it is the same one."""
    before, *others = glob_translate(path.replace(_DATE, "\0")).split("\0")
    first, *again = others
    return re.compile(
        before + r"(?P<date>\d{4}-\d{2}-\d{2})" + "(?P=date)".join([first, *again]), re.ASCII
    )


class _Search:
    """What was found so far, and what is wrong."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.found: dict[str, LogFile] = {}
        self.trouble: list[str] = []
        self._roots = [_resolve(root) for root in roots]

    def add(self, given: str, log_date: dt.date | None) -> None:
        """Take a file, a folder, a glob or a template."""
        known = len(self.trouble)
        try:
            meant = _Meant(given, log_date)
            added = [self._add_path(path, meant) for path in meant.paths()]
        except SettingsError:
            raise
        except Exception as error:  # stores raise classes of their own
            self._note(given, error)
        else:
            if not sum(added) and len(self.trouble) == known:
                self._note(given, Refused("no logs there"))

    def _add_path(self, path: str, meant: _Meant) -> int:
        """Take a file, or the logs of a folder; gives how many."""
        paths, home = [path], meant.home
        try:
            state = meant.store.look_at(path)
            if state.is_folder:
                self._check_place(state.name, home)
                paths = [p for p in meant.store.inside(path) if p.endswith(_LOG_NAMES)]
                home = home or state.name
        except Exception as error:
            self._note(path, error)
            return 0
        return sum(self._add_file(p, meant.store, home, meant.log_date(path)) for p in paths)

    def _add_file(
        self, path: str, store: Store, home: str | None, log_date: dt.date | None
    ) -> bool:
        try:
            state = store.look_at(path)
            if state.is_folder:
                return False
            self._check_place(state.name, home)
            if not _is_unicode(state.name):
                raise Refused("its name is no UTF-8, and rows could not say where they come from")
        except Exception as error:
            self._note(path, error)
            return False
        known = self.found.get(state.name)
        if known is None or known.log_date is None:
            self.found[state.name] = LogFile(state.name, state.size, state.stamp, log_date)
        return True

    def _check_place(self, name: str, home: str | None) -> None:
        if home is not None and not lies_in(name, home):
            raise Refused(f"it leads out of {home}")
        if self._roots and not any(lies_in(name, root) for root in self._roots):
            raise Refused("it lies in none of the roots")

    def _note(self, path: str, error: Exception) -> None:
        # Bytes that are no UTF-8 could not be printed.
        readable = shown(path).encode(errors="backslashreplace").decode()
        self.trouble.append(f"{readable}: {why(error)}")


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _resolve(root: str) -> str:
    try:
        store, path = store_of(root)
        return store.resolve(path)
    except Refused as error:
        raise SettingsError(f"{shown(root)} can be no root of logs: {error}.") from error


def digest(file: LogFile) -> LogFile:
    """The file with its sha256, in one pass. Raises SourceUnavailable."""
    with Stored(file.name) as stored:
        found = hashlib.sha256()
        for chunk in plain(stored):
            found.update(chunk)
    return msgspec.structs.replace(file, sha256=found.hexdigest())


def continues(file: LogFile, *, size: int, sha256: str) -> bool:
    """Whether its first `size` bytes have that digest: then it is what it was, or has grown.

    Raises SourceUnavailable.
    """
    if file.size < size:
        return False
    found, left = hashlib.sha256(), size
    with Stored(file.name) as stored:
        while left and (chunk := stored.read(min(left, CHUNK))):
            found.update(chunk)
            left -= len(chunk)
    return found.hexdigest() == sha256


def check_unchanged(files: Iterable[LogFile]) -> None:
    """Raise SourceUnavailable where a file is no longer what `find` saw."""
    for file in files:
        try:
            store, path = store_of(file.name)
            state = store.look_at(path)
        except Exception as error:
            raise _changed(file) from error
        if (state.name, state.size, state.stamp) != (file.name, file.size, file.stamp):
            raise _changed(file)


def _changed(file: LogFile) -> SourceUnavailable:
    return SourceUnavailable(
        f"{file.name} changed while it was read, or is gone. Nothing was ingested; run again when "
        "its writer is done with it."
    )
