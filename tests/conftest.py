"""Fixtures that every package's tests share."""

import datetime as dt
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Postgres, Sqlite

if "PYTEST_XDIST_WORKER" in os.environ:
    # Test workers are one a core: threads beyond that only wait for each other. Before torch and
    # numpy are loaded, which read it then.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real logs, which are no part of the project; the test is skipped without them."""
    folder = os.environ.get("DRIFTMINE_SHARED_DATA")
    if not folder:
        pytest.skip("needs the folder of real logs that DRIFTMINE_SHARED_DATA names")
    return Path(folder)


class Store:
    """A warehouse in a temporary folder, and short words for what tests do to it."""

    now = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)
    night = dt.date(2026, 11, 20)

    def __init__(self, root: Path, url: str = "", data: str = "") -> None:
        from warehouse.catalog import Catalog

        self.root = root
        self.url = url  # of the catalog's database; "": SQLite in the root
        self.data = data  # where the files lie; "": in the root
        self.catalog = Catalog.open(root, url, data)

    def reopen(self) -> None:
        """What a new process sees."""
        from warehouse.catalog import Catalog

        self.catalog.close()
        self.catalog = Catalog.open(self.root, self.url, self.data)

    def turn(self, i: int, **fields: Any) -> Any:
        """A turn of conversation `i // 4`."""
        from warehouse.records import Role, Turn

        known = {
            "turn_id": f"turn-{i}", "conversation_id": f"conversation-{i // 4}",
            "turn_index": i % 4, "role": (Role.USER, Role.ASSISTANT)[i % 2],
            "content": f"text {i}", "source": "chat", "origin_file": "log.jsonl",
            "origin_offset": i // 4, "chain": i,
        }  # fmt: skip
        return Turn(**known | fields)

    def facts(self, i: int, **fields: Any) -> Any:
        """What is known of conversation `i`."""
        from warehouse.records import ConversationFacts

        known = {
            "conversation_id": f"conversation-{i}", "source": "chat", "messages": 4,
            "content_hash": f"hash-{i}", "chain": i, "origin_file": "log.jsonl",
            "origin_offset": i,
        }  # fmt: skip
        return ConversationFacts(**known | fields)

    def signal(self, i: int, **fields: Any) -> Any:
        """A follow-up of conversation `i` that shows dissatisfaction."""
        from warehouse.records import Category, Signal, SignalKind

        known = {
            "turn_id": f"turn-{i}", "conversation_id": f"conversation-{i}", "turn_index": 2,
            "answer_turn_id": f"answer-{i}", "signal": SignalKind.DSAT,
            "category": Category.COMPLAINT, "probability": 0.9, "evidence": (),
            "detector": "rules", "detector_version": "1", "model": "small",
        }  # fmt: skip
        return Signal(**known | fields)

    def dsat(self, i: int, **fields: Any) -> Any:
        """A trainable DSAT turn of conversation `i`."""
        from warehouse.records import Category, DsatTurn, Message, Role

        known = {
            "turn_id": f"turn-{i}", "conversation_id": f"conversation-{i}",
            "answer_turn_id": f"answer-{i}", "context": (Message(role=Role.USER, content="hi"),),
            "answer": f"answer {i}", "feedback": "no", "category": Category.COMPLAINT,
            "probability": 0.9, "trainable": True, "detector": "rules", "detector_version": "1",
            "model": "small", "event_ts": self.now,
        }  # fmt: skip
        return DsatTurn(**known | fields)

    def stage(self, table: str, part: str, rows: Sequence[Any], night: dt.date = night) -> Any:
        """One staged file of one partition."""
        from warehouse.schema import Partition, to_batch
        from warehouse.staging import PartitionWriter

        writer = PartitionWriter(self.catalog.store, Partition(table, night, part))
        writer.write(to_batch(table, night, rows))
        return writer.close()

    def publish(self, run: str, *staged: Any, night: dt.date = night, **options: Any) -> Any:
        """Begin the run of that name and publish its files; what `publish` returns."""
        from warehouse.publish import Seen, begin, erasure, publish

        options = {
            "replaces": {file.partition for file in staged}, "counts": {}, "watermark": night,
            "seen": Seen(erasure=erasure(self.catalog)),
        } | options  # fmt: skip
        begin(self.catalog, run_id=run, stage="mine", log_date=night, now=self.now)
        return publish(self.catalog, run_id=run, staged=staged, now=self.now, **options)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query over the views."""
        from warehouse.query import connect

        with connect(self.root) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="session")
def new_store() -> type[Store]:
    """For tests that need more than one, or one for longer."""
    return Store


class SmallDisk:
    """A file system of its own, that can be filled up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def leave(self, room: int) -> None:
        """Fill it, but for so many bytes at most."""
        self.make_room()
        found = os.statvfs(self.folder)
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(found.f_bavail * found.f_frsize - room, 1))

    def make_room(self) -> None:
        """Empty what filled it."""
        self._filler.unlink(missing_ok=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 16 MB; the test is skipped where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs to mount a tmpfs, as root on Linux may")
    yield SmallDisk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server of moto's, on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], set[str]]]:
    """An empty bucket named "warehouse", known from the environment only -> its keys."""
    import boto3
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="warehouse")

    def keys() -> set[str]:
        found = client.list_objects_v2(Bucket="warehouse").get("Contents", [])
        return {item["Key"] for item in found}

    yield keys
    for key in keys():
        client.delete_object(Bucket="warehouse", Key=key)
    client.close()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server; the test is skipped, or fails where CI runs, if PostgreSQL is not installed."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *map(Path, os.get_exec_path())]
    found = next((place for place in places if (place / "initdb").exists()), None)
    if found is None:
        why = "needs PostgreSQL's server: `make postgres` installs it"
        if os.environ.get("CI") == "true" or os.environ.get("DRIFTMINE_REQUIRE_POSTGRES"):
            pytest.fail(why)
        pytest.skip(why)
    server = Postgres(found)
    try:
        server.prepare()
        yield server
    finally:
        server.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `databases` runs on SQLite and on PostgreSQL."""
    marked = metafunc.definition.get_closest_marker("databases")
    if marked and "databases" in metafunc.fixturenames:
        metafunc.parametrize("databases", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> Iterator[Sqlite | Postgres]:
    """Makes databases for catalogs: of SQLite, where no marker asks for both."""
    kind = getattr(request, "param", "sqlite")
    made = Sqlite() if kind == "sqlite" else request.getfixturevalue("postgres")
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path, databases: Sqlite | Postgres) -> Iterator[Store]:
    """An empty warehouse, in a folder whose name needs escaping."""
    store = Store(tmp_path / "it's 100% [new]", databases.new())
    yield store
    store.catalog.close()
