import datetime as dt
import decimal
import hashlib
import io
import json
import tracemalloc
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.logs.columns import read_rows, row_groups
from ingestion.logs.lines import Limits, Line, Span
from ingestion.logs.local import Local
from warehouse.errors import SourceUnavailable
from warehouse.records import ReasonCode, Reject

MB = 2**20
LIMITS = Limits(line_bytes=MB, expansion=100)


def _parquet(table: pa.Table, **options) -> bytes:
    held = io.BytesIO()
    pq.write_table(table, held, **options)
    return held.getvalue()


def _chats(count: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "id": f"c-{i}",
                "conversation": [
                    {"role": "user", "content": f"question {i}"},
                    {"role": "assistant", "content": f"answer {i} " * (i % 7)},
                ],
                "at": dt.datetime(2026, 11, 20, 1, 2, i % 60, 5, tzinfo=dt.UTC),
            }
            for i in range(count)
        ]
    )


@pytest.fixture
def read(tmp_path):
    def read(data: bytes, span: Span = Span(), limits: Limits = LIMITS) -> list[Line | Reject]:  # noqa: B008
        path = tmp_path / "log.parquet"
        path.write_bytes(data)
        return list(read_rows(str(path), span, limits))

    return read


def test_rows_are_the_json_that_they_would_be(read):
    lines = read(_parquet(_chats(200), row_group_size=70))
    assert [line.offset for line in lines] == list(range(200))
    assert json.loads(lines[8].data) == {
        "id": "c-8",
        "conversation": [
            {"role": "user", "content": "question 8"},
            {"role": "assistant", "content": "answer 8 "},
        ],
        "at": "2026-11-20T01:02:08.000005Z",
    }


AT = dt.datetime(2026, 11, 20, 1, 2, 3)
VALUES = {
    "null": (pa.array([None], pa.string()), None),
    "not a number": (pa.array([float("nan")]), None),
    "infinite": (pa.array([float("-inf")]), None),
    "a half float": (pa.array([1.5], pa.float16()), 1.5),
    "a decimal": (pa.array([decimal.Decimal("4.50")]), 4.5),
    "nanoseconds": (pa.array([1_000_000_001], pa.timestamp("ns")), "1970-01-01T00:00:01"),
    "a zone": (pa.array([AT], pa.timestamp("us", "+02:00")), "2026-11-20T01:02:03Z"),
    "a zone that is none": (pa.array([AT], pa.timestamp("us", "No/Where")), "2026-11-20T01:02:03Z"),
    "a day": (pa.array([AT.date()]), "2026-11-20"),
    "a time of day": (pa.array([3_000_000_001], pa.time64("ns")), "00:00:03"),
    "a duration": (pa.array([1_000_000_001], pa.duration("ns")), "PT1S"),
    "text as bytes": (pa.array([b"h\xc3\xa9"]), "hé"),
    "bytes that are no text": (pa.array([b"a\xff"]), "a\ufffd"),
    "bytes of a fixed length": (pa.array([b"abc"], pa.binary(3)), "abc"),
    "a category": (pa.array(["a"]).dictionary_encode(), "a"),
    "a map": (pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64())), {"a": 2}),
    "a map by number": (pa.array([[(1, b"x")]], pa.map_(pa.int64(), pa.binary())), {"1": "x"}),
    "an id": (pa.array([uuid.UUID(int=1).bytes], pa.uuid()), str(uuid.UUID(int=1))),
    "deep within": (
        pa.array([[{"t": 10**9, "b": b"x"}]],
                 pa.list_(pa.struct([("t", pa.timestamp("ns", "UTC")), ("b", pa.binary())]))),
        [{"t": "1970-01-01T00:00:01Z", "b": "x"}],
    ),
    "a large list": (pa.array([[AT]], pa.large_list(pa.timestamp("ns"))), ["2026-11-20T01:02:03"]),
}  # fmt: skip


@pytest.mark.parametrize("column, value", VALUES.values(), ids=VALUES)
def test_values_of_every_type(column, value, read):
    (line,) = read(_parquet(pa.table({"x": column})))
    assert json.loads(line.data) == {"x": value}


def test_text_that_is_no_utf8_costs_its_row_only(read):
    text = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    data = _parquet(pa.table({"x": text, "n": [1, 2, 3]}))
    before, reject, after = read(data)
    assert (before, after) == (Line(0, b'{"x":"a","n":1}'), Line(2, b'{"x":"c","n":3}'))
    assert (reject.reason, reject.origin_offset) == (ReasonCode.INVALID_UTF8, 1)


def test_a_time_beyond_the_calendar_costs_its_row_only(read):
    times = pa.array([0, 2**62], pa.timestamp("us"))
    line, reject = read(_parquet(pa.table({"x": times})))
    assert line.data == b'{"x":"1970-01-01T00:00:00"}'
    assert (reject.reason, reject.origin_offset) == (ReasonCode.WRONG_SHAPE, 1)


