"""A catalog of an older version becomes one of today, and everything reads as it did.

`data/version2` is a small warehouse that version 2 wrote: three nights, one of them corrected, one
emptied, one read by two detectors; a finished, a released and a leased batch; a run that failed
and one that was killed at its commit.
"""

import datetime as dt
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, event, inspect, text

from warehouse import migrations, streams
from warehouse.catalog import Catalog
from warehouse.leases import Lease, acquire, finish
from warehouse.ledger import published
from warehouse.live import live
from warehouse.manifest import ModelVersion, apply, read_all
from warehouse.query import snapshot, watermark
from warehouse.selection import Wanted
from warehouse.tables import metadata

pytestmark = pytest.mark.databases
DATA = Path(__file__).parent / "data" / "version2"
HOUR = dt.timedelta(hours=1)
TRAINED = ["turn-10", "turn-12", "turn-13", "turn-14", "turn-20", "turn-21"]


def load(root: Path, url: str) -> None:
    """A copy of the warehouse of version 2 at `root`, its catalog at `url`."""
    shutil.copytree(DATA, root)
    if not url:
        connection = sqlite3.connect(root / "catalog.db")
        connection.executescript((DATA / "sqlite.sql").read_text())
        connection.close()
        return
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql((DATA / "postgresql.sql").read_text())
    engine.dispose()


@pytest.fixture
def old(tmp_path, databases) -> tuple[Path, str]:
    root, url = tmp_path / "old", databases.empty()
    load(root, url)
    return root, url


@pytest.fixture
def migrated(store, old):
    store.catalog.close()
    store.root, store.url = old
    store.reopen()
    return store


def tables(catalog: Catalog) -> dict[str, Any]:
    """What the database says of every table, but for the order in which it says so."""
    looked = inspect(catalog._engine)

    def ordered(entries: list[Any]) -> list[str]:
        return sorted(str(sorted(entry.items(), key=str)) for entry in entries)

    return {
        name: [
            [
                (c["name"], str(c["type"]), c["nullable"], c["default"])
                for c in looked.get_columns(name)
            ],
            looked.get_pk_constraint(name),
            ordered(looked.get_foreign_keys(name)),
            ordered(looked.get_indexes(name)),
            ordered(looked.get_unique_constraints(name)),
        ]
        for name in looked.get_table_names()
    }


def test_a_migrated_catalog_has_the_tables_of_a_new_one(migrated, databases, tmp_path) -> None:
    new = Catalog.open(tmp_path / "new", databases.empty())
    assert tables(migrated.catalog) == tables(new)
    assert tables(new).keys() == metadata.tables.keys()
    new.close()


def test_everything_reads_as_it_did(migrated) -> None:
    assert migrated.sql("SELECT turn_id, content FROM turns ORDER BY turn_id") == [
        ("turn-10", "corrected"),
        *((f"turn-{i}", f"text {i}") for i in range(20, 24)),
    ]
    assert migrated.sql("SELECT turn_id FROM signals") == [("turn-20",)]
    assert len(migrated.sql("FROM dsat_turns")) == 5 + 5 + 2
    assert migrated.sql("SELECT run_id, state, reason FROM runs WHERE state <> 'committed'") == [
        ("mine-failed", "failed", "disk full"),
        ("mine-running", "running", None),
    ]
    assert migrated.sql("SELECT batch_id, state, turns, reuses FROM batches") == [
        ("default-000001", "finished", 6, None),
        ("default-000002", "released", 0, None),
        ("default-000003", "leased", 3, None),
    ]
    assert [(log.lines, log.reading) for log in published(migrated.catalog)] == [
        (4, ""), (1, ""), (4, ""),
    ]  # fmt: skip
    assert watermark(migrated.catalog, "mine") == migrated.night
    assert migrated.sql("SELECT commit_id, schema_version FROM warehouse_info") == [(10, 4)]


def test_every_former_commit_can_be_read_again(migrated) -> None:
    counts = []
    for commit_id in range(1, 11):
        with snapshot(migrated.catalog, commit_id) as then:
            counts.append(then.execute("SELECT count(*) FROM turns").fetchone()[0])
    assert counts == [4, 4, 8, 8, 12, 12, 9, 9, 5, 5]


def test_lineage_is_known_with_the_users_that_files_still_tell(migrated) -> None:
    assert streams.lineage(migrated.catalog, "0001-default-000001") == TRAINED
    users = dict(migrated.sql("SELECT turn_id, user_key FROM lineage"))
    # Of turn 10 and 20 the log said no user.
    assert users == {
        "turn-10": None, "turn-12": "user-2", "turn-13": "user-3", "turn-14": "user-4",
        "turn-20": None, "turn-21": "user-1",
    }  # fmt: skip


def held(store) -> Lease:
    with store.catalog.read() as connection:
        row = connection.execute(text("SELECT * FROM batches WHERE state = 'leased'")).one()
    at = dt.datetime(2026, 11, 21, 4, tzinfo=dt.UTC)
    return Lease(
        batch_id=row.batch_id, stream=row.stream, token=row.token, snapshot=row.snapshot,
        created_at=at, expires_at=at + 12 * HOUR,
        turns=tuple(store.dsat(i) for i in (0, 2, 11)),
    )  # fmt: skip


