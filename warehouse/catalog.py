"""Opening the catalog, and its two kinds of transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

from warehouse import faults, migrations, views
from warehouse.errors import (
    CatalogMismatch,
    CommitConflict,
    CommitUnknown,
    SettingsError,
    SourceUnavailable,
)
from warehouse.manifest import FOLDER
from warehouse.store import open_store
from warehouse.tables import metadata, schema_version

# Seconds that a writer waits for another. A publish holds the lock for well under one.
BUSY_S = 60

# Of PostgreSQL's advisory locks, within a database: the writers'. Any number, the same for ever.
_WRITERS = 0x6472_6966_746D_696E  # "driftmin"


class Catalog:
    """A warehouse: its folder, the store of its files, and the database that says what is live."""

    def __init__(self, root: Path, store: Path, engine: Engine) -> None:
        self.root = root  # local: views, locks, what runs hand over
        self.store = store  # data files and manifests
        self._engine = engine

    @classmethod
    def open(cls, root: Path, url: str = "", data: str = "") -> Catalog:
        """Open the warehouse at `root`, made empty where there is none.

        `url` is SQLAlchemy's; "" is the SQLite file `catalog.db` in the root. `data` is where the
        files lie, a folder or a URL; "" is the root. Views that a killed publish left behind its
        commit are made anew, and an older catalog is migrated. Raises CatalogMismatch,
        SettingsError for a URL that names no database or store, MissingExtra, SourceUnavailable
        where the database does not answer or is damaged.
        """
        catalog = cls.connect(root, url, data)
        with catalog._answering():
            catalog._create_tables()
            views.refresh_if_stale(catalog)
        return catalog

    @classmethod
    def connect(cls, root: Path, url: str | URL = "", data: str = "") -> Catalog:
        """`open`, without a look at what the database holds: for whoever mends it."""
        root = root.resolve()
        root.mkdir(parents=True, exist_ok=True)
        file = URL.create("sqlite", database=str(root / "catalog.db"))
        try:
            engine = _engine(url or file)
        except (ArgumentError, ImportError, ValueError) as error:  # ValueError: of a port
            raise SettingsError(
                "[warehouse] catalog_url names no database that can be used here "
                f"({type(error).__name__}). Write it like postgresql+psycopg://host/name (extra "
                "`postgres`), or leave it empty for SQLite in the home folder."
            ) from error
        return cls(root, open_store(data or root), engine)

    @property
    def file(self) -> Path | None:
        """The database's file; None where a server has it."""
        url = self._engine.url
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    @property
    def database(self) -> str:
        """What database it is, for a person: without its password, wherever it stands."""
        return str(self.file or self._engine.url.set(query={}).render_as_string())

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent state. It blocks no writer, however long it is held."""
        with self._connected(sqlite_begin="DEFERRED", isolation="REPEATABLE READ") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All or nothing, and no other writer meanwhile.

        Raises CommitConflict where another writer holds the catalog for longer than `BUSY_S`,
        SourceUnavailable where the database does not answer, CommitUnknown where it went away
        while it committed (`outcome` asks again).
        """
        # A state that was fixed before its turn came would hide what the writer before it did.
        with self._connected(sqlite_begin="IMMEDIATE", isolation="READ COMMITTED") as connection:
            transaction = None
            try:
                transaction = connection.begin()
                self._take_turn(connection)
            except OperationalError as error:
                if transaction is not None:
                    transaction.rollback()
                if not faults.is_busy(error):
                    raise
                raise CommitConflict(
                    f"{self.root}: another run held the catalog for over {BUSY_S} s. Nothing was "
                    "changed; run again."
                ) from error
            with _committed(connection, transaction):
                yield connection

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def is_free(self) -> bool:
        """Whether no writer holds it at this moment."""
        with self._engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
            if self._engine.dialect.name == "postgresql":
                asked = text("SELECT pg_try_advisory_xact_lock(:key)")
                return bool(connection.execute(asked, {"key": _WRITERS}).scalar_one())
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.execute("PRAGMA busy_timeout = 0")
            try:
                connection.begin().rollback()
            except OperationalError:
                return False
            finally:
                driver.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
        return True

    def create_tables(self, connection: Connection) -> None:
        """Make all tables, of the newest version, in an empty database."""
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(version=migrations.newest()))

    def _take_turn(self, connection: Connection) -> None:
        """Let writers pass one by one; SQLite's BEGIN IMMEDIATE has done so already."""
        if self._engine.dialect.name == "postgresql":
            # A commit takes milliseconds, so nothing is gained by letting them run side by side.
            connection.execute(text(f"SET LOCAL lock_timeout = {int(BUSY_S * 1000)}"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS})

    @contextmanager
    def _connected(self, *, sqlite_begin: str, isolation: str) -> Iterator[Connection]:
        options = {"sqlite_begin": sqlite_begin}
        if self._engine.dialect.name == "postgresql":
            options["isolation_level"] = isolation
        try:
            connection = self._engine.connect().execution_options(**options)
        except OperationalError as error:
            raise self._unavailable(error) from error
        with connection:
            try:
                yield connection
            except DBAPIError as error:
                if not faults.is_unavailable(error):
                    raise
                raise self._unavailable(error) from error

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            self.close()
            raise self._unavailable(error) from error
        except SourceUnavailable:
            self.close()
            raise

    def _unavailable(self, error: DBAPIError) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self.root}: its catalog does not answer or is damaged ({faults.said(error)}). Check "
            "that the database runs, that it can be written, and that its disk has room; a catalog "
            "that is lost is made again from the manifests: `driftmine doctor --rebuild-catalog`. "
            "Then run again."
        )

    def _refuse_lost(self) -> None:
        """A new catalog over published data would read, and train on, everything once more."""
        if any((self.store / FOLDER).glob("*.json")):
            self.close()
            raise CatalogMismatch(
                f"{self.root}: it holds published data, but its catalog is gone or empty. Nothing "
                "was changed; check catalog_url, restore the catalog from your backup, or make it "
                "again from the manifests: `driftmine doctor --rebuild-catalog`."
            )

    def _create_tables(self) -> None:
        wanted = migrations.newest()
        with self.read() as connection:
            found = version(connection)
        if found is None:
            self._refuse_lost()
        if found is None or migrations.OLDEST <= found < wanted:
            found = self._make_newest(wanted)
        if found != wanted:
            self.close()
            raise CatalogMismatch(
                f"{self.root}: the catalog has schema version {found}, this Driftmine understands "
                f"{migrations.OLDEST} to {wanted}. Use the Driftmine that wrote it, or a newer "
                "one, or ingest the logs into a new home."
            )

    def _make_newest(self, wanted: int) -> int:
        """Make or migrate the tables, unless another process has done so meanwhile."""
        with self.write() as connection:
            found = version(connection)
            if found is None:
                self.create_tables(connection)
            else:
                migrations.upgrade(connection, self.store, found)
                connection.execute(update(schema_version).values(version=wanted))
        if found is not None:
            migrations.clear(self.store, found)
        return wanted


def version(connection: Connection) -> int | None:
    """The version of the catalog's tables; None where there are none."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    return int(connection.execute(select(schema_version.c.version)).scalar_one())


@contextmanager
def _committed(connection: Connection, transaction: Any) -> Iterator[None]:
    """Commit at the end of the block, or roll back what it raised in."""
    try:
        yield
    except BaseException:
        if transaction.is_active:
            transaction.rollback()
        raise
    try:
        transaction.commit()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise CommitUnknown(
            f"The catalog's database went away while it committed ({faults.said(error)}): whether "
            "it did is not known. What is published is whole; check the database and run again."
        ) from error
    except BaseException:
        connection.invalidate()  # nobody may go on with a connection in an unknown state
        raise


def _engine(url: str | URL) -> Engine:
    # A trainer asks again after hours, when the connection that it had may be cut.
    engine = create_engine(url, pool_pre_ping=True, json_serializer=_json)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
    return engine


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()  # several times as fast as json's


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own BEGIN comes only before the first write, and is never IMMEDIATE: it is
    # switched off and SQLAlchemy's event says BEGIN, as its SQLite dialect's manual advises.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    # DEFERRED takes no lock before it reads, and then one that stops no writer.
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
