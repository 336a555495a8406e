"""Where data files and manifests lie: a local folder, or an object store by its URL.

Both are paths with the same methods: pathlib's, or universal_pathlib's over fsspec. Files are
written whole under names that were never used, and nothing is ever renamed, so an object store
needs no more than a local disk.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow.parquet as pq

from warehouse.errors import MissingExtra, SettingsError

if TYPE_CHECKING:
    import duckdb

_ASKED_AT_ONCE = 16


def open_store(place: str | Path) -> Path:
    """The root of a store: of a local folder its absolute path, else a path of its URL.

    Raises SettingsError where nothing here understands the URL, MissingExtra where the package
    that does is not installed.
    """
    if "://" not in str(place):
        return Path(place).resolve()
    from upath import UPath

    try:
        path = UPath(str(place).rstrip("/"))
        path.fs  # noqa: B018 - the package that speaks to the store is loaded here
    except ValueError as error:
        raise SettingsError(
            f"[warehouse] data_url = {place!r}: nothing here understands it. Write it like "
            "s3://bucket/folder or gs://bucket/folder, or leave it empty for a local folder."
        ) from error
    except ImportError as error:
        raise MissingExtra(
            f"{place}: the package that speaks to this store is not installed. Install the "
            "project with the extra `cloud`: pip install '.[cloud]'."
        ) from error
    return cast(Path, path)  # not a subclass, but it has all of the methods that are used here


def is_local(path: Path) -> bool:
    """Whether a path is one of this machine's."""
    return isinstance(path, Path)


def parquet_file(path: Path) -> pq.ParquetFile:
    """An open Parquet file of any store. Use it in a `with`, which closes it.

    Raises OSError where there is none, pa.ArrowInvalid where it is none.
    """
    if is_local(path):
        return pq.ParquetFile(path)
    return _Remote(path)


class _Remote(pq.ParquetFile):  # type: ignore[misc]
    """A Parquet file that closes the object which it reads from."""

    def __init__(self, path: Path) -> None:
        self._object = path.open("rb")
        super().__init__(self._object)

    def close(self, force: bool = False) -> None:
        super().close(force)
        self._object.close()


def show_store(connection: duckdb.DuckDBPyConnection, store: Path) -> None:
    """Let a connection read the files of a store; of a local one it can already."""
    if not is_local(store):
        remote: Any = store
        connection.register_filesystem(remote.fs)


def modified(path: Path) -> dt.datetime:
    """When a file was written, in UTC. Raises OSError."""
    if is_local(path):
        return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    # Not from `stat`, whose time is 1970 where it does not know the store's word for it.
    remote: Any = path
    written: dt.datetime = remote.fs.modified(remote.path)
    return written if written.tzinfo else written.replace(tzinfo=dt.UTC)


def sizes(store: Path, paths: Sequence[str]) -> dict[str, int | None]:
    """Bytes of files by their paths in a store; None: there is none. Raises OSError."""
    # An object store answers in tens of milliseconds, so many are asked at once.
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return dict(zip(paths, pool.map(lambda path: _size(store / path), paths), strict=True))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Remove a file; one that is gone already is no error."""
    path.unlink(missing_ok=True)


def data_files(store: Path) -> set[str]:
    """Paths of all Parquet files that are there, relative to the store's root; named or not."""
    if is_local(store):
        folders = os.walk(store / "data")
        found = (Path(folder, name) for folder, _, names in folders for name in names)
        return {p.relative_to(store).as_posix() for p in found if p.suffix == ".parquet"}
    remote: Any = store
    root = remote.fs._strip_protocol(str(store))
    return {
        path.removeprefix(root).lstrip("/")
        for path in remote.fs.find(f"{root}/data")
        if path.endswith(".parquet")
    }


def texts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The names of a folder's JSON files, and what is in them."""
    paths = sorted(folder.glob("*.json"), key=lambda path: path.name)
    if is_local(folder):
        yield from ((path.name, path.read_bytes()) for path in paths)
    elif paths:
        remote: Any = folder  # all at once: one by one each would cost a round trip
        found = remote.fs.cat([remote.fs._strip_protocol(str(path)) for path in paths])
        yield from ((path.rpartition("/")[2], data) for path, data in found.items())
