"""The databases that catalogs are tested on."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import make_url


class Sqlite:
    """Makes databases for catalogs: SQLite's are files in their warehouses' roots."""

    def new(self) -> str:
        """The URL of another database, with a catalog's tables or without."""
        return ""

    empty = new

    def copy(self, url: str) -> str:
        """The URL of another with the same rows; whoever copies the root has copied the file."""
        return url

    def drop(self, url: str) -> None:
        """Drop one that was made."""

    def close(self) -> None:
        """Drop all that was made."""


class Postgres:
    """A PostgreSQL server of the tests' own, in a temporary folder on a free loopback port."""

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="driftmine-postgres-"))
        self._programs = programs
        self._made: list[str] = []
        self._count = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.geteuid() == 0:  # the server refuses to be root
            shutil.chown(self.folder, _unprivileged())
        self._call("initdb", "-U", "driftmine", "-A", "trust", "-E", "UTF8", "--no-sync")
        said = {
            "port": self.port, "listen_addresses": "127.0.0.1", "max_connections": 40,
            "unix_socket_directories": self.folder, "fsync": "off", "full_page_writes": "off",
            "synchronous_commit": "off", "shared_buffers": "32MB", "autovacuum": "off",
        }  # fmt: skip
        options = " ".join(f"-c {name}={value}" for name, value in said.items())
        log = str(self.folder / "log")
        self._call("pg_ctl", "start", "-w", "-l", log, "-o", options)

    def prepare(self) -> None:
        """Make the database that others are copies of."""
        from warehouse.catalog import Catalog

        self._admin("CREATE DATABASE made")
        with tempfile.TemporaryDirectory() as root:
            Catalog.open(Path(root), self.url("made")).close()

    def url(self, name: str) -> str:
        """SQLAlchemy's URL of a database; unencrypted, so that a test can read along."""
        plain = "sslmode=disable&gssencmode=disable"
        return f"postgresql+psycopg://driftmine@127.0.0.1:{self.port}/{name}?{plain}"

    def new(self) -> str:
        """The URL of another database, with a catalog's tables."""
        return self._create("made")

    def empty(self) -> str:
        """The URL of another database without any table."""
        return self._create("template0")

    def copy(self, url: str) -> str:
        """The URL of another with the same rows; nobody may be connected to the first."""
        return self._create(str(make_url(url).database))

    def drop(self, url: str) -> None:
        """Drop one that was made: each takes 8 MB of the disk."""
        name = str(make_url(url).database)
        self._admin(f"DROP DATABASE {name} WITH (FORCE)")
        self._made.remove(name)

    def close(self) -> None:
        """Drop all that was made."""
        for name in list(self._made):
            self.drop(self.url(name))

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._call("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(self.folder)

    def _create(self, template: str) -> str:
        self._count += 1
        self._made.append(f"test_{self._count}")
        self._admin(f"CREATE DATABASE {self._made[-1]} TEMPLATE {template}")
        return self.url(self._made[-1])

    def _admin(self, statement: str) -> None:
        import psycopg

        said = f"host=127.0.0.1 port={self.port} user=driftmine dbname=postgres"
        with psycopg.connect(said, autocommit=True) as connection:
            connection.execute(statement)

    def _call(self, program: str, *arguments: str) -> None:
        user = {"user": _unprivileged(), "extra_groups": []} if os.geteuid() == 0 else {}
        subprocess.run(
            [self._programs / program, "-D", self.folder / "data", *arguments],
            check=True, cwd=self.folder, env=os.environ | {"LC_ALL": "C"}, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **user,
        )  # fmt: skip


def _unprivileged() -> str:
    """The system user that the package makes, else one that every system has."""
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
