"""What dead runs left behind: data files that no commit has named, and half-written files."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from warehouse import manifest, publish
from warehouse.catalog import Catalog
from warehouse.errors import CatalogMismatch
from warehouse.live import newest_commit
from warehouse.store import is_local, modified, remove

_DATA = re.compile(r"[0-9a-f]{32}\.parquet")
_TEMPORARY = re.compile(
    r"\..+\.[0-9a-f]{32}(\.\w+)?"
)  # `durable.temporary`, and DuckDB's beside it


class Stray(msgspec.Struct, frozen=True, kw_only=True):
    """A file that nobody will ever ask for."""

    path: Path
    bytes: int


def unnamed(
    catalog: Catalog, *, kept: Collection[str], age: dt.timedelta, now: dt.datetime
) -> list[Stray]:
    """Data files at least of that age that no commit names, by path.

    `kept`: paths that runs which may go on have said they write, asked for before this is called:
    what a run has published since is named. Raises CatalogMismatch where the catalog is older
    than its data.
    """
    kept = {*kept, *_pending(catalog)}
    found = {
        f"data/{path.parent.parent.name}/{path.parent.name}/{path.name}": path
        for path in (catalog.store / "data").glob("*/log_date=*/*.parquet")
        if _DATA.fullmatch(path.name)
    }
    aged = _aged({name: found[name] for name in found.keys() - kept}, age, now)
    named = publish.named(catalog, aged)
    return [aged[name] for name in sorted(aged.keys() - named)]


def temporary(catalog: Catalog, *, age: dt.timedelta, now: dt.datetime) -> list[Stray]:
    """Files of that age that were to be swapped in for others, and never were, by path."""
    folders = [catalog.root, catalog.store / manifest.FOLDER]
    found = {
        str(path): path
        for folder in folders
        if is_local(folder)
        for path in folder.glob(".*")
        if _TEMPORARY.fullmatch(path.name)
    }
    return [stray for _, stray in sorted(_aged(found, age, now).items())]


def sweep(strays: Iterable[Stray]) -> None:
    """Remove them. Raises OSError."""
    for stray in strays:
        remove(stray.path)


def _aged(found: dict[str, Path], age: dt.timedelta, now: dt.datetime) -> dict[str, Stray]:
    aged = {}
    for name, path in found.items():
        try:
            if now - modified(path) >= age:
                aged[name] = Stray(path=path, bytes=path.stat().st_size)
        except FileNotFoundError:  # its run has just removed it
            continue
    return aged


def _pending(catalog: Catalog) -> set[str]:
    """The data files that the manifest of the commit after the newest names, where there is one.

    It is of an attempt that was killed before its commit, or the catalog was put back from a
    backup: the next commit writes over it, and until then its files are kept.
    """
    # As a writer, or the manifest of one who is about to commit would be taken for a dead one's.
    with catalog.write() as connection:
        after = newest_commit(connection) + 1
        if manifest.path_of(catalog.store, after + 1).exists():
            raise CatalogMismatch(
                f"{catalog.root}: the newest commit that the catalog knows is {after - 1}, and "
                "there are manifests of later ones, so it is older than its data: a backup? "
                "Nothing was removed. Make it again from the manifests: `driftmine doctor "
                "--rebuild-catalog`."
            )
        try:
            said = manifest.read(catalog.store, after)
        except FileNotFoundError:
            return set()
    anew = [change.anew for change in said.rewritten if change.anew is not None]
    return {file.path for file in [*said.staged, *anew]}
