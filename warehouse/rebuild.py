"""A catalog that was lost or damaged, made again from the manifests.

Nothing is swapped in that is not whole: where a live file or a manifest is missing, that is said,
and everything stays as it was.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import URL, Connection, bindparam, insert, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from warehouse import durable, manifest, migrations, reading, views
from warehouse.catalog import Catalog, version
from warehouse.errors import CatalogMismatch, SourceUnavailable
from warehouse.live import live, newest_commit
from warehouse.manifest import FOLDER, Manifest
from warehouse.records import ItemKind
from warehouse.store import sizes
from warehouse.tables import batch_items, batches, files, metadata

# Of a SQLite database, beside the file itself.
_COMPANIONS = ("", "-wal", "-shm")
_NAMED = 20  # files that a message names; the rest are a number


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What was made again."""

    commits: int
    live_files: int
    gone_files: int  # superseded, and their bytes are given up
    unfinished: str  # manifest of a commit that was killed, and left out; "": none
    aside: str  # path that the former database was moved to; "": there was none


def rebuild(root: Path, url: str = "", data: str = "", *, now: dt.datetime) -> Rebuilt | None:
    """Make the catalog of the warehouse at `root` again; None where it is whole: it is kept.

    Nobody else may be at work in the warehouse. `url` and `data` are as in `Catalog.open`. What no
    manifest says is lost: open leases, failed runs, and who opted out until the list is read anew.
    A SQLite database is made beside the old one, which is kept aside; on PostgreSQL the database
    must hold none of our tables.

    Raises SourceUnavailable, and changes nothing, where a manifest or a live file is missing or
    damaged; CatalogMismatch where the catalog is of another version, or stands in the way.
    """
    catalog = Catalog.connect(root, url, data)
    try:
        known = _newest_of_whole(catalog)
        found = _manifests(catalog)
        unfinished = _unfinished(catalog, found)
        counted = found[:-1] if unfinished else found
        if known >= len(counted):
            return None
        if catalog.file is None:
            rebuilt = _in_place(catalog, counted, now)
        else:
            rebuilt = _beside(catalog, catalog.file, data, counted, now)
    finally:
        catalog.close()
    with_views = Catalog.open(root, url, data)
    views.refresh_views(with_views)
    with_views.close()
    return msgspec.structs.replace(rebuilt, unfinished=unfinished)


def _manifests(catalog: Catalog) -> list[Manifest]:
    """All manifests, from 1 on. Raises SourceUnavailable that names those that are missing."""
    folder = catalog.store / FOLDER
    names = {path.name for path in folder.glob("*.json")}
    found: list[Manifest] = []
    trouble: list[str] = []
    newest = max((int(name[:-5]) for name in names if name[:-5].isdecimal()), default=0)
    for commit_id in range(1, newest + 1):
        name = f"{commit_id:010d}.json"
        try:
            read = msgspec.json.decode((folder / name).read_bytes(), type=Manifest)
        except FileNotFoundError:
            trouble.append(f"{name}: missing")
        except (OSError, msgspec.MsgspecError) as error:
            trouble.append(f"{name}: cannot be read ({type(error).__name__})")
        else:
            found.append(read)
            if read.commit_id != commit_id:
                trouble.append(f"{name}: holds another commit, {read.commit_id}")
    if not newest:
        trouble.append("there is none; where nothing was ever published, run `driftmine init`")
    if trouble:
        raise SourceUnavailable(
            f"{folder}: a catalog is made of all manifests, one a commit:\n{_listed(trouble)}\n"
            "Nothing was changed. Check data_url and the access to it, bring the files back from "
            "a backup or from older versions in the store, then run again."
        )
    return found


def _unfinished(catalog: Catalog, found: Sequence[Manifest]) -> str:
    """The newest manifest's name where a file of it is not there: it was killed before its commit.

    With all its files there it counts: what it says was checked by then, and is complete.
    """
    newest = found[-1]
    anew = {change.path: change.anew for change in newest.rewritten if change.anew}
    begun = [*newest.staged, *anew.values()]
    sized = sizes(catalog.store, [*(file.path for file in begun), *anew])
    # Where the old bytes are gone there was a commit, and the new ones may be collected since.
    kept = [*newest.staged, *(file for old, file in anew.items() if sized[old] is not None)]
    whole = all(sized[file.path] == file.bytes for file in kept)
    return "" if whole else f"{newest.commit_id:010d}.json ({newest.subject})"


def _newest_of_whole(catalog: Catalog) -> int:
    """The newest commit of a catalog that needs no mending; -1 of any other."""
    if catalog.file is not None and not catalog.file.exists():
        return -1
    try:
        with catalog.read() as connection:
            known = version(connection)
            if known is None:
                return -1
            if known != migrations.newest():
                raise CatalogMismatch(
                    f"{catalog.root}: the catalog has schema version {known}, this Driftmine makes "
                    f"{migrations.newest()}. Nothing was changed: of a newer Driftmine use that "
                    "one, an older catalog is migrated by any other command."
                )
            if catalog.file is not None and _damage(connection):
                return -1
            return newest_commit(connection)
    except SQLAlchemyError as error:
        if catalog.file is not None:
            return -1
        raise SourceUnavailable(
            f"{catalog.root}: its catalog's database does not answer ({type(error).__name__}). "
            "Check that it runs and can be reached; nothing was changed."
        ) from error


