"""Published and staged files are never edited: what settling changes is written anew, beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.scene import RECORD
from warehouse import reading
from warehouse.schema import Partition
from warehouse.staging import PartitionWriter, StagedFile

# By kind: the keys of what changes, and its new values. Only kinds that have any.
Edits = dict[str, pa.Table]

# Rows that are held in memory at once, and never more than a row group.
_ROWS = 16_384

# What becomes of a table's rows, by the record or the turn that they are of: they are gone, or
# columns of theirs change.
_EDITS = {
    "turns": {
        "gone": f"SELECT {RECORD} FROM left_out",
        "carried": f"SELECT {RECORD}, carried FROM carries",
        "feedback": "FROM feedback",
        "opted_out": "FROM withdrawn",
    },
    "conversations": {
        "gone": f"SELECT {RECORD} FROM left_out",
        "cluster": f"SELECT {RECORD}, cluster FROM clustered",
        "opted_out": "FROM withdrawn",
    },
}
_KEYS = ("origin_offset", "turn_index", "conversation_id")
_PLACES = "SELECT DISTINCT log_date, origin_file FROM ({edits})"
_OF_FILE = """
SELECT * EXCLUDE (log_date, origin_file) FROM ({edits})
SEMI JOIN (SELECT origin_offset, conversation_id FROM ({rows}))
    USING (origin_offset, conversation_id)
WHERE log_date = $log_date AND origin_file = $part
"""


def edited(connection: duckdb.DuckDBPyConnection) -> set[Partition]:
    """Where anything changes. A night may have thousands of small files, and changes in few."""
    return {
        Partition(table, *place)
        for table, kinds in _EDITS.items()
        for query in kinds.values()
        for place in connection.execute(_PLACES.format(edits=query)).fetchall()
    }


def edits(connection: duckdb.DuckDBPyConnection, store: Path, file: StagedFile) -> Edits:
    """What changes in a file of turns or conversations."""
    where = {"log_date": file.log_date, "part": file.part}
    rows = reading.query(store, file.table, [file])
    found = {
        kind: connection.sql(_OF_FILE.format(edits=query, rows=rows), params=where).to_arrow_table()
        for kind, query in _EDITS[file.table].items()
    }
    return {kind: changed for kind, changed in found.items() if changed.num_rows}


def write_anew(
    store: Path, file: StagedFile, changed: Edits, note: Callable[[str], object]
) -> StagedFile | None:
    """A file with the `edits` made to what another holds; None where no row is left.

    `note` is told the path of the new file before there is one.
    """
    writer = None
    for batch in reading.batches(store, file, rows=_ROWS):
        kept = _edited(batch, changed)
        if kept.num_rows:
            writer = writer or PartitionWriter(store, file.partition, note)
            writer.write(kept)
    return None if writer is None else writer.close()


def _edited(batch: pa.RecordBatch, changed: Edits) -> pa.RecordBatch:
    for kind, edits in changed.items():
        keys = [name for name in _KEYS if name in edits.column_names]
        row = pc.index_in(_joined(batch, keys), value_set=_joined(edits, keys))
        if kind == "gone":
            batch = batch.filter(pc.is_null(row))
            continue
        for name in edits.drop_columns(keys).column_names:
            value = edits[name].combine_chunks().take(row)
            new = pc.less(batch["turn_index"], value) if name == "carried" else value
            at = batch.schema.get_field_index(name)
            batch = batch.set_column(at, batch.schema.field(at), pc.coalesce(new, batch[name]))
    return batch


def _joined(rows: pa.RecordBatch | pa.Table, keys: Sequence[str]) -> Any:
    """One text a row. The id comes last: the others hold no space."""
    return pc.binary_join_element_wise(*(rows[name].cast(pa.string()) for name in keys), " ")
