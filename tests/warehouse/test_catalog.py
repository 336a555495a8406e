"""The two kinds of transaction, and whom the catalog refuses."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from warehouse import catalog as module
from warehouse import migrations
from warehouse.catalog import Catalog
from warehouse.errors import CatalogMismatch, CommitConflict, SettingsError, SourceUnavailable
from warehouse.tables import commits, models, schema_version, streams


def add_stream(catalog: Catalog, name: str) -> None:
    with catalog.write() as connection:
        connection.execute(insert(streams).values(stream=name))


def names(catalog: Catalog) -> list[str]:
    with catalog.read() as connection:
        return list(connection.execute(select(streams.c.stream)).scalars())


@pytest.mark.databases
def test_a_write_takes_the_lock_before_its_first_statement(store, monkeypatch) -> None:
    monkeypatch.setattr(module, "BUSY_S", 0.001)
    other = Catalog.connect(store.root, store.url)
    with (
        store.catalog.write(),
        pytest.raises(CommitConflict, match="another run held the catalog"),
        other.write(),
    ):
        pass
    other.close()


SERVER = "postgresql+psycopg://me:{0}@db.example/drift?user=you&password={0}"


def test_a_catalog_is_named_without_its_password(tmp_path) -> None:
    catalog = Catalog.connect(tmp_path, SERVER.format("S3CRET"))
    assert catalog.database == "postgresql+psycopg://me:***@db.example/drift"


def test_a_port_that_is_none_is_a_setting_to_mend(tmp_path) -> None:
    with pytest.raises(SettingsError, match="catalog_url"):
        Catalog.connect(tmp_path, "postgresql+psycopg://me@db.example:port/drift")


def test_a_database_that_may_not_be_written_is_named(store) -> None:
    """As that of a file system that was mounted anew for reading."""
    with (
        pytest.raises(SourceUnavailable, match="readonly database"),
        store.catalog.write() as connection,
    ):
        connection.exec_driver_sql("PRAGMA query_only = 1")
        connection.execute(insert(streams).values(stream="s"))


@pytest.mark.databases
def test_a_write_that_raises_changes_nothing(store) -> None:
    with pytest.raises(KeyError), store.catalog.write() as connection:
        connection.execute(insert(streams).values(stream="half"))
        raise KeyError
    assert names(store.catalog) == []


@pytest.mark.databases
def test_a_reader_that_never_ends_blocks_no_writer_and_sees_one_state(store) -> None:
    with store.catalog.read() as reader:
        assert reader.execute(select(streams)).all() == []
        add_stream(store.catalog, "default")
        assert reader.execute(select(streams)).all() == []
    assert names(store.catalog) == ["default"]


def test_settings_of_sqlite(store) -> None:
    with store.catalog.read() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }
    assert found == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "busy_timeout": 60_000,
        "synchronous": 2,  # FULL: a commit survives a power cut
    }


@pytest.mark.databases
def test_a_reader_that_leaks_its_connection_blocks_no_writer(store, monkeypatch) -> None:
    monkeypatch.setattr(module, "BUSY_S", 0.001)
    reader = Catalog.connect(store.root, store.url)
    leaked = reader.read()
    leaked.__enter__().execute(select(streams)).all()
    add_stream(store.catalog, "default")
    assert names(store.catalog) == ["default"]
    leaked.__exit__(None, None, None)
    reader.close()


def test_a_postgresql_that_is_set_to_fix_states_early_still_shows_the_writer_before(
    tmp_path, postgres
) -> None:
    url = postgres.new() + "&options=-c%20default_transaction_isolation%3Dserializable"
    first, second = (Catalog.open(tmp_path / "w", url) for _ in range(2))
    with first.write() as connection:
        isolation = connection.execute(text("SHOW transaction_isolation")).scalar_one()
    with second.read() as connection:
        read = connection.execute(text("SHOW transaction_isolation")).scalar_one()
    assert (isolation, read) == ("read committed", "repeatable read")
    first.close()
    second.close()
    postgres.close()


@pytest.mark.databases
def test_references_are_enforced(store) -> None:
    orphan = {
        "version": "v1",
        "batch_id": "none",
        "created_at": store.now,
        "promoted": False,
        "manifest_sha256": "",
        "erased_turns": 0,
    }
    with pytest.raises(IntegrityError), store.catalog.write() as connection:
        connection.execute(insert(models).values(orphan))


@pytest.mark.databases
def test_instants_come_back_aware_and_in_utc(store) -> None:
    at = dt.datetime(2026, 11, 21, 4, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    with store.catalog.write() as connection:
        connection.execute(
            insert(commits).values(commit_id=1, kind="model", subject="v1", committed_at=at)
        )
        found = connection.execute(select(commits.c.committed_at)).scalar_one()
    assert (found, found.tzinfo) == (dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC), dt.UTC)


def test_a_naive_instant_is_refused(store) -> None:
    naive = dt.datetime(2026, 1, 1)
    row = insert(commits).values(commit_id=1, kind="model", subject="v1", committed_at=naive)
    with pytest.raises(Exception, match="aware datetimes only"), store.catalog.write() as c:
        c.execute(row)


@pytest.mark.databases
def test_opening_again_keeps_what_is_there(store) -> None:
    add_stream(store.catalog, "default")
    again = Catalog.open(store.root, store.url)
    assert names(again) == ["default"]
    again.close()


@pytest.mark.parametrize("version", [migrations.OLDEST - 1, migrations.newest() + 1])
def test_a_version_that_no_migration_starts_from_is_refused(store, version) -> None:
    with store.catalog.write() as connection:
        connection.execute(update(schema_version).values(version=version))
    with pytest.raises(CatalogMismatch, match=f"schema version {version}, this Driftmine"):
        Catalog.open(store.root)


def test_a_url_puts_the_catalog_elsewhere(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    Catalog.open(tmp_path / "root", url).close()
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "root" / "catalog.db").exists()


@pytest.mark.databases
def test_processes_that_open_a_new_warehouse_at_once_all_succeed(tmp_path: Path, databases) -> None:
    code = (
        "import sys; from pathlib import Path; from warehouse.catalog import Catalog; "
        "Catalog.open(Path(sys.argv[1]), sys.argv[2]).close()"
    )
    root, url = tmp_path / "new", databases.empty()
    opened = [
        subprocess.Popen([sys.executable, "-c", code, str(root), url], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    errors = [process.communicate(timeout=60)[1].decode() for process in opened]
    assert [process.returncode for process in opened] == [0] * 4, errors


UNUSABLE = {
    "no URL": ("bogus", SettingsError),
    "no such database": ("nosuchdb://host/name", SettingsError),
    "nobody answers": ("sqlite:////nonexistent/folder/catalog.db", SourceUnavailable),
}


@pytest.mark.parametrize("url, error", UNUSABLE.values(), ids=UNUSABLE)
def test_a_catalog_that_cannot_be_reached_says_what_to_mend(tmp_path, url, error) -> None:
    with pytest.raises(error, match="catalog"):
        Catalog.open(tmp_path / "w", url)


def test_a_damaged_catalog_is_no_traceback(tmp_path) -> None:
    Catalog.open(tmp_path / "w").close()
    (tmp_path / "w" / "catalog.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(SourceUnavailable, match="damaged"):
        Catalog.open(tmp_path / "w")


LOST = {"gone": lambda file: file.unlink(), "empty": lambda file: file.write_bytes(b"")}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_lost_catalog_is_no_empty_warehouse(store, lose) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    store.catalog.close()
    for file in store.root.glob("catalog.db*"):
        lose(file)
    for _ in range(2):
        with pytest.raises(CatalogMismatch, match="gone or empty"):
            Catalog.open(store.root)
