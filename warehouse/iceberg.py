"""The live files as Iceberg tables, for engines that read those: metadata only, no data is copied.

A table holds what the view of its name reads. Columns keep the ids that our Parquet files carry,
which Iceberg goes by too, so files of every shape are read as they are here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
from pyiceberg.catalog import Catalog as IcebergCatalog
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AssertCurrentSchemaId,
    SetCurrentSchemaUpdate,
)
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from sqlalchemy import URL
from sqlalchemy.exc import ArgumentError, DatabaseError

from warehouse.errors import CommitConflict, SettingsError
from warehouse.live import LiveFile, current, newest_commit
from warehouse.schema import TABLES
from warehouse.staging import StagedFile
from warehouse.store import is_local

if TYPE_CHECKING:
    from warehouse.catalog import Catalog

COMMIT = "driftmine.commit-id"  # in a snapshot's summary: the commit that it shows
STORE = "driftmine.store"  # in a table's properties: whose files it names

_EPOCH = dt.date(1970, 1, 1)


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export did to one Iceberg table; nothing added or removed: it was up to date."""

    table: str  # with its namespace
    files: int  # that it names now
    rows: int
    added: int  # files
    removed: int


def open_catalog(name: str) -> IcebergCatalog:
    """A catalog that pyiceberg's own settings describe. Raises SettingsError."""
    try:
        return load_catalog(name)
    except (ValueError, ImportError) as error:
        raise SettingsError(
            f"--catalog {name}: pyiceberg cannot open it ({type(error).__name__}). Describe it in "
            f".pyiceberg.yaml or by PYICEBERG_CATALOG__{name.upper()}__..., and install what its "
            "type needs."
        ) from error


def sql_catalog(out: Path, uri: str = "") -> IcebergCatalog:
    """A catalog in a SQL database, by default a file beside the tables' metadata in `out`.

    Raises SettingsError where the URI names no database that answers.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = URL.create("sqlite", database=str(out / "catalog.db")).render_as_string()
    try:
        return SqlCatalog("driftmine", uri=uri or file, warehouse=location(out))
    except (ArgumentError, ImportError, DatabaseError) as error:
        raise SettingsError(
            f"--catalog-uri names no database that answers here ({type(error).__name__}). Write "
            "it like postgresql+psycopg://host/name (extra `postgres`); a catalog that is no SQL "
            "database is named by --catalog."
        ) from error


def export(catalog: Catalog, to: IcebergCatalog, namespace: str) -> list[Exported]:
    """Make the Iceberg tables of a namespace name just the files that are live now.

    Each table that changes gets one new snapshot. The tables are committed one by one: killed in
    between, the next export does the rest. Raises SettingsError where a table of that name is not
    of this warehouse, CommitConflict where another export was quicker.
    """
    place = location(catalog.store)
    with catalog.read() as connection:
        commit_id = newest_commit(connection)
        files = {table: current(connection, table) for table in TABLES}
    to.create_namespace_if_not_exists(namespace)
    done = []
    for name, found in files.items():
        table_name = f"{namespace}.{name}"
        table = _table(to, table_name, place)
        try:
            _evolve(table, schema(name))
            added, removed = _replace(table, place, found, commit_id)
        except CommitFailedException as error:
            raise CommitConflict(
                f"{table_name}: another export has changed this Iceberg table meanwhile. "
                "The warehouse is as it was; run again."
            ) from error
        rows = sum(file.rows for file in found)
        done.append(
            Exported(table=table_name, files=len(found), rows=rows, added=added, removed=removed)
        )
    return done


def location(place: Path) -> str:
    """A folder as Iceberg names it, with its scheme. Raises SettingsError where it cannot."""
    if not is_local(place):
        return str(place)
    if {"#", "?"} & set(str(place)):
        raise SettingsError(
            f"{place}: Iceberg cannot name files in a folder with # or ? in its name. Move the "
            "warehouse to another folder."
        )
    return f"file://{place}"  # Iceberg escapes nothing


def schema(table: str) -> Schema:
    """A table's columns as Iceberg has them, under their ids; it has no unsigned integers.

    All may be null, for a file that is older than a column lacks it.
    """
    return pyarrow_to_schema(pa.schema(_optional(TABLES[table])))


def _optional(fields: Iterable[pa.Field]) -> list[pa.Field]:
    kept = (field for field in fields if not _is_unsigned(field.type))
    return [pa.field(f.name, _type(f.type), metadata=f.metadata) for f in kept]


def _type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(*_optional([kind.value_field]))
    if pa.types.is_struct(kind):
        return pa.struct(_optional(kind))
    return kind


def _is_unsigned(kind: pa.DataType) -> bool:
    return bool(pa.types.is_unsigned_integer(kind.value_type if pa.types.is_list(kind) else kind))


def _table(to: IcebergCatalog, name: str, place: str) -> Table:
    """The Iceberg table of that name, made where there is none."""
    try:
        table = to.load_table(name)
    except NoSuchTableError:
        return _create(to, name, place)
    if table.properties.get(STORE) != place:
        raise SettingsError(
            f"{name}: this Iceberg table is not an export of {place}. It was left as it is; name "
            "another --namespace, or drop it there."
        )
    return table


def _create(to: IcebergCatalog, name: str, place: str) -> Table:
    # A catalog counts the columns of a new table itself, from 1; those that are added later keep
    # their ids. So it is made with log_date alone, whose id is 1.
    (log_date,) = schema(name.rpartition(".")[2]).fields[:1]
    by_night = PartitionField(
        source_id=log_date.field_id, field_id=1000, transform=IdentityTransform(), name="log_date"
    )
    properties = {
        STORE: place,
        # The files are the warehouse's to remove, whoever expires snapshots.
        "gc.enabled": "false",
    }
    return to.create_table(
        name, Schema(log_date), partition_spec=PartitionSpec(by_night), properties=properties
    )


def _evolve(table: Table, wanted: Schema) -> None:
    """Give the table our columns of today: the ids say which were renamed, widened or dropped."""
    if table.schema().as_struct() == wanted.as_struct():
        return
    newest = max(table.schemas()) + 1
    numbered = wanted.model_copy(update={"schema_id": newest})
    now = AssertCurrentSchemaId.model_validate({"current-schema-id": table.schema().schema_id})
    change = (AddSchemaUpdate(schema=numbered), SetCurrentSchemaUpdate())
    table.catalog.commit_table(table, (now,), change)
    table.refresh()


def _replace(
    table: Table, place: str, files: Iterable[LiveFile], commit_id: int
) -> tuple[int, int]:
    """One snapshot that names these files and no others; how many came in and went."""
    wanted = {f"{place}/{file.path}": file for file in files}
    held = {task.file.file_path: task.file for task in table.scan().plan_files()}
    new, gone = wanted.keys() - held.keys(), held.keys() - wanted.keys()
    if new or gone:
        with table.transaction() as change:
            update = change.update_snapshot(snapshot_properties={COMMIT: str(commit_id)})
            with update.overwrite() as swap:
                for path in sorted(gone):
                    swap.delete_data_file(held[path])
                for path in sorted(new):
                    swap.append_data_file(data_file(path, wanted[path]))
    return len(new), len(gone)


def data_file(path: str, file: StagedFile) -> DataFile:
    """What Iceberg must know of a file, from the catalog alone.

    No least and greatest values of its columns: those of texts would quote what users wrote, in
    metadata that no erasure reaches.
    """
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=Record((file.log_date - _EPOCH).days),
        record_count=file.rows,
        file_size_in_bytes=file.bytes,
    )