def _damage(connection: Connection) -> bool:
    found = set(inspect(connection).get_table_names())
    if metadata.tables.keys() - found:
        return True
    return bool(connection.execute(text("PRAGMA quick_check(1)")).scalar_one() != "ok")


def _in_place(catalog: Catalog, counted: Sequence[Manifest], now: dt.datetime) -> Rebuilt:
    """Into an empty database of a server, in one transaction."""
    with catalog.write() as connection:
        ours = sorted(metadata.tables.keys() & set(inspect(connection).get_table_names()))
        if ours:
            raise CatalogMismatch(
                f"{catalog.root}: catalog_url names a database that holds tables of Driftmine "
                f"({', '.join(ours[:3])}, ...), damaged or older than the manifests. Nothing was "
                "changed: make an empty database, name it in [warehouse] catalog_url, run again."
            )
        return _fill(connection, catalog, counted, now)


def _beside(
    catalog: Catalog, file: Path, data: str, counted: Sequence[Manifest], now: dt.datetime
) -> Rebuilt:
    """Into a new SQLite file that takes the old one's place when it is whole."""
    beside = durable.temporary(file)
    try:
        fresh = Catalog.connect(catalog.root, URL.create("sqlite", database=str(beside)), data)
        try:
            with fresh.write() as connection:
                rebuilt = _fill(connection, fresh, counted, now)
        finally:
            fresh.close()  # which brings all of it into the one file
        catalog.close()
        aside = _put_aside(file)
        os.replace(beside, file)
    finally:
        for companion in _COMPANIONS:
            beside.with_name(beside.name + companion).unlink(missing_ok=True)
    durable.sync_folder(file.parent)
    return msgspec.structs.replace(rebuilt, aside=aside)


def _put_aside(file: Path) -> str:
    """Move what there is of a database; where to, or "" where there was none."""
    numbers = range(1, 1 + len(list(file.parent.glob(f"{file.name}.lost-*"))) + 1)
    names = (file.with_name(f"{file.name}.lost-{n}") for n in numbers)
    aside = next(name for name in names if not name.exists())
    moved = False
    # The file first: a log of changes without it is taken for nothing by SQLite.
    for companion in _COMPANIONS:
        part = file.with_name(file.name + companion)
        if part.exists():
            os.replace(part, aside.with_name(aside.name + companion))
            moved = True
    return str(aside) if moved else ""


def _fill(
    connection: Connection, catalog: Catalog, counted: Sequence[Manifest], now: dt.datetime
) -> Rebuilt:
    """All tables and rows. Raises SourceUnavailable where live files are not what they were."""
    catalog.create_tables(connection)
    for change in counted:
        manifest.apply(connection, change)
    gone = _check_files(connection, catalog, now)
    for rows in _items(connection, catalog):
        connection.execute(insert(batch_items), rows)
    shown = select(files.c.path).where(files.c.removed_commit.is_(None))
    return Rebuilt(
        commits=len(counted),
        live_files=len(connection.execute(shown).all()),
        gone_files=gone,
        unfinished="",
        aside="",
    )


def _check_files(connection: Connection, catalog: Catalog, now: dt.datetime) -> int:
    """Say of superseded files whether they are there; how many are not."""
    rows = connection.execute(select(files).order_by(files.c.log_date, files.c.path)).all()
    found = sizes(catalog.store, [row.path for row in rows])
    damaged = [
        f"{row.table_name} of {row.log_date}, {row.part}: {row.path} "
        + ("is missing" if found[row.path] is None else f"has {found[row.path]} bytes")
        for row in rows
        if row.removed_commit is None and found[row.path] != row.bytes
    ]
    if damaged:
        raise SourceUnavailable(
            f"{catalog.store}: {len(damaged)} live files are missing or not of the size that was "
            f"published:\n{_listed(damaged)}\nNothing was changed. Bring them back from a backup "
            "or from older versions in the store, then run again. Where they are lost for good: "
            "ingest the logs of the nights named here, and of all others, into a new home."
        )
    gone = [
        {"old": row.path}
        for row in rows
        if row.removed_commit is not None and found[row.path] is None
    ]
    if gone:
        given_up = update(files).where(files.c.path == bindparam("old")).values(deleted_at=now)
        connection.execute(given_up, gone)
    return len(gone)


def _items(connection: Connection, catalog: Catalog) -> Iterator[list[dict[str, str]]]:
    """The turns of finished batches, by the lineage; of one that reuses another's, none."""
    own = select(batches.c.batch_id).where(batches.c.reuses.is_(None))
    first = set(connection.execute(own).scalars())
    for file in live(connection, "lineage"):
        names = ["stream", "turn_id", "batch_id", "kind"]
        for batch in reading.columns(catalog.store, file, names):
            rows = [row for row in batch.to_pylist() if row["batch_id"] in first]
            # Before there were several kinds, none was written.
            rows = [row | {"kind": row["kind"] or ItemKind.DSAT} for row in rows]
            if rows:
                yield rows


def _listed(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    return "\n".join(f"  {line}" for line in [*lines[:_NAMED], *more])
