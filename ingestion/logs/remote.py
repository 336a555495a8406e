"""Whatever fsspec knows as a store: s3, gs and many more."""

from __future__ import annotations

import datetime as dt
from typing import Any, BinaryIO, cast

from ingestion.logs.stores import Refused, State


class Remote:
    """A store behind fsspec, seen afresh: what was listed before this was made is forgotten."""

    def __init__(self, files: Any) -> None:
        self._files = files
        self._files.invalidate_cache()
        self._listed: dict[str, dict[str, Any]] = {}

    def resolve(self, path: str) -> str:
        """The URL, spelled as fsspec does."""
        return str(self._files.unstrip_protocol(path))

    def look_at(self, path: str) -> State:
        """Raises what the store raises."""
        info = self._listed.get(path)
        if info is None or (info["type"] != "directory" and info.get("size") is None):
            info = self._files.info(path)
        if info["type"] == "directory":
            return State(self.resolve(path), is_folder=True)
        if info.get("size") is None:
            raise Refused("its store does not tell its size")
        return State(self.resolve(path), int(info["size"]), self._stamp(path, info))

    def _stamp(self, path: str, info: dict[str, Any]) -> str:
        for key in ("ETag", "etag"):
            if info.get(key):
                return str(info[key]).strip('"')
        try:
            changed: dt.datetime = self._files.modified(path)
        except NotImplementedError:
            return str(self._files.ukey(path))
        return str(round(changed.timestamp() * 1e6) * 1000)

    def inside(self, folder: str) -> list[str]:
        """Raises what the store raises."""
        return self._remember({info["name"]: info for info in self._files.ls(folder, detail=True)})

    def glob(self, pattern: str) -> list[str]:
        """Raises what the store raises."""
        return self._remember(self._files.glob(pattern, detail=True))

    def _remember(self, infos: dict[str, dict[str, Any]]) -> list[str]:
        self._listed |= infos
        return list(infos)

    def open(self, path: str, *, ahead: int) -> BinaryIO:
        """Raises what the store raises."""
        kind = {"cache_type": "readahead", "block_size": ahead} if ahead else {"cache_type": "none"}
        return cast(BinaryIO, self._files.open(path, "rb", **kind))
