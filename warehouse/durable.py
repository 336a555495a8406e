"""Files that are either whole or absent, also after the power went."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from warehouse.store import is_local


def write_whole(path: Path, data: bytes) -> None:
    """Write `path` in one step: whoever opens it reads the old bytes or the new ones."""
    if not is_local(path):  # an object appears when it is written to its end
        path.write_bytes(data)
        return
    beside = temporary(path)
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def temporary(path: Path) -> Path:
    """A name beside `path` that nobody else uses."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def sync_folder(folder: Path) -> None:
    """Make the folder's entries survive a power cut."""
    if not is_local(folder):
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