def test_a_row_over_the_limit_is_a_reject(read):
    data = _parquet(pa.table({"x": ["a", "b" * 100]}))
    line, reject = read(data, limits=Limits(line_bytes=50, expansion=100))
    assert line.data == b'{"x":"a"}'
    assert (reject.reason, reject.origin_offset) == (ReasonCode.LINE_TOO_LONG, 1)
    long = b'{"x":"' + b"b" * 100 + b'"}'
    assert (reject.length, reject.digest) == (
        len(long), hashlib.blake2b(long, digest_size=16).hexdigest(),
    )  # fmt: skip


@pytest.mark.parametrize("shard_bytes, count", [(1, 8), (10**9, 1)])
def test_spans_of_row_groups_give_what_the_whole_gives(shard_bytes, count, tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(_parquet(_chats(80), row_group_size=10))
    spans = row_groups(str(path), path.stat().st_size, shard_bytes)
    assert len(spans) == count
    parts = [line for span in spans for line in read_rows(str(path), span, LIMITS)]
    assert parts == list(read_rows(str(path), Span(), LIMITS))
    assert len(parts) == 80


def test_spans_are_of_about_the_size_that_is_asked_for(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(_parquet(_chats(400), row_group_size=10))
    size = path.stat().st_size
    assert 4 <= len(row_groups(str(path), size, size // 5)) <= 7


def test_no_rows(read):
    assert read(_parquet(_chats(0))) == []
    assert read(_parquet(pa.table({"x": pa.array([], pa.int64())}))) == []


DATA = _parquet(_chats(60), row_group_size=20, compression="zstd")
BROKEN = {
    "cut off": DATA[:-100],
    "nothing but a magic number": b"PAR1",
    "no footer": b"PAR1" + bytes(100) + b"PAR1",
    "a footer longer than the file": DATA[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
    "an encrypted footer": DATA[:-4] + b"PARE",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_file_without_a_footer_is_one_reject(data, read, tmp_path):
    (reject,) = read(data)
    assert (reject.reason, reject.origin_offset) == (ReasonCode.TRUNCATED_STREAM, 0)
    assert row_groups(str(tmp_path / "log.parquet"), len(data), 1) == [Span()]


@pytest.mark.parametrize("split", [False, True], ids=["whole", "in spans"])
def test_a_row_group_that_is_corrupt_is_one_reject_and_the_others_are_read(split, tmp_path):
    second = pq.ParquetFile(io.BytesIO(DATA)).metadata.row_group(1).column(0)
    start = second.dictionary_page_offset or second.data_page_offset
    path = tmp_path / "log.parquet"
    path.write_bytes(DATA[:start] + b"\xff" * 20 + DATA[start + 20 :])
    spans = row_groups(str(path), len(DATA), 1) if split else [Span()]
    found = [item for span in spans for item in read_rows(str(path), span, LIMITS)]
    lines = [item for item in found if isinstance(item, Line)]
    (reject,) = (item for item in found if isinstance(item, Reject))
    assert [line.offset for line in lines] == [*range(20), *range(40, 60)]
    assert (reject.reason, reject.origin_offset) == (ReasonCode.TRUNCATED_STREAM, 20)


@settings(max_examples=150)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(DATA) - 1), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_bytes_that_were_changed_anywhere_raise_nothing(changes, tmp_path_factory):
    data = bytearray(DATA)
    for place, value in changes:
        data[place] = value
    path = tmp_path_factory.getbasetemp() / "changed.parquet"
    path.write_bytes(data)
    for span in row_groups(str(path), len(data), 1000):
        assert all(isinstance(item, Line | Reject) for item in read_rows(str(path), span, LIMITS))


def test_what_expands_beyond_all_measure_is_not_read(read):
    data = _parquet(pa.table({"x": [bytes(MB)] * 100}), compression="zstd", use_dictionary=False)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    (reject,) = read(data)
    assert pa.total_allocated_bytes() - before < MB
    tracemalloc.stop()
    assert (reject.reason, reject.origin_offset) == (ReasonCode.EXPANSION_LIMIT, 0)


def test_text_that_is_stored_once_and_repeated_without_end_is_left(read):
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 1000), ["x" * MB])
    data = _parquet(pa.table({"x": repeated}), compression="zstd")
    assert len(data) < 100_000
    peak = pa.default_memory_pool().max_memory()
    *lines, reject = read(data, limits=Limits(line_bytes=2 * MB, expansion=100))
    assert reject.reason is ReasonCode.EXPANSION_LIMIT
    assert len(lines) <= 128
    assert pa.default_memory_pool().max_memory() <= max(peak, 300 * MB)


def test_columns_in_columns_are_bounded(read):
    kind = pa.int64()
    for _ in range(70):
        kind = pa.struct([("x", kind)])
    (reject,) = read(_parquet(pa.table({"x": pa.array([None], kind)})))
    assert reject.reason is ReasonCode.TRUNCATED_STREAM


def test_a_store_that_fails_is_no_broken_file(read, monkeypatch):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError("secret words of a server")

    monkeypatch.setattr(Local, "open", lambda *_, **__: Failing(DATA))
    with pytest.raises(SourceUnavailable, match="cannot be read: OSError"):
        read(DATA)
