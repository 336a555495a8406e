import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingestion.logs.contents import Container, container, read, spans
from ingestion.logs.lines import Limits, Span
from ingestion.logs.places import find
from warehouse.errors import SourceUnavailable

LIMITS = Limits(line_bytes=1000, expansion=100)
PACKERS = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}
packed = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)

CONTENTS = {
    "nothing": (b"", Container.LINES),
    "blanks": (b" \n\t\r\n", Container.LINES),
    "lines": (b'{"a":1}\n{"a":2}\n', Container.LINES),
    "an array on one line": (b'[{"a":1},{"a":2}]\n\n', Container.ARRAY),
    "an array on one line without an end": (b'[{"a":1},{"a":2}]', Container.ARRAY),
    "an array over several lines": (b'\n [\n{"a":1},\n{"a":2}\n]\n', Container.ARRAY),
    "an array with an element a line": (b'[{"a":1},\n{"a":2}]\n', Container.ARRAY),
    "an array behind a byte order mark": (b'\xef\xbb\xbf[{"a":1}]', Container.ARRAY),
    "lines that are arrays": (b'[{"a":1}]\n\n[{"a":2}]\n', Container.LINES),
    "lines, the first an empty array": (b"[]\n[1]\n", Container.LINES),
    "an array longer than the longest line": (
        b"[" + b"1," * 600 + b"1]\n" + b"[2]\n", Container.ARRAY,
    ),
    "an array that is cut off": (b'[{"a":1},{"a"', Container.ARRAY),
    "an array nested without end": (b"[" * 900 + b"\n[", Container.ARRAY),
    "text": (b"hello\n", Container.LINES),
}  # fmt: skip


@packed
@pytest.mark.parametrize("data, expected", CONTENTS.values(), ids=CONTENTS)
def test_container(data, expected, pack, tmp_path):
    path = tmp_path / "log.parquet"  # a name says nothing
    path.write_bytes(pack(data))
    assert container(str(path), LIMITS) is expected


def test_container_of_parquet(tmp_path):
    path = tmp_path / "log.jsonl"
    pq.write_table(pa.table({"a": [1]}), path)
    assert container(str(path), LIMITS) is Container.PARQUET


def test_container_of_a_broken_stream_is_told_by_its_start(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b'[\n{"a":1}')[:-8])
    assert container(str(path), LIMITS) is Container.ARRAY


def test_container_of_a_file_that_is_gone(tmp_path):
    with pytest.raises(SourceUnavailable, match="gone cannot be read"):
        container(str(tmp_path / "gone"), LIMITS)


def _file(path, data: bytes):
    path.write_bytes(data)
    (file,) = find([str(path)])
    return file


@given(size=st.integers(0, 300), shard=st.integers(1, 100))
def test_spans_follow_each_other_and_are_of_about_the_size(size, shard, tmp_path_factory):
    file = _file(tmp_path_factory.getbasetemp() / "spans", b"x" * size)
    parts = spans(file, Container.LINES, shard)
    assert parts[0].start == 0 and parts[-1].end is None
    borders = [part.start for part in parts] + [size]
    assert [part.end for part in parts[:-1]] == borders[1:-1]
    assert all(b - a <= shard for a, b in zip(borders, borders[1:], strict=False))
    assert len(parts) <= size // shard + 1


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_packed_file_is_one_span(pack, tmp_path):
    file = _file(tmp_path / "log", pack(b"{}\n" * 100))
    assert spans(file, Container.LINES, 1) == [Span()]


def test_an_array_is_one_span(tmp_path):
    file = _file(tmp_path / "log", b"[" + b"{}," * 100 + b"{}]")
    assert spans(file, Container.ARRAY, 1) == [Span()]


RECORDS = [{"id": i, "text": "é" * i} for i in range(30)]


def _parquet(records: list[dict]) -> bytes:
    held = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records), held, row_group_size=7)
    return held.getvalue().to_pybytes()


AS_LINES = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)
AS_ARRAY = json.dumps(RECORDS, indent=1).encode()
FORMS = {
    f"{pack} {form}": packer(data)
    for pack, packer in PACKERS.items()
    for form, data in {"lines": AS_LINES, "array": AS_ARRAY}.items()
} | {"parquet": _parquet(RECORDS)}


@pytest.mark.parametrize("shard_bytes", [1, 100, 10**9])
@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_the_same_records_come_out_of_every_form(data, shard_bytes, tmp_path):
    file = _file(tmp_path / "log", data)
    kind = container(file.name, LIMITS)
    found = [
        json.loads(line.data)
        for span in spans(file, kind, shard_bytes)
        for line in read(file.name, kind, span, LIMITS)
    ]
    assert found == RECORDS
