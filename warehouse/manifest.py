"""Manifests: what each commit changed, written beside the data before the catalog is changed.

Every change that the views show is one manifest, and `apply` makes it in the catalog, both when
it is committed and when a catalog that was lost is made again out of all manifests, in order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    Connection,
    Date,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)

from warehouse import durable, ledger
from warehouse.barred import Bar, bar
from warehouse.ledger import SourceFile
from warehouse.live import generations as generations_of
from warehouse.live import newest_commit
from warehouse.schema import Partition
from warehouse.staging import StagedFile
from warehouse.tables import batches, commits, files, generations, models, runs, streams, watermarks

FOLDER = "manifests"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a publish ends."""

    run_id: str
    stage: str
    log_date: dt.date
    started_at: dt.datetime
    counts: dict[str, int]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The batch that a model came of; its turns are the rows of the staged lineage."""

    batch_id: str
    stream: str
    snapshot: int
    created_at: dt.datetime
    expires_at: dt.datetime
    reuses: str | None = None


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A model that came of a batch, promoted or not."""

    version: str
    parent: str | None
    batch_id: str
    created_at: dt.datetime
    promoted: bool
    manifest_sha256: str  # of the manifest in the model's folder
    erased_turns: int = 0  # of its batch, whose users were erased since


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """A file without some of its rows, in every snapshot that shows it; None: no row is left."""

    path: str
    anew: StagedFile | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that one commit changes."""

    commit_id: int
    kind: Literal["publish", "model", "erase", "compact", "detector"]
    subject: str
    committed_at: dt.datetime
    run: Run | None = None
    replaces: list[Partition] = []  # they lose their files and gain a generation
    staged: list[StagedFile] = []  # that come in
    compacted: list[str] = []  # paths of files that `staged` hold the rows of
    rewritten: list[Rewritten] = []
    sources: list[SourceFile] = []  # the ledger's rows from now on
    watermark: dt.date | None = None  # of the run's stage: moved there, if that is forward
    batch: Batch | None = None
    model: ModelVersion | None = None
    flagged: dict[str, int] = {}  # model version -> turns of its batch that are erased by now
    erased: list[str] = []  # keys of users


def next_id(connection: Connection) -> int:
    """The id of the next commit. Within `Catalog.write`, which keeps others out."""
    return newest_commit(connection) + 1


def commit(connection: Connection, store: Path, manifest: Manifest) -> None:
    """Write the manifest, then make its changes in the transaction."""
    path = path_of(store, manifest.commit_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_whole(path, msgspec.json.encode(manifest))
    apply(connection, manifest)


def path_of(store: Path, commit_id: int) -> Path:
    """Where the manifest of a commit lies."""
    return store / FOLDER / f"{commit_id:010d}.json"


def read(store: Path, commit_id: int) -> Manifest:
    """The manifest of a commit. Raises msgspec.MsgspecError, OSError."""
    return msgspec.json.decode(path_of(store, commit_id).read_bytes(), type=Manifest)


def read_all(store: Path) -> Iterator[Manifest]:
    """Every manifest, in the order of the commits. Raises msgspec.DecodeError, OSError."""
    for path in sorted((store / FOLDER).glob(f"{'[0-9]' * 10}.json"), key=lambda path: path.name):
        yield msgspec.json.decode(path.read_bytes(), type=Manifest)


def apply(connection: Connection, manifest: Manifest) -> None:
    """Make the changes of a manifest in the catalog; all but the turns of its batch."""
    row = {"commit_id": manifest.commit_id, "kind": manifest.kind, "subject": manifest.subject}
    connection.execute(_NEW[commits], row | {"committed_at": manifest.committed_at})
    replaced = _advance(connection, manifest)
    if manifest.compacted:
        old = update(files).where(files.c.path == bindparam("old"))
        paths = [{"old": path} for path in manifest.compacted]
        connection.execute(old.values(removed_commit=manifest.commit_id), paths)
    for file in manifest.staged:
        if file.partition not in replaced:
            replaced[file.partition] = generation_of(connection, file.partition)
    if manifest.staged:
        rows = [_row(f, replaced[f.partition], manifest.commit_id) for f in manifest.staged]
        connection.execute(_NEW[files], rows)
    for change in manifest.rewritten:
        _rewrite(connection, change)
    _close_run(connection, manifest)
    _register(connection, manifest)
    bar(connection, Bar.ERASED, manifest.erased)


def generation_of(connection: Connection, partition: Partition) -> int:
    """How often a partition was replaced; 0: never published."""
    return int(connection.execute(_GENERATION, _named(partition)).scalar_one())


def _named(partition: Partition) -> dict[str, Any]:
    return {
        "of_table": partition.table,
        "of_night": partition.log_date,
        "of_part": partition.part,
    }


# Made once: to build a statement costs several times what SQLite takes for it.
_NEW = {table: insert(table) for table in (commits, generations, files, runs, watermarks)}
_GENERATION = select(func.coalesce(func.max(generations.c.generation), 0)).where(
    generations.c.table_name == bindparam("of_table"),
    generations.c.log_date == bindparam("of_night"),
    generations.c.part == bindparam("of_part"),
)
# As text, for what each process does at least once: SQLAlchemy's compiler takes longer than SQLite.
_RETIRE = text(
    "UPDATE files SET removed_commit = :at WHERE table_name = :of_table "
    "AND log_date = :of_night AND part = :of_part AND removed_commit IS NULL"
).bindparams(bindparam("of_night", type_=Date))
_END_RUN = update(runs).where(runs.c.run_id == bindparam("of_run"))
_WATERMARK = select(watermarks.c.log_date).where(watermarks.c.stage == bindparam("of_stage"))
_MOVE_WATERMARK = (
    update(watermarks)
    .where(watermarks.c.stage == bindparam("of_stage"))
    .values(log_date=bindparam("to"))
)


def _advance(connection: Connection, manifest: Manifest) -> dict[Partition, int]:
    """Take the replaced files out of what is live; the generations of those that come in."""
    nights: dict[str, set[dt.date]] = {}
    for partition in manifest.replaces:
        nights.setdefault(partition.table, set()).add(partition.log_date)
    former: dict[Partition, int] = {}
    for table, log_dates in nights.items():
        former |= generations_of(connection, table, *log_dates)
    after = {partition: former.get(partition, 0) + 1 for partition in manifest.replaces}
    at = {"at": manifest.commit_id}
    if old := [_named(partition) | at for partition in former.keys() & after.keys()]:
        connection.execute(_RETIRE, old)
    rows = [
        {
            "table_name": partition.table,
            "log_date": partition.log_date,
            "part": partition.part,
            "generation": generation,
            "commit_id": manifest.commit_id,
        }
        for partition, generation in after.items()
    ]
    if rows:
        connection.execute(_NEW[generations], rows)
    return after


def _row(file: StagedFile, generation: int, commit_id: int) -> dict[str, Any]:
    row = msgspec.structs.asdict(file)
    row["table_name"] = row.pop("table")
    return row | {"generation": generation, "added_commit": commit_id}


def _rewrite(connection: Connection, change: Rewritten) -> None:
    """Put a file's new form in its place in history; no snapshot shows the old one any more."""
    of_old = files.c.path == change.path
    old = connection.execute(select(files).where(of_old)).one()
    connection.execute(update(files).where(of_old).values(removed_commit=old.added_commit))
    if change.anew is not None:
        row = _row(change.anew, old.generation, old.added_commit)
        connection.execute(insert(files).values(row | {"removed_commit": old.removed_commit}))


