"""The same files as a table of pyiceberg's and of delta-rs's: what `warehousing.py` compares with.

Of the ways that each offers, the fastest one that copies no data: pyiceberg commits data files that
were described beforehand in one overwrite (its `add_files` would read every footer first), delta-rs
add actions in one write transaction. Neither flushes what it writes to the disk; we do, and so does
`Delta.flush`.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from warehouse.schema import TABLES
from warehouse.staging import StagedFile


class Iceberg:
    """An Iceberg table in a SQLite catalog."""

    def __init__(self, root: Path, folder: Path) -> None:
        from warehouse import iceberg

        self._place = iceberg.location(root)
        self._catalog = iceberg.sql_catalog(folder)
        self._catalog.create_namespace("bench")
        self.table = iceberg._table(self._catalog, "bench.turns", self._place)
        iceberg._evolve(self.table, iceberg.schema("turns"))

    def described(self, files: Iterable[StagedFile]) -> list[Any]:
        """What the table must know of the files."""
        from warehouse.iceberg import data_file

        return [data_file(f"{self._place}/{file.path}", file) for file in files]

    def held(self, nights: Iterable[dt.date]) -> list[Any]:
        """The entries of these nights' files."""
        from pyiceberg.expressions import In

        rows = In("log_date", [night.isoformat() for night in nights])
        return [task.file for task in self.table.scan(row_filter=rows).plan_files()]

    def swap(self, gone: Sequence[Any], new: Sequence[Any]) -> None:
        """The measured commit."""
        with self.table.transaction() as change, change.update_snapshot().overwrite() as swap:
            for file in gone:
                swap.delete_data_file(file)
            for file in new:
                swap.append_data_file(file)

    def close(self) -> None:
        """Close its catalog."""
        self._catalog.close()


class Delta:
    """A Delta table, partitioned by log_date; its files lie in its folder, as they must."""

    def __init__(self, root: Path) -> None:
        import pyarrow as pa
        from deltalake import Schema

        fields = [f for f in TABLES["turns"] if f.name != "chain"]  # Delta has no unsigned integers
        self._folder = root / "data" / "turns"
        self._schema = Schema.from_arrow(pa.schema(fields).remove_metadata())

    def described(self, files: Iterable[StagedFile]) -> list[Any]:
        """What the table must know of the files."""
        from deltalake.transaction import AddAction

        return [
            AddAction(
                path="/".join(file.path.split("/")[2:]),
                size=file.bytes,
                partition_values={"log_date": file.log_date.isoformat()},
                modification_time=0,
                data_change=True,
                stats=f'{{"numRecords": {file.rows}}}',
            )
            for file in files
        ]

    def create(self, actions: Sequence[Any]) -> None:
        """The measured first commit."""
        from deltalake import DeltaTable
        from deltalake.transaction import create_table_with_add_actions

        create_table_with_add_actions(
            str(self._folder), self._schema, list(actions), partition_by=["log_date"]
        )
        self.table = DeltaTable(self._folder)

    def swap(self, nights: Iterable[dt.date], actions: Sequence[Any]) -> None:
        """The measured commit: these files in place of all of these nights."""
        self.table.create_write_transaction(
            list(actions),
            mode="overwrite",
            schema=self._schema,
            partition_by=["log_date"],
            partition_filters=[("log_date", "in", [night.isoformat() for night in nights])],
        )

    def flush(self) -> None:
        """Bring the newest entry of its log to the disk, as our commit does with its manifest."""
        log = self._folder / "_delta_log"
        for path in (max(log.glob("*.json")), log):
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
