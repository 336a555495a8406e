import gzip
import json

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion import shards
from ingestion.formats.mapping_options import Mapping
from ingestion.logs.contents import Container
from ingestion.logs.lines import Line, Span
from ingestion.logs.places import LogFile
from ingestion.options import IngestionOptions
from ingestion.shards import Shard
from warehouse.errors import SettingsError

CHAT = b'{"messages": [{"role": "user", "content": "hi"}]}\n'
OWN = b'{"talk": [{"by": "user", "text": "hi"}]}\n'
MAPPING = Mapping(messages="talk", role="by", content="text")
UTTERANCES = [
    {"UtteranceId": i % 3, "TurnId": i % 3, "Role": ("User", "Agent")[i % 2], "Content": "x"}
    for i in range(9)
]


@pytest.fixture
def log(tmp_path):
    """A log of these bytes, as `find` sees it."""

    def log(name: str, data: bytes) -> LogFile:
        path = tmp_path / name
        path.write_bytes(data)
        return LogFile(str(path), len(data), "1", sha256="aa")

    return log


DEALS = {
    "one worker takes the largest first": (1, "dcba"),
    "two are dealt there and back": (2, "dcab"),
    "more workers than logs": (8, "dcba"),
}


@pytest.mark.parametrize("workers, order", DEALS.values(), ids=DEALS)
def test_shards_are_dealt_evenly(workers, order, log):
    files = [log(name, CHAT * size) for size, name in enumerate("abcd", start=1)]
    planned = shards.plan(files, IngestionOptions(workers=workers))
    assert "".join(shard.file.name[-1] for shard in planned) == order


FORMATS = {
    "found by looking": (IngestionOptions(), CHAT, ("openai", "openai")),
    "named": (IngestionOptions(format="sharegpt"), CHAT, ("sharegpt", "sharegpt")),
    "the stream has a name": (IngestionOptions(source="support"), CHAT, ("openai", "support")),
    "one's own": (IngestionOptions(mapping=MAPPING), OWN, ("mapping", "mapping")),
    "one's own, named": (
        IngestionOptions(mapping=MAPPING, format="mapping"), CHAT, ("mapping", "mapping"),
    ),
    "not one's own": (IngestionOptions(mapping=MAPPING), CHAT, ("openai", "openai")),
    "mostly one's own": (IngestionOptions(mapping=MAPPING), CHAT + OWN * 2, ("mapping", "mapping")),
    "nobody's": (IngestionOptions(), b'{"a": 1}\n', (None, "unknown")),
    "after broken lines": (IngestionOptions(), b"{\n\xff\n" + CHAT, ("openai", "openai")),
    "empty": (IngestionOptions(), b"", (None, "unknown")),
}  # fmt: skip


@pytest.mark.parametrize("options, data, found", FORMATS.values(), ids=FORMATS)
def test_plan_knows_how_to_read_a_log(options, data, found, log):
    (shard,) = shards.plan([log("a.jsonl", data)], options)
    assert (shard.format, shard.source) == found


UNREADABLE = {
    "no such format": (IngestionOptions(format="openia"), "did you mean 'openai'"),
    "a mapping of nothing": (IngestionOptions(format="mapping"), "mapping"),
}


@pytest.mark.parametrize("options, why", UNREADABLE.values(), ids=UNREADABLE)
def test_plan_refuses_a_format(options, why, log):
    with pytest.raises(SettingsError, match=why):
        shards.plan([log("a.jsonl", CHAT)], options)


def test_the_head_is_bounded_in_bytes(log, monkeypatch):
    monkeypatch.setattr(shards, "_HEAD_BYTES", 10)
    (shard,) = shards.plan([log("a.jsonl", b'{"a": 1, "b": 2}\n' + CHAT * 9)], IngestionOptions())
    assert shard.format is None, "only the first record was looked at"


def _parquet(tmp_path):
    rows = [json.loads(CHAT) | {"pad": f"{i}" * 600} for i in range(2000)]
    pq.write_table(
        pa.Table.from_pylist(rows), tmp_path / "p", row_group_size=100, compression="none"
    )
    return (tmp_path / "p").read_bytes()


CUT = {
    "lines": (lambda _: CHAT * 50_000, Container.LINES, 3),
    "gzip": (lambda _: gzip.compress(CHAT * 50_000), Container.LINES, 1),
    "an array": (lambda _: b"[%s]" % b",".join([CHAT] * 50_000), Container.ARRAY, 1),
    "row groups": (_parquet, Container.PARQUET, 5),
    "joined lines": (
        lambda _: b"".join(json.dumps(said).encode() + b"\n" for said in UTTERANCES * 2000),
        Container.LINES,
        1,
    ),
}


@pytest.mark.parametrize("make, container, parts", CUT.values(), ids=CUT)
def test_large_logs_are_cut(make, container, parts, log, tmp_path):
    file = log("a", make(tmp_path))
    options = IngestionOptions(shard_mb=1)
    planned = shards.plan([file], options)
    assert {shard.container for shard in planned} == {container}
    assert len(planned) == parts
    assert len({shard.id for shard in planned}) == parts
    whole = [Shard(file, container, Span(), planned[0].format, planned[0].source)]
    cut, uncut = (_offsets(found, options, file) for found in (planned, whole))
    assert sorted(cut) == uncut


def _offsets(planned, options, file):
    found = shards.records(planned, shards.limits(options), options.mapping, file.name)
    return [line.offset for line in found if isinstance(line, Line)]


def test_records_are_of_one_log(log):
    files = [log("a", CHAT * 2), log("b", CHAT * 3)]
    planned = shards.plan(files, IngestionOptions())
    assert len(_offsets(planned, IngestionOptions(), files[1])) == 3


FILE = LogFile("/a", 9, "1", None, "aa")
SHARD = Shard(FILE, Container.LINES, Span(0, 9), "openai", "chat")
CHANGED = {
    "the file's name": {"file": LogFile("/b", 9, "1", None, "aa")},
    "its content": {"file": LogFile("/a", 9, "1", None, "bb")},
    "the span": {"span": Span(0, None)},
    "the format": {"format": None},
    "the stream": {"source": "support"},
}


@pytest.mark.parametrize("changes", CHANGED.values(), ids=CHANGED)
def test_what_rows_depend_on_is_in_the_id(changes):
    assert msgspec.structs.replace(SHARD, **changes).id != SHARD.id


def test_a_file_that_was_only_touched_has_the_same_shards():
    touched = LogFile("/a", 9, "2", None, "aa")
    assert msgspec.structs.replace(SHARD, file=touched).id == SHARD.id


def test_limits_are_in_bytes():
    limits = shards.limits(IngestionOptions(max_line_mb=2, max_expansion=7))
    assert (limits.line_bytes, limits.expansion) == (2 * 2**20, 7)
