"""Whether everything is what the catalog says: every byte of every file, and the books."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
from sqlalchemy import Connection, func, select

from warehouse import ledger, live, manifest, query
from warehouse.catalog import Catalog
from warehouse.live import COLUMNS, LiveFile
from warehouse.staging import StagedFile
from warehouse.store import parquet_file
from warehouse.tables import batches, commits, files, generations, runs, sources
from warehouse.upkeep import Progress, no_progress

_REBUILD = "make the catalog again from the manifests: `driftmine doctor --rebuild-catalog`"
# Of a night's lines, what each became; the rest was left out, and is counted in the ledger.
_KEPT = ("conversations", "seed_pairs", "rejects")


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be."""

    where: str  # the file's path in the store, or which of the books
    what: str
    lost: str
    remedy: str


def damaged_files(
    catalog: Catalog, *, given_up: Collection[str] = (), progress: Progress = no_progress
) -> list[Damage]:
    """Read every byte of every file that the catalog has, but for those that are `given_up`."""
    gone = files.c.deleted_at.is_not(None) | (files.c.removed_commit == files.c.added_commit)
    rows = select(*COLUMNS, files.c.removed_commit).where(~gone | files.c.removed_commit.is_(None))
    with catalog.read() as connection:
        found = connection.execute(rows.order_by(files.c.path)).mappings().all()
    damages: list[Damage] = []
    for done, row in enumerate(found):
        progress(done, len(found), "files checked")
        file = dict(row)
        until = file.pop("removed_commit")
        if row["path"] not in given_up:
            damages += damage(catalog.store, LiveFile(**file), until)
    progress(len(found), len(found), "files checked")
    # Meanwhile files may have been erased or collected.
    with catalog.read() as connection:
        no_more = set(connection.execute(select(files.c.path).where(gone)).scalars())
    return [wrong for wrong in damages if wrong.where not in no_more]


def damage(store: Path, file: LiveFile, until: int | None) -> list[Damage]:
    """What is wrong with a file, if anything. `until`: the commit that superseded it, if any."""
    what = flaw(store, file)
    if what is None:
        return []
    if until is not None:
        lost = (
            f"superseded, no view shows it; commits {file.commit_id} to {until - 1} lack its rows"
        )
        remedy = "nothing, or restore it from your backup: it goes when its retention ends"
        return [Damage(where=file.path, what=what, lost=lost, remedy=remedy)]
    lost = f"live: {file.rows} rows of {file.table} of {file.log_date}, {file.part}"
    return [Damage(where=file.path, what=what, lost=lost, remedy=_remedy(file))]


def flaw(store: Path, file: StagedFile) -> str | None:
    """What tells a file from the one that was written; None: nothing. Reads all of it."""
    path = store / file.path
    try:
        size = path.stat().st_size
        if size != file.bytes:
            return f"has {size} bytes, {file.bytes} were written"
        with path.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
                return "has other bytes than were written"
        with parquet_file(path) as parquet:
            rows = parquet.metadata.num_rows
        shown = query.scan(store, file.table, [file], "SELECT count(*) FROM ({})")[0][0]
    except FileNotFoundError:
        return "is gone"
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        return f"cannot be read ({type(error).__name__})"
    if {rows, shown} != {file.rows}:
        return f"has {rows} rows and shows {shown}, {file.rows} were written"
    return None


def _remedy(file: StagedFile) -> str:
    restore = "restore it from your backup"
    if file.table == "lineage":
        return f"{restore}: nothing can make it again"
    stage = "mine" if file.table in live.DETECTED else "ingest"
    end = file.log_date + dt.timedelta(days=1)
    again = f"driftmine backfill --stage {stage} --from {file.log_date} --to {end}"
    return f"{restore}, or make the night again: `{again}`"


def wrong_books(catalog: Catalog) -> list[Damage]:
    """Where the catalog contradicts itself or its manifests, or a night does not add up."""
    with catalog.read() as connection:
        known = connection.execute(select(commits.c.commit_id, commits.c.kind))
        kinds = {row.commit_id: row.kind for row in known}
        return [
            *_commits(connection, set(kinds)),
            *_generations(connection),
            *_nights(connection),
            *_manifests(catalog, kinds),
        ]


def _commits(connection: Connection, known: set[int]) -> Iterator[Damage]:
    missing = set(range(1, max(known, default=0) + 1)) - known
    named = (
        files.c.added_commit, files.c.removed_commit, generations.c.commit_id, runs.c.commit_id,
        batches.c.snapshot,
    )  # fmt: skip
    for column in named:
        rows = connection.execute(select(column).where(column.is_not(None)).distinct()).scalars()
        missing |= set(rows) - known
    if missing:
        yield Damage(
            where="catalog, commits",
            what=f"lacks {', '.join(map(str, sorted(missing)))}",
            lost="what these commits were",
            remedy=_REBUILD,
        )


def _generations(connection: Connection) -> Iterator[Damage]:
    """Live files that are not of the newest generation of their partition."""
    of = ("table_name", "log_date", "part")
    newest = (
        select(*(generations.c[name] for name in of), func.max(generations.c.generation).label("n"))
        .group_by(*(generations.c[name] for name in of))
        .subquery()
    )
    same = [files.c[name] == newest.c[name] for name in of]
    rows = (
        select(files.c.path)
        .outerjoin(newest, same[0] & same[1] & same[2])
        .where(files.c.removed_commit.is_(None))
        .where(files.c.generation.is_distinct_from(newest.c.n))
        .order_by(files.c.path)
    )
    for path in connection.execute(rows).scalars():
        yield Damage(
            where=path,
            what="is live, and not of its partition's newest generation",
            lost="nothing: it may show rows that were replaced",
            remedy=_REBUILD,
        )


def _nights(connection: Connection) -> Iterator[Damage]:
    """Nights whose lines are not all accounted for."""
    kept: Counter[dt.date] = Counter()
    for table in _KEPT:
        for file in live.live(connection, table):
            kept[file.log_date] += file.rows
    nights = select(sources.c.log_date).distinct().order_by(sources.c.log_date)
    for night in connection.execute(nights).scalars():
        read = ledger.totals(connection, night)
        left = read["lines"] - read["duplicates"] - read["suppressed"]
        if left != kept[night]:
            end = night + dt.timedelta(days=1)
            yield Damage(
                where=f"ledger, {night}",
                what=f"{read['lines']} lines were read, {left} of them kept; {kept[night]} rows",
                lost="the account of that night",
                remedy=f"read it again: `driftmine backfill --stage ingest --from {night} "
                f"--to {end}`",
            )


def _manifests(catalog: Catalog, kinds: dict[int, str]) -> Iterator[Damage]:
    for commit_id, kind in sorted(kinds.items()):
        path = manifest.path_of(catalog.store, commit_id)
        try:
            found = manifest.read(catalog.store, commit_id)
            what = (
                "is another commit's" if (found.commit_id, found.kind) != (commit_id, kind) else ""
            )
        except FileNotFoundError:
            what = "is gone"
        except (OSError, msgspec.MsgspecError) as error:
            what = f"cannot be read ({type(error).__name__})"
        if what:
            yield Damage(
                where=f"{manifest.FOLDER}/{path.name}",
                what=what,
                lost="nothing now; without it a catalog that is lost cannot be made again",
                remedy="restore it from your backup, and back up the catalog",
            )
