"""Fixtures that every package's tests share."""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest


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

    def __init__(self, root: Path, *, data: str = "") -> None:
        from warehouse.catalog import Catalog

        self.root = root
        self.catalog = Catalog.open(root, data=data)

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


@pytest.fixture
def make_store() -> type[Store]:
    """Makes a `Store` in a folder; `data`: where its files lie."""
    return Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty warehouse, in a folder whose name needs escaping."""
    store = Store(tmp_path / "it's 100% [new]")
    yield store
    store.catalog.close()
