"""What `driftmine doctor` looks at in a home: each check gives one line, or raises."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import stat
import uuid
from collections.abc import Callable
from typing import Literal

import msgspec
from fsspec import get_filesystem_class

from driftmine.home import KEY_VARIABLE
from driftmine.session import Session
from endpoint.options import EndpointOptions
from warehouse.errors import DriftmineError

# Extra -> a package that only it brings.
EXTRAS = {
    "etl": "apache_beam",
    "train": "trl",
    "detector": "sklearn",
    "judge": "httpx",
    "postgres": "psycopg",
    "cloud": "adlfs",
    "iceberg": "pyiceberg",
    "presidio": "presidio_analyzer",
}
_PACKAGES = ("driftmine", "duckdb", "pyarrow", "sqlalchemy")
_NAMED = 3  # things that a line names; the rest are a number


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    next: str = ""  # what to do


Found = tuple[Literal["ok", "warning", "problem"], str, str]
OfHome = Callable[[Session], Found]


def ok(detail: str) -> Found:
    """All is well."""
    return "ok", detail, ""


def python(session: Session) -> Found:
    """Versions, for whoever is asked for help."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    return ok(", ".join([f"Python {platform.python_version()}", *versions]))


def extras(session: Session) -> Found:
    """Which are installed, and whether the settings need another."""
    there = [name for name, package in EXTRAS.items() if importlib.util.find_spec(package)]
    options = session.settings.warehouse
    needed = {
        "judge": any(judge.base_url for judge in _judges(session).values()),
        "postgres": options.catalog_url.startswith("postgresql"),
        "presidio": session.settings.ingestion.redaction.presidio,
    }
    missing = [name for name, is_needed in needed.items() if is_needed and name not in there]
    if not _speaks(options.data_url):
        missing.append("cloud")
    if missing:
        named = ",".join(missing)
        return "problem", f"{named}: needed by the settings", f"pip install '.[{named}]'"
    return ok(f"installed: {', '.join(there) or 'none'}")


def _speaks(url: str) -> bool:
    """Whether what speaks to the store of this URL is installed."""
    if "://" not in url:
        return True
    try:
        get_filesystem_class(url.partition("://")[0])
    except (ImportError, ValueError):  # ValueError: nothing anywhere; `warehouse` says that
        return False
    return True


def home(session: Session) -> Found:
    """There, and writable."""
    root = session.home.root
    if not session.home.warehouse.exists():
        return "problem", f"{root} holds no warehouse", "driftmine init, or name another --home"
    probe = root / f".probe-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(b"")
    except OSError as error:
        return "problem", f"{root}: {error.strerror}", "give its owner the right to write there"
    probe.unlink()
    return ok(str(root))


def settings(session: Session) -> Found:
    """The file, and the variables over it."""
    file = session.home.settings
    session.settings  # noqa: B018 - raises SettingsError
    if not file.exists():
        return "warning", f"{file}: there is none, so the defaults hold", "driftmine init"
    return ok(str(file))


def user_key(session: Session) -> Found:
    """There, of the right form, and for its owner's eyes only."""
    session.home.user_key()
    if os.environ.get(KEY_VARIABLE):
        return ok(f"from {KEY_VARIABLE}")
    mode = stat.S_IMODE(session.home.key.stat().st_mode)
    if mode & 0o077:
        return "warning", f"{session.home.key}: others may read it ({mode:04o})", "chmod 600 it"
    return ok(str(session.home.key))


def judge(session: Session) -> Found:
    """Whether one is set, and what it lacks; it is not called."""
    from endpoint.access import address, headers

    judges = _judges(session)
    found = {name: options for name, options in judges.items() if options.base_url}
    if not found:
        return ok(f"none: no base_url in {' or '.join(judges)}")
    for options in found.values():
        headers(options)
    return ok(", ".join(f"{name} {of.model} at {address(of)}" for name, of in found.items()))


def _judges(session: Session) -> dict[str, EndpointOptions]:
    settings = session.settings
    return {"[mining.judge]": settings.mining.judge, "[training.judge]": settings.training.judge}


def aliases(session: Session) -> Found:
    """They name versions that are there."""
    from training import registry

    models = session.home.models
    known = registry.versions(models)
    said = {name: registry.current(models, name) for name in ("champion", "candidate")}
    lost = [
        f"{name} -> {version}" for name, version in said.items() if version not in (None, *known)
    ]
    if lost:
        return "problem", f"no such version: {', '.join(lost)}", "driftmine models promote VERSION"
    return ok(f"champion {said['champion'] or 'not set'}, {len(known)} versions")


def some(names: list[str], between: str = ", ") -> str:
    """The first of them, and how many more there are."""
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return between.join([*names[:_NAMED], *more])


def said(error: Exception) -> str:
    """An error in one line; of an unforeseen one, whose text may quote anything, its kind."""
    known = isinstance(error, DriftmineError)
    return " ".join(str(error).split()) if known else type(error).__name__


OF_HOME: dict[str, OfHome] = {
    "python": python, "extras": extras, "home": home, "settings": settings,
    "user key": user_key, "judge": judge, "models": aliases,
}  # fmt: skip
