"""Files of older shapes beside those of today's: the same rows, in SQL and in Arrow."""

import datetime as dt
import json
import re
from itertools import chain
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest

from warehouse import reading
from warehouse.query import connect, live_files, snapshot
from warehouse.records import Evidence, Message, Role
from warehouse.schema import TABLES, Partition, field_id, to_batch
from warehouse.staging import PartitionWriter

EARLIER = dt.date(2026, 11, 19)


def altered(schema: pa.Schema, **changes: pa.Field | None) -> pa.Schema:
    """A schema with other fields in place of some; None: without it, a new name: at the end."""
    kept = [changes.get(field.name, field) for field in schema]
    new = [field for name, field in changes.items() if name not in schema.names]
    return pa.schema([field for field in [*kept, *new] if field is not None])


def struct_list(field: pa.Field, *names: str) -> pa.Field:
    """A list's field whose struct has these of its fields only."""
    element = field.type.value_field
    struct = pa.struct([child for child in element.type if child.name in names])
    return field.with_type(pa.list_(element.with_type(struct)))


def extra(name: str, kind: pa.DataType) -> pa.Field:
    """A column of an id that is used no more."""
    return pa.field(name, kind, metadata={"PARQUET:field_id": "99"})


S, T, D = TABLES["signals"], TABLES["turns"], TABLES["dsat_turns"]
# What was done to the table since -> table, what it was before, and columns whose values are no
# more what was written, with what they are.
CHANGES = {
    "a column that may be null was added": ("signals", {"language": None}, {"language": None}),
    "two numbers that may be null were added": (
        "signals",
        {"report_threshold": None, "trainable_threshold": None},
        {"report_threshold": None, "trainable_threshold": None},
    ),
    "a text was added": ("signals", {"category": None}, {"category": ""}),
    "a flag was added": ("turns", {"carried": None}, {"carried": False}),
    "a number was added": ("signals", {"probability": None}, {"probability": 0.0}),
    "a list was added": ("signals", {"evidence": None}, {"evidence": []}),
    "a column was renamed": ("signals", {"category": S.field("category").with_name("kind")}, {}),
    "two columns changed names": (
        "signals",
        {
            "detector": S.field("detector").with_name("detector_version"),
            "detector_version": S.field("detector_version").with_name("detector"),
        },
        {},
    ),
    "int32 became int64": (
        "turns", {"origin_offset": T.field("origin_offset").with_type(pa.int32())}, {},
    ),
    "int8 became int32": ("turns", {"turn_index": T.field("turn_index").with_type(pa.int8())}, {}),
    "float became double": ("turns", {"rating": T.field("rating").with_type(pa.float32())}, {}),
    "a column was dropped": ("turns", {"mood": extra("mood", pa.string())}, {}),
    "another column took a dropped one's name": (
        "signals",
        {"language": extra("language", pa.int32())},
        {"language": None},
    ),
    "columns were put in another order": (
        "turns", {"turn_id": None, "id": T.field("turn_id").with_name("id")}, {},
    ),
    "a list's struct grew at its end": (
        "dsat_turns",
        {"context": struct_list(D.field("context"), "role", "content")},
        {"context": [{"role": "user", "content": "hi", "prompt_hash": None}]},
    ),
}  # fmt: skip
READS = {"shape known": False, "shape not known, as of an older program": True}


def row(store, table: str):
    make = {"signals": store.signal, "turns": store.turn, "dsat_turns": store.dsat}[table]
    own = {
        "signals": {
            "report_threshold": 0.4, "trainable_threshold": 0.7,
            "language": "en", "evidence": (Evidence(rule="r", start=0, end=2, weight=1.5),),
        },
        "turns": {"rating": 2.5, "origin_offset": 7},
        "dsat_turns": {
            "context": (Message(role=Role.USER, content="hi", prompt_hash="ab"),),
        },
    }[table]  # fmt: skip
    return make(5, **own)


def write_older(store, monkeypatch, table: str, older: pa.Schema, night: dt.date):
    """Stage today's row as a program with the older schema would have."""
    today = to_batch(table, night, [row(store, table)])
    names = {field_id(field): field.name for field in today.schema}
    (values,) = today.to_pylist()
    columns = [
        pa.array([values.get(names.get(field_id(field), ""))], field.type) for field in older
    ]
    with monkeypatch.context() as patch:
        patch.setitem(TABLES, table, older)
        writer = PartitionWriter(store.root, Partition(table, night, "a@1"))
        writer.write(pa.RecordBatch.from_arrays(columns, schema=older))
        return writer.close()


def of_today(store, table: str, night: dt.date) -> dict:
    (values,) = to_batch(table, night, [row(store, table)]).to_pylist()
    return values


def in_sql(connection, table: str) -> list[dict]:
    found = connection.sql(f"SELECT * FROM {table} ORDER BY log_date").to_arrow_table()
    assert found.schema.names == TABLES[table].names
    return found.to_pylist()


