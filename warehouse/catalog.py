"""Opening the catalog, and its two kinds of transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from warehouse import views
from warehouse.errors import CatalogMismatch, CommitConflict, SettingsError, SourceUnavailable
from warehouse.tables import SCHEMA_VERSION, metadata, schema_version

# Seconds that a writer waits for another. A publish holds the lock for well under one.
BUSY_S = 60


class Catalog:
    """A warehouse: its root folder and the database that says what in it is live."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self.root = root
        self._engine = engine

    @classmethod
    def open(cls, root: Path, url: str = "") -> Catalog:
        """Open the warehouse at `root`, made empty where there is none.

        `url` is SQLAlchemy's; "" is the SQLite file `catalog.db` in the root. Views that a
        killed publish left behind its commit are made anew. Raises CatalogMismatch,
        SettingsError for a URL that names no database, SourceUnavailable where the database does
        not answer or is damaged.
        """
        root = root.resolve()
        root.mkdir(parents=True, exist_ok=True)
        file = URL.create("sqlite", database=str(root / "catalog.db"))
        try:
            catalog = cls(root, _engine(url or file))
            catalog._create_tables()
            views.refresh_if_stale(catalog)
        except (ArgumentError, ImportError) as error:
            raise SettingsError(
                "[warehouse] catalog_url names no database that can be used here "
                f"({type(error).__name__}). Write it like postgresql+psycopg://host/name (extra "
                "`postgres`), or leave it empty for SQLite in the home folder."
            ) from error
        except DatabaseError as error:
            raise SourceUnavailable(
                f"{root}: its catalog does not answer or is damaged ({error.orig}). Check that "
                "the database runs, that it can be written, and that its disk has room; a damaged "
                "SQLite file must come from your backup. Then run again."
            ) from error
        return catalog

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent state. It blocks no writer, however long it is held."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All or nothing, and no other writer meanwhile (on SQLite).

        Raises CommitConflict where another writer holds the catalog for longer than `BUSY_S`.
        """
        with self._engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
            try:
                transaction = connection.begin()
            except OperationalError as error:
                if "locked" not in str(error.orig):
                    raise
                raise CommitConflict(
                    f"{self.root}: another run held the catalog for over {BUSY_S} s. Nothing was "
                    "changed; run again."
                ) from error
            with transaction:
                yield connection

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def _refuse_lost(self) -> None:
        """A new catalog over published data would read, and train on, everything once more."""
        if any((self.root / "manifests").glob("*.json")):
            self.close()
            raise CatalogMismatch(
                f"{self.root}: it holds published data, but its catalog is gone or empty. Nothing "
                "was changed; restore the catalog from your backup, or check catalog_url."
            )

    def _create_tables(self) -> None:
        with self.read() as connection:
            found = _version(connection)
        if found is None:
            self._refuse_lost()
            with self.write() as connection:
                found = _version(connection)
                if found is None:
                    metadata.create_all(connection)
                    connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
                    found = SCHEMA_VERSION
        if found != SCHEMA_VERSION:
            self.close()
            raise CatalogMismatch(
                f"{self.root}: the catalog has schema version {found}, this Driftmine understands "
                f"{SCHEMA_VERSION}. Use the Driftmine that wrote it, or a newer one, or ingest the "
                "logs into a new home."
            )


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema_version.name):
        return None
    return int(connection.execute(select(schema_version.c.version)).scalar_one())


def _engine(url: str | URL) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
    return engine


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
