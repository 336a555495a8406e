"""The disks of this machine as a store."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from ingestion.logs.stores import Refused, State, fixed_part, lies_in


class Local:
    """The disks of this machine."""

    def resolve(self, path: str) -> str:
        """The absolute path, all links followed."""
        return os.path.realpath(path)

    def look_at(self, path: str) -> State:
        """Raises OSError; a pipe is Refused, for it would be waited for and is read only once."""
        name, state = self.resolve(path), os.stat(path)
        if stat.S_ISDIR(state.st_mode):
            return State(name, is_folder=True)
        if not stat.S_ISREG(state.st_mode):
            raise Refused("no regular file")
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return State(name, state.st_size, str(state.st_mtime_ns))

    def inside(self, folder: str) -> list[str]:
        """Raises OSError."""
        return [os.path.join(folder, name) for name in os.listdir(folder)]

    def glob(self, pattern: str) -> list[str]:
        """Raises OSError for a folder that cannot be listed, Refused for one that leads away."""
        base = fixed_part(pattern, "*?[")
        segments = pattern.removeprefix(base).strip("/").split("/")
        if not os.path.isdir(base or "."):
            return []
        # As the pattern writes it, without "./" where it begins here.
        return [os.path.normpath(path) for path in _walk(base or ".", segments)]

    def open(self, path: str, *, ahead: int) -> BinaryIO:
        """Raises OSError."""
        return open(path, "rb")


def _walk(base: str, segments: Sequence[str]) -> Iterator[str]:
    """Paths that match. No folder is entered twice, so that links in circles come to an end."""
    home = os.path.realpath(base)
    waiting: list[tuple[str, Sequence[str]]] = [(base, segments)]
    entered: set[tuple[str, ...]] = set()
    while waiting:
        folder, (head, *rest) = waiting.pop()
        real = os.path.realpath(folder)
        if not lies_in(real, home):
            raise Refused(f"the link {folder} leads out of {home}")
        if (real, head, *rest) in entered:
            continue
        entered.add((real, head, *rest))
        if head == "**":
            waiting.append((folder, rest or ["*"]))
        fits = re.compile(fnmatch.translate(head)).match
        with os.scandir(folder) as entries:
            for entry in entries:
                if head == "**":
                    if entry.is_dir():
                        waiting.append((entry.path, [head, *rest]))
                elif fits(entry.name):
                    if not rest:
                        yield entry.path
                    elif entry.is_dir():
                        waiting.append((entry.path, rest))