@pytest.mark.parametrize("unknown", READS.values(), ids=READS)
@pytest.mark.parametrize("table, before, lost", CHANGES.values(), ids=CHANGES)
def test_files_of_both_shapes_read_as_today(
    store, monkeypatch, table: str, before, lost, unknown: bool
) -> None:
    older = altered(TABLES[table], **before)
    old = write_older(store, monkeypatch, table, older, EARLIER)
    if unknown:
        old = msgspec.structs.replace(old, shape=None)
    store.publish("1", old, night=EARLIER)
    new = store.stage(table, "a@1", [row(store, table)])
    store.publish("2", new)
    want_old = of_today(store, table, EARLIER) | lost
    want = [want_old, of_today(store, table, store.night)]

    with connect(store.root) as connection:
        assert in_sql(connection, table) == want
        assert connection.sql(f"SELECT count(*) FROM {table}").fetchall() == [(2,)]
    with snapshot(store.catalog, 1) as connection:
        assert in_sql(connection, table) == [want_old]
    files = live_files(store.catalog, table)
    for file, expected in zip(files, want, strict=True):
        (batch,) = reading.batches(store.root, file, rows=10)
        assert batch.schema.equals(TABLES[table], check_metadata=True)
        assert batch.to_pylist() == [expected]
        names = ["log_date", *list(before)[:1]] if set(before) <= set(expected) else ["log_date"]
        (some,) = reading.columns(store.root, file, names)
        assert some.to_pylist() == [{name: expected[name] for name in names}]


def fields(field: pa.Field, path: str = "") -> dict[str, str]:
    """Path by ids -> name and type, of a field and all within it."""
    path = f"{path}{field_id(field)}"
    null = "" if field.nullable else " not null"
    if pa.types.is_list(field.type):
        return {path: f"{field.name} list{null}"} | fields(field.type.value_field, f"{path}.")
    if pa.types.is_struct(field.type):
        inner = [fields(child, f"{path}.") for child in field.type]
        return {path: f"{field.name} struct{null}"} | dict(
            chain.from_iterable(map(dict.items, inner))
        )
    return {path: f"{field.name} {field.type}{null}"}


def test_the_schemas_are_these_for_every_file_that_was_ever_written() -> None:
    """A change is for ever. See "Changing a table" in docs/warehouse.md, then change the file."""
    frozen = json.loads(Path(__file__).with_name("schemas.json").read_text())
    found = {}
    for table, schema in TABLES.items():
        found[table] = {}
        for field in schema:
            found[table] |= fields(field)
    assert found == frozen


@pytest.mark.parametrize("table", TABLES)
def test_no_id_stands_for_two_fields(table: str) -> None:
    def ids(field: pa.Field) -> list[int]:
        kind = field.type
        within = [kind.value_field] if pa.types.is_list(kind) else []
        within += list(kind) if pa.types.is_struct(kind) else []
        return [field_id(field), *chain.from_iterable(map(ids, within))]

    found = list(chain.from_iterable(map(ids, TABLES[table])))
    assert len(found) == len(set(found))


def test_a_value_that_a_narrower_type_cannot_hold_is_an_error(store, monkeypatch) -> None:
    """Never a value that is another one, in whichever way it is read."""
    wide = altered(T, turn_index=T.field("turn_index").with_type(pa.int64()))
    batch = to_batch("turns", EARLIER, [store.turn(5)]).cast(wide)
    column = wide.get_field_index("turn_index")
    batch = batch.set_column(column, wide.field(column), pa.array([2**40]))
    with monkeypatch.context() as patch:
        patch.setitem(TABLES, "turns", wide)
        writer = PartitionWriter(store.root, Partition("turns", EARLIER, "a"))
        writer.write(batch)
        store_file = writer.close()
    with pytest.raises(pa.ArrowInvalid):
        list(reading.batches(store.root, store_file, rows=10))
    store.publish("1", store_file, night=EARLIER)
    with connect(store.root) as connection, pytest.raises(duckdb.Error):
        connection.execute("SELECT turn_index FROM turns").fetchall()


def test_of_older_files_a_filter_on_the_night_reads_the_rows_of_no_other(store) -> None:
    """DuckDB opens them all, for it goes by their ids and not by their paths."""
    nights = [store.night - dt.timedelta(days=i) for i in range(4)]
    older = [store.stage("turns", "a", [store.turn(i) for i in range(8)], n) for n in nights]
    store.publish("1", *(msgspec.structs.replace(file, shape=None) for file in older))
    where = "WHERE log_date = DATE '2026-11-18'"
    ((_, plan),) = store.sql(f"EXPLAIN ANALYZE SELECT content FROM turns {where}")
    assert re.findall(r"Row Groups Scanned: (\d+) / (\d+)", plan) == [("1", "4")]
