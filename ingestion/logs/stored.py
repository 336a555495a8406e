"""Names of files, paths or URLs -> their store, and their bytes.

What a store raises depends on its package; here it becomes a SourceUnavailable, which does not
repeat a server's words: they may hold a secret.
"""

from __future__ import annotations

import os
import re

import fsspec
import fsspec.core
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from ingestion.logs.local import Local
from ingestion.logs.remote import Remote
from ingestion.logs.stores import Refused, Store, why
from warehouse.errors import SettingsError, SourceUnavailable

_PROTOCOL = re.compile(r"([a-z][a-z0-9+._-]*)://", re.IGNORECASE)
# `key:secret@`, where the secret may have slashes (AWS) and `host:port/` is none; `?token=`.
_SECRET = re.compile(r"://(?:[^/@]*:(?!\d+/).*@|.*\?[\w.~%+-]+=)|^https?://(?:[^/]*@|.*\?)", re.I)
_HIDDEN = re.compile(r"(?<=://)(.*@)|(?<=\?)(.*)")
_AHEAD = 4 << 20  # bytes that are fetched at once from a remote file that is read in order


def store_of(name: str) -> tuple[Store, str]:
    """The store of a path or URL, and the path in it.

    Raises Refused for a URL that must not be used as a name, and SettingsError where the package
    of its protocol is not installed.
    """
    protocol = _PROTOCOL.match(name)
    if "://" in name and "::" in name:
        raise Refused("chained URLs are not read")
    if protocol is None:
        return Local(), _tidy(name)
    if _SECRET.search(name):
        raise Refused(
            "a URL must hold no password and no query, since it is stored with every row; "
            "fsspec takes credentials from the environment and from its configuration files"
        )
    _check_installed(protocol[1].lower())
    try:
        files, path = fsspec.core.url_to_fs(name)
    except Exception as error:  # a class of the store's own
        raise Refused(why(error)) from error
    if isinstance(files, LocalFileSystem):
        return Local(), _tidy(path)
    if ".." in path.split("/"):
        raise Refused("a URL must be written without '..'")
    return Remote(files), path


def shown(name: str) -> str:
    """The path or URL, without what may be a secret."""
    return _HIDDEN.sub("***", name) if _SECRET.search(name) else name


def _check_installed(protocol: str) -> None:
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError as error:
        raise SettingsError(f"No package is known that reads {protocol}:// URLs.") from error
    except ImportError as error:
        package = str(known_implementations.get(protocol, {}).get("class", "")).split(".")[0]
        advice = str(error) if package in ("", "fsspec") else f"install {package}"
        raise SettingsError(
            f"{protocol}:// URLs need a package that is not installed: {advice}, then run again."
        ) from error


def _tidy(path: str) -> str:
    """Without empty and `.` segments. `..` stays: behind a link it means another folder."""
    kept = "/".join(segment for segment in path.split("/") if segment not in ("", "."))
    return "/" + kept if path.startswith("/") else kept or "."


class Stored:
    """A log file that is open for reading, local or remote.

    Raises SourceUnavailable where its store fails, so that a store's OSError is never taken for
    one that a decoder raises at broken content.
    """

    def __init__(self, name: str, *, ahead: int = _AHEAD) -> None:
        self.name = name
        self.closed = False
        try:
            store, path = store_of(name)
            self._file = store.open(path, ahead=ahead)
        except SettingsError:
            raise
        except Exception as error:
            raise self._unavailable(error) from error

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; fewer at the end of the file only."""
        try:
            return self._file.read(size)
        except Exception as error:
            raise self._unavailable(error) from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there; gives the new place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place that is read next, in bytes as stored."""
        return self._file.tell()

    def close(self) -> None:
        """Let go of the file."""
        self.closed = True
        self._file.close()

    def __enter__(self) -> Stored:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _unavailable(self, error: Exception) -> SourceUnavailable:
        return SourceUnavailable(
            f"{shown(self.name)} cannot be read: {why(error)}. Nothing was published. Check the "
            "path and the access to it, then run again."
        )
