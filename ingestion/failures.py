"""What a worker failed of, told to the driver as a file: never the text of an unforeseen error.

Raised inside Beam it would be logged, text and all, which may quote a record; and of several
workers Beam's local runner may wait for ever for the one that raised.
"""

from __future__ import annotations

from traceback import extract_tb

import msgspec

from warehouse import errors
from warehouse.errors import DriftmineError


class ShardFailed(msgspec.Struct, frozen=True, kw_only=True):
    """Why a shard was not staged."""

    kind: str  # name of the error's class
    message: str  # of an error of ours or of the system's; else where it was raised
    errno: int | None = None
    path: str | None = None


def told(error: Exception) -> ShardFailed:
    """What may be said of an error."""
    kind = type(error).__name__
    if isinstance(error, DriftmineError):
        return ShardFailed(kind=kind, message=str(error))
    if isinstance(error, OSError):
        path = None if error.filename is None else str(error.filename)
        said = error.strerror or str(error)
        return ShardFailed(kind="OSError", message=said, errno=error.errno, path=path)
    place = extract_tb(error.__traceback__)[-1]
    return ShardFailed(kind=kind, message=f"{place.filename}, line {place.lineno}")


def raised(failed: ShardFailed) -> Exception:
    """The error again, for the driver to raise."""
    if failed.kind == "OSError":
        if failed.errno is None:
            return OSError(failed.message)
        return OSError(failed.errno, failed.message, failed.path)
    kind = getattr(errors, failed.kind, None)
    if isinstance(kind, type) and issubclass(kind, DriftmineError):
        return kind(failed.message)
    return DriftmineError(
        f"{failed.kind} at {failed.message}, which should not happen. Nothing was published; run "
        "again, and report this if it comes back."
    )