def _close_run(connection: Connection, manifest: Manifest) -> None:
    run = manifest.run
    if run is not None:
        ended = {"ended_at": manifest.committed_at, "commit_id": manifest.commit_id}
        row = msgspec.structs.asdict(run) | ended | {"state": "committed"}
        if connection.execute(_END_RUN, row | {"of_run": run.run_id}).rowcount == 0:
            connection.execute(_NEW[runs], row)  # a catalog that is made again never knew it
        ledger.record(connection, run.run_id, manifest.sources)
        _move_watermark(connection, run.stage, manifest.watermark)
    else:
        ledger.amend(connection, manifest.sources)


def _move_watermark(connection: Connection, stage: str, log_date: dt.date | None) -> None:
    if log_date is None:
        return
    to = {"of_stage": stage, "to": log_date}
    reached = connection.execute(_WATERMARK, to).scalar_one_or_none()
    if reached is None:
        connection.execute(_NEW[watermarks], {"stage": stage, "log_date": log_date})
    elif reached < log_date:
        connection.execute(_MOVE_WATERMARK, to)


def _register(connection: Connection, manifest: Manifest) -> None:
    if manifest.batch is not None:
        batch = msgspec.structs.asdict(manifest.batch)
        known = select(streams).where(streams.c.stream == manifest.batch.stream)
        if connection.execute(known).one_or_none() is None:
            connection.execute(insert(streams).values(stream=manifest.batch.stream))
        mine = batches.c.batch_id == manifest.batch.batch_id
        done = update(batches).where(mine).values(state="finished")
        if connection.execute(done).rowcount == 0:
            # A catalog that is made again never knew the token, and nobody needs it any more.
            connection.execute(insert(batches).values(batch | {"state": "finished", "token": ""}))
    if manifest.model is not None:
        connection.execute(insert(models).values(msgspec.structs.asdict(manifest.model)))
    for version, erased in manifest.flagged.items():
        flagged = update(models).where(models.c.version == version)
        connection.execute(flagged.values(erased_turns=erased))
