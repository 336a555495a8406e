"""What is asked of the places where logs lie, and how they say what they have."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from typing import BinaryIO, Protocol

import msgspec


class Refused(Exception):
    """A path or URL that is not read, and why."""


class State(msgspec.Struct, frozen=True, gc=False):
    """A file or a folder, as its store shows it."""

    name: str  # resolved absolute path, or URL
    size: int = 0  # bytes
    stamp: str = ""  # of its content: the etag, else the time of its last change
    is_folder: bool = False


class Store(Protocol):
    """What is asked of local disks and of remote stores. Paths are the store's own."""

    def resolve(self, path: str) -> str:
        """The name that the path leads to."""

    def look_at(self, path: str) -> State:
        """What lies there. Raises whatever the store raises, FileNotFoundError for nothing."""

    def inside(self, folder: str) -> list[str]:
        """The paths of what lies directly in the folder."""

    def glob(self, pattern: str) -> list[str]:
        """The paths of the files and folders that match; `**` means any number of folders."""

    def open(self, path: str, *, ahead: int) -> BinaryIO:
        """The file's bytes; `ahead` of them are fetched at once, and 0 means: what is asked."""


def why(error: Exception) -> str:
    """What went wrong, without any text that a server sent."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


def fixed_part(pattern: str, marks: Collection[str]) -> str:
    """The folder before the first segment that holds one of the marks."""
    segments = pattern.split("/")
    varying = next(i for i, name in enumerate(segments) if any(mark in name for mark in marks))
    return "/".join(segments[:varying]) or ("/" if pattern.startswith("/") else "")


def lies_in(name: str, folder: str) -> bool:
    """Whether a resolved name is the folder, or lies below it."""
    return name == folder or name.startswith(folder.rstrip("/") + "/")
