"""The live files as Iceberg tables: what pyiceberg reads there is what the views show."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

pytest.importorskip("pyiceberg", reason="needs the extra `iceberg`")

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Transaction
from pyiceberg.utils.config import Config

from warehouse import iceberg, reading
from warehouse.errors import CommitConflict, SettingsError
from warehouse.live import live
from warehouse.records import (
    Evidence,
    LineageTurn,
    Message,
    ReasonCode,
    Redaction,
    Reject,
    Role,
    SeedPair,
    SystemPrompt,
)
from warehouse.schema import TABLES, Partition
from warehouse.staging import PartitionWriter

BEFORE = dt.date(2026, 11, 19)


class Lake:
    """An Iceberg catalog in a folder whose name needs escaping, and what it holds."""

    def __init__(self, out: Path, store) -> None:
        self.catalog = iceberg.sql_catalog(out)
        self._store = store

    def export(self, namespace: str = "logs") -> dict[str, tuple[int, int, int]]:
        """Of the tables that changed: files, added, removed."""
        done = iceberg.export(self._store.catalog, self.catalog, namespace)
        changed = [table for table in done if table.added or table.removed]
        return {table.table: (table.files, table.added, table.removed) for table in changed}

    def table(self, name: str):
        return self.catalog.load_table(f"logs.{name}")

    def rows(self, name: str, **scan) -> list[tuple]:
        """By their second column, which tells them apart."""
        found = self.table(name).scan(**scan).to_arrow().to_pylist()
        return sorted((tuple(row.values()) for row in found), key=lambda row: row[1])


@pytest.fixture
def lake(store, tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "ice 100%20 [new]", store)
    yield lake
    lake.catalog.close()


def some_rows(store) -> dict[str, list]:
    """Of every table, with its lists filled."""
    counts = (Redaction("EMAIL", 2), Redaction("PHONE", 1))
    message = Message(role=Role.SYSTEM, content="", prompt_hash="p")
    of = {"origin_file": "log", "origin_offset": 5}
    why = Evidence(rule="no_v1", start=0, end=2, weight=1.5)
    return {
        "turns": [
            store.turn(1, thumb=-1, event_ts=store.now, chain=2**64 - 1),
            store.turn(2, carried=True),
        ],
        "conversations": [store.facts(1, redactions=counts, sketch=(2**64 - 1, 1))],
        "system_prompts": [SystemPrompt(prompt_hash="p", content="be kind")],
        "seed_pairs": [
            SeedPair(
                pair_id="s", prompt=(message, message), chosen="a", rejected="b", source="x", **of
            )
        ],
        "signals": [store.signal(1, evidence=(why,)), store.signal(2)],
        "dsat_turns": [store.dsat(1), store.dsat(2, context=(message,))],
        "rejects": [
            Reject(reason=ReasonCode.WRONG_SHAPE, length=3, digest="d", detail="no role", **of)
        ],
        "lineage": [LineageTurn(turn_id="turn-1", batch_id="b", stream="s", model_version="v")],
    }


def shown(store, table: str, columns: list[str]) -> list[tuple]:
    """What the view of that name shows; of lineage, whose view is a join, what its files hold."""
    rows = f"FROM {table}"
    if table == "lineage":
        with store.catalog.read() as connection:
            rows = reading.query(store.root, table, live(connection, table))
    return sorted(store.sql(f"SELECT {', '.join(columns)} FROM ({rows})"), key=lambda row: row[1])


@pytest.mark.parametrize("table", TABLES)
def test_iceberg_reads_what_the_view_shows(store, lake, table: str) -> None:
    rows = some_rows(store)[table]
    store.publish("1", store.stage(table, "rules@1", rows))
    assert lake.export() == {f"logs.{table}": (1, 1, 0)}
    columns = [field.name for field in lake.table(table).schema().fields]
    unsigned = {"turns": {"chain"}, "conversations": {"chain", "sketch"}}.get(table, set())
    assert set(TABLES[table].names) - set(columns) == unsigned
    where = {"row_filter": "carried = false"} if table == "turns" else {}
    found = lake.rows(table, **where)
    assert found == shown(store, table, columns)
    assert len(found) == len(rows) - len(where)


def test_a_snapshot_says_which_commit_it_shows(store, lake) -> None:
    for run in ("1", "2"):
        store.publish(run, store.stage("turns", "a", [store.turn(1)]))
        lake.export()
    said = [s.summary[iceberg.COMMIT] for s in lake.table("turns").snapshots()]
    assert said == ["1", "2"]


def test_a_query_for_a_night_plans_that_nights_files(store, lake) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    early = store.stage("turns", "a", [store.turn(2)], BEFORE)
    store.publish("2", early, night=BEFORE)
    lake.export()
    scan = lake.table("turns").scan(row_filter=f"log_date = '{BEFORE}'")
    (task,) = scan.plan_files()
    assert task.file.file_path == f"file://{store.root}/{early.path}"
    assert scan.to_arrow()["turn_id"].to_pylist() == ["turn-2"]


def test_what_was_replaced_is_gone_after_the_next_export(store, lake) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(i) for i in range(4)]))
    store.publish("2", store.stage("turns", "b", [store.turn(9)]))
    lake.export()
    store.publish("3", store.stage("turns", "a", [store.turn(0)]))
    assert lake.export() == {"logs.turns": (2, 1, 1)}
    assert [row[1] for row in lake.rows("turns")] == ["turn-0", "turn-9"]
    store.publish("4", replaces={Partition("turns", store.night, part) for part in "ab"})
    assert lake.export() == {"logs.turns": (0, 0, 2)}
    assert lake.rows("turns") == []


def test_of_detectors_the_current_one_is_exported(store, lake) -> None:
    store.publish("1", store.stage("signals", "rules@1", [store.signal(1)]))
    store.publish("2", store.stage("signals", "small@2", [store.signal(1, detector="small")]))
    lake.export()
    assert [row[9] for row in lake.rows("signals")] == ["small"]


def test_an_export_after_nothing_changed_does_nothing(store, lake) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    lake.export()
    before = {name: lake.table(name).metadata_location for name in TABLES}
    assert lake.export() == {}
    assert {name: lake.table(name).metadata_location for name in TABLES} == before


def test_empty_tables_are_there(store, lake) -> None:
    assert lake.export() == {}
    assert {name: lake.rows(name) for name in TABLES} == dict.fromkeys(TABLES, [])


def test_no_data_is_copied_or_touched(store, lake, tmp_path: Path) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))

    def files() -> dict[Path, tuple[int, int]]:
        found = tmp_path.rglob("*.parquet")
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}

    before = files()
    lake.export()
    store.publish("2", replaces={Partition("turns", store.night, "a")})
    lake.export()
    assert files() == before
    assert lake.table("turns").properties["gc.enabled"] == "false"


def test_the_metadata_quotes_nothing_that_a_user_wrote(store, lake) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1, content="my secret")]))
    lake.export()
    (entry,) = (task.file for task in lake.table("turns").scan().plan_files())
    assert not entry.lower_bounds and not entry.upper_bounds


def of_older_shape(store, monkeypatch) -> None:
    """Publish a file of before: `thumb` was `vote`, offsets were 32 bits, nobody opted out."""
    older = {"thumb": ("vote", pa.int8()), "origin_offset": ("origin_offset", pa.int32())}
    fields = [
        pa.field(name, kind, field.nullable, field.metadata)
        for field in TABLES["turns"]
        if field.name not in ("opted_out", "edited")
        for name, kind in [older.get(field.name, (field.name, field.type))]
    ]
    with monkeypatch.context() as before:
        before.setitem(TABLES, "turns", pa.schema(fields))
        writer = PartitionWriter(store.root, Partition("turns", store.night, "old"))
        given = {field.name: "x" for field in fields if field.type == pa.string()} | {
            "log_date": store.night, "turn_index": 1, "event_ts": store.now, "vote": -1,
            "rating": 0.5, "regenerated": True, "carried": False, "origin_offset": 7, "chain": 1,
        }  # fmt: skip
        writer.write(pa.RecordBatch.from_pylist([given], TABLES["turns"]))
        staged = writer.close()
    store.publish("old", staged)


def test_a_file_of_an_older_shape_is_read_by_field_ids(store, lake, monkeypatch) -> None:
    of_older_shape(store, monkeypatch)
    store.publish("new", store.stage("turns", "new", [store.turn(1, thumb=1)]))
    lake.export()
    names = ["turn_id", "thumb", "origin_offset", "edited", "event_ts"]
    found = lake.rows("turns", selected_fields=("log_date", *names))
    assert sorted(found, key=str) == sorted(
        shown(store, "turns", ["log_date", "turn_id", "event_ts", "thumb", "edited",
                               "origin_offset"]), key=str
    )  # fmt: skip
    # Where the views show what a column that takes no null held before there was one.
    opted_out = lake.table("turns").scan(selected_fields=("opted_out",)).to_arrow()["opted_out"]
    assert sorted(opted_out.to_pylist(), key=str) == [False, None]


def test_a_table_of_an_older_shape_takes_todays(store, lake, monkeypatch) -> None:
    of_older = pa.schema([f for f in TABLES["turns"] if f.name not in ("thumb", "opted_out")])
    with monkeypatch.context() as before:
        before.setitem(TABLES, "turns", of_older)
        lake.export()
    assert "thumb" not in lake.table("turns").schema().column_names
    store.publish("1", store.stage("turns", "a", [store.turn(1, thumb=1)]))
    lake.export()
    assert lake.table("turns").schema().as_struct() == iceberg.schema("turns").as_struct()
    assert lake.table("turns").scan().to_arrow()["thumb"].to_pylist() == [1]


def test_a_table_of_somebody_else_is_left_alone(store, lake) -> None:
    lake.catalog.create_namespace("logs")
    lake.catalog.create_table("logs.turns", iceberg.schema("turns"))
    with pytest.raises(SettingsError, match="not an export.*--namespace"):
        lake.export()
    assert lake.table("turns").properties.get(iceberg.STORE) is None
    assert lake.export("others") == {}


def test_an_export_that_lost_a_race_says_so(store, lake, monkeypatch) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))

    def lost(self) -> None:
        raise CommitFailedException

    monkeypatch.setattr(Transaction, "commit_transaction", lost)
    with pytest.raises(CommitConflict, match="run again"):
        lake.export()
    monkeypatch.undo()
    assert lake.export() == {"logs.turns": (1, 1, 0)}


def test_a_catalog_is_found_by_its_name_in_pyicebergs_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__URI", f"sqlite:///{tmp_path}/lake.db")
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())
    lake = iceberg.open_catalog("lake")
    assert lake.list_namespaces() == []
    lake.close()


REFUSED = {
    "no such catalog": lambda out: iceberg.open_catalog("nowhere"),
    "no database": lambda out: iceberg.sql_catalog(out, "nonsense"),
    "a folder that Iceberg cannot name": lambda out: iceberg.sql_catalog(out / "a#b"),
}


@pytest.mark.parametrize("opened", REFUSED.values(), ids=REFUSED)
def test_a_catalog_that_cannot_be_used_is_a_settings_error(opened, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        opened(tmp_path)
