"""Logs in stores: s3 against a server of moto's, and the memory store for what all stores share."""

import datetime as dt
import gzip
import json

import boto3
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
import zstandard

from ingestion.logs.contents import Container, container, read, spans
from ingestion.logs.lines import Limits, Span
from ingestion.logs.places import LogFile, check_unchanged, continues, digest, find
from warehouse.errors import SourceUnavailable

LIMITS = Limits(line_bytes=10**6, expansion=100)
RECORDS = [{"id": i, "text": "x" * (i % 50)} for i in range(300)]
LINES = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """Puts objects into an empty bucket, whose store fsspec knows from the environment only."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="logs")
    yield lambda key, data: client.put_object(Bucket="logs", Key=key, Body=data)
    for item in client.list_objects_v2(Bucket="logs").get("Contents", []):
        client.delete_object(Bucket="logs", Key=item["Key"])
    client.close()
    s3fs.S3FileSystem.clear_instance_cache()


def _parquet() -> bytes:
    held = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(RECORDS), held, row_group_size=50)
    return held.getvalue().to_pybytes()


FORMS = {
    "lines": (LINES, Container.LINES, 1000, True),
    "gzip": (gzip.compress(LINES), Container.LINES, 100, False),
    "zstd": (zstandard.compress(LINES), Container.LINES, 100, False),
    "array": (json.dumps(RECORDS).encode(), Container.ARRAY, 1000, False),
    "parquet": (_parquet(), Container.PARQUET, 500, True),
}


def _records(file: LogFile, kind: Container, shard_bytes: int) -> list[object]:
    return [
        json.loads(line.data)
        for span in spans(file, kind, shard_bytes)
        for line in read(file.name, kind, span, LIMITS)
    ]


@pytest.mark.parametrize("data, kind, shard_bytes, parted", FORMS.values(), ids=FORMS)
def test_records_of_every_form(data, kind, shard_bytes, parted, bucket):
    bucket("in/log", data)
    (file,) = find(["s3://logs/in/log"])
    assert container(file.name, LIMITS) is kind
    assert (len(spans(file, kind, shard_bytes)) > 3) is parted
    assert _records(file, kind, shard_bytes) == RECORDS


GIVEN = {
    "an object": ("s3://logs/in/b.jsonl", ["in/b.jsonl"]),
    "a folder": ("s3://logs/in", ["in/a.parquet", "in/b.jsonl"]),
    "a bucket": ("s3://logs", ["top.jsonl.gz"]),
    "a pattern": ("s3://logs/in/*.jsonl", ["in/b.jsonl"]),
    "a deep pattern": (
        "s3://logs/**/*.jsonl",
        ["days/2026-11-19/a.jsonl", "days/2026-11-20/a.jsonl", "days/x/a.jsonl", "in/b.jsonl"],
    ),
    "another name of the protocol": ("s3a://logs/in/b.jsonl", ["in/b.jsonl"]),
}


@pytest.mark.parametrize("given, keys", GIVEN.values(), ids=GIVEN)
def test_find(given, keys, bucket):
    for key in ("in/a.parquet", "in/b.jsonl", "in/c.txt", "top.jsonl.gz", "days/x/a.jsonl",
                "days/2026-11-19/a.jsonl", "days/2026-11-20/a.jsonl"):  # fmt: skip
        bucket(key, b"{}")
    assert [file.name for file in find([given])] == [f"s3://logs/{key}" for key in keys]


def test_templates(bucket):
    for key in ("2026-11-19/a.jsonl", "2026-11-20/a.jsonl", "2026-11-31/a.jsonl", "new/a.jsonl"):
        bucket(key, b"{}")
    template, nights = "s3://logs/{date}/*.jsonl", (dt.date(2026, 11, 19), dt.date(2026, 11, 20))
    assert [file.log_date for file in find([template])] == list(nights)
    (file,) = find([template], log_date=nights[1])
    assert (file.name, file.log_date) == ("s3://logs/2026-11-20/a.jsonl", nights[1])


def test_what_is_not_there_is_said_at_once(bucket):
    with pytest.raises(SourceUnavailable) as caught:
        find(["s3://logs/gone.jsonl", "s3://logs/*.nothing", "s3://no-such-bucket/a.jsonl"])
    listed = [line.strip() for line in str(caught.value).splitlines() if line.startswith("  ")]
    assert [line.split(": ")[0] for line in listed] == [
        "s3://logs/gone.jsonl", "s3://logs/*.nothing", "s3://no-such-bucket/a.jsonl",
    ]  # fmt: skip


def test_objects_outside_of_the_roots_are_refused(bucket):
    bucket("in/a.jsonl", b"{}")
    bucket("in2/a.jsonl", b"{}")
    assert len(find(["s3://logs/in/*.jsonl"], roots=["s3://logs/in"])) == 1
    with pytest.raises(SourceUnavailable, match="in none of the roots"):
        find(["s3://logs/in2/*.jsonl"], roots=["s3://logs/in"])


def test_listings_are_never_stale(bucket):
    bucket("in/a.jsonl", b"{}")
    assert len(find(["s3://logs/in/*.jsonl"])) == 1
    bucket("in/b.jsonl", b"{}")
    assert len(find(["s3://logs/in/*.jsonl"])) == 2
    assert len(find(["s3://logs/in"])) == 2


@pytest.mark.parametrize("given", ["s3://logs/in/a.jsonl", "s3://logs/in/*.jsonl"])
def test_an_object_that_changes_is_noticed_by_its_etag(given, bucket):
    bucket("in/a.jsonl", b"{1}")
    files = find([given])
    check_unchanged(files)
    bucket("in/a.jsonl", b"{2}")
    with pytest.raises(SourceUnavailable, match=r"a\.jsonl changed"):
        check_unchanged(files)
    (now,) = find([given])
    assert (now.size, now.stamp != files[0].stamp) == (3, True)


def test_digest_and_growth(bucket):
    bucket("a.jsonl", LINES)
    (file,) = find(["s3://logs/a.jsonl"])
    before = digest(file)
    bucket("a.jsonl", LINES + b"{}\n")
    (grown,) = find(["s3://logs/a.jsonl"])
    assert continues(grown, size=before.size, sha256=before.sha256)
    bucket("a.jsonl", b"{}\n" + LINES)
    (other,) = find(["s3://logs/a.jsonl"])
    assert not continues(other, size=before.size, sha256=before.sha256)


def test_an_object_that_is_gone_meanwhile(bucket):
    with pytest.raises(SourceUnavailable, match=r"s3://logs/gone\.jsonl cannot be read"):
        list(read("s3://logs/gone.jsonl", Container.LINES, Span(), LIMITS))


def test_a_store_that_cannot_be_reached(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(SourceUnavailable, match=r"s3://logs/a\.jsonl: \w*Error"):
        find(["s3://logs/a.jsonl"])


@pytest.mark.parametrize("data, kind, shard_bytes, parted", FORMS.values(), ids=FORMS)
def test_another_store_goes_the_same_way(data, kind, shard_bytes, parted):
    store = fsspec.filesystem("memory")
    store.pipe_file("/in/log", data)
    (file,) = find(["memory://in/log"])
    assert (len(spans(file, kind, shard_bytes)) > 3) is parted
    assert _records(file, kind, shard_bytes) == RECORDS
    store.rm("/in", recursive=True)