def test_leases_go_on_and_nothing_is_trained_on_twice(migrated) -> None:
    lease, now = held(migrated), dt.datetime(2026, 11, 21, 5, tzinfo=dt.UTC)
    model = ModelVersion(
        version="v2", parent="0001-default-000001", batch_id=lease.batch_id, created_at=now,
        promoted=False, manifest_sha256="ab",
    )  # fmt: skip
    finish(migrated.catalog, lease, model, now)
    rest = acquire(
        migrated.catalog, Wanted(turns=99), stream="default", holdout=0, ttl=HOUR, seed=0,
        now=now + 24 * HOUR,
    )  # fmt: skip
    assert rest.batch_id == "default-000004"
    used = {*TRAINED, "turn-0", "turn-2", "turn-11"}
    assert {turn.turn_id for turn in rest.turns}.isdisjoint(used)
    # The users of turns 4 and 14 opted out.
    assert {turn.turn_id for turn in rest.turns} == {"turn-1", "turn-3"}


def test_publishing_goes_on(migrated) -> None:
    staged = migrated.stage("turns", "log", [migrated.turn(7)])
    assert migrated.publish("mine-running", staged) == 11
    assert migrated.sql("SELECT turn_id FROM turns WHERE log_date = '2026-11-20'") == [("turn-7",)]
    assert migrated.publish("ingest-2", staged) is None


def recorded(catalog: Catalog) -> dict[str, Any]:
    """What a catalog holds, but for what no manifest tells."""
    found = {}
    with catalog.read() as connection:
        for table in metadata.sorted_tables:
            if table.name in ("schema_version", "barred_users", "streams"):
                continue
            rows = connection.execute(table.select().order_by(*table.primary_key)).mappings()
            found[table.name] = [
                {name: value for name, value in row.items() if name != "token"} for row in rows
            ]
    return found


def test_its_manifests_make_the_same_catalog_again(migrated, databases, tmp_path) -> None:
    again = Catalog.open(tmp_path / "again", databases.new())
    manifests = list(read_all(migrated.root))
    with again.write() as connection:
        for manifest in manifests:
            apply(connection, manifest)
    expected, found = recorded(migrated.catalog), recorded(again)
    again.close()
    done = {"default-000001"}
    expected["runs"] = [row for row in expected["runs"] if row["state"] == "committed"]
    expected["batches"] = [row for row in expected["batches"] if row["batch_id"] in done]
    assert found | {"batch_items": []} == expected | {"batch_items": []}
    assert manifests[-1].erased == ["user-9"]
    names = sorted(path.name for path in (migrated.root / "manifests").iterdir())
    assert names == [f"{i:010d}.json" for i in range(1, 11)]


class Killed(BaseException):
    """Stands for the end of the process."""


def killed(*_: Any) -> None:
    raise Killed


def test_a_migration_killed_before_its_commit_leaves_version_2(old) -> None:
    root, url = old
    catalog = Catalog.connect(root, url)
    before = tables(catalog)
    event.listen(catalog._engine, "commit", killed)
    with pytest.raises(Killed):
        catalog._create_tables()
    event.remove(catalog._engine, "commit", killed)
    assert tables(catalog) == before
    with catalog.read() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == 2
        assert connection.execute(text("SELECT count(*) FROM files")).scalar_one() == 9
    assert {path.name for path in DATA.glob("manifests/*")} <= {
        path.name for path in root.glob("manifests/*")
    }
    catalog.close()
    again = Catalog.open(root, url)
    with again.read() as connection:
        assert len(live(connection, "lineage")) == 1
    again.close()


def test_manifests_that_a_kill_left_behind_harm_nobody(old, monkeypatch) -> None:
    root, url = old
    catalog = Catalog.connect(root, url)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(migrations, "clear", killed)
        catalog._create_tables()
    catalog._create_tables()
    assert len(list(read_all(root))) == 10
    catalog.close()


def test_lost_manifests_and_files_stop_no_migration(old) -> None:
    root, url = old
    for path in [*root.glob("manifests/*"), *root.glob("data/dsat_turns/*/*")]:
        path.unlink()
    (root / "manifests" / "mine-0.json").write_bytes(b"{")
    catalog = Catalog.connect(root, url)
    catalog._create_tables()
    with catalog.read() as connection:
        (lineage,) = live(connection, "lineage")
        newest = connection.execute(
            text("SELECT part, max(generation) FROM generations WHERE log_date = '2026-11-19' "
                 "AND table_name IN ('turns', 'rejects') GROUP BY table_name, part ORDER BY 2")
        ).all()  # fmt: skip
    assert lineage.rows == len(TRAINED)
    assert newest == [("log", 2), ("log", 2)]
    catalog.close()


ORDERS = {
    "none": ([], {}),
    "counted on": (["m0004_b", "m0003_a", "frozen_0003"], {3: "m0003_a", 4: "m0004_b"}),
}


@pytest.mark.parametrize("names, expected", ORDERS.values(), ids=ORDERS)
def test_migrations_are_taken_in_order(names, expected) -> None:
    assert migrations.ordered(names) == expected


GAPS = {
    "a gap": ["m0003_a", "m0005_b"],
    "a number twice": ["m0003_a", "m0003_b"],
    "too early": ["m0002_a", "m0003_b"],
}


@pytest.mark.parametrize("names", GAPS.values(), ids=GAPS)
def test_a_gap_in_their_numbers_is_refused(names) -> None:
    with pytest.raises(ValueError, match="without a gap"):
        migrations.ordered(names)


def test_the_manifest_of_a_migrated_commit_is_one_of_today(migrated) -> None:
    encoded = (migrated.root / "manifests" / "0000000007.json").read_bytes()
    fields = msgspec.json.decode(encoded)
    assert fields["subject"] == "ingest-1-corrected"
    assert [entry["sha256"] for entry in fields["sources"]] == ["9" * 64]
