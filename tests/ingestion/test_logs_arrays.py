import gzip
import hashlib
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.logs import streams
from ingestion.logs.arrays import DEEPEST, Scanner, read_elements
from ingestion.logs.lines import Limits, Line
from warehouse.records import ReasonCode, Reject

KB, MB = 2**10, 2**20


def _scan(data: bytes, *, chunk: int = 2**20, limit: int = MB) -> list[Line | Reject]:
    scanner = Scanner("log", limit)
    pieces = (data[start : start + chunk] for start in range(0, len(data), chunk))
    return [found for piece in pieces for found in scanner.feed(piece)] + scanner.end()


ARRAYS = {
    "empty": b"[]",
    "empty, with blanks": b" \r\n[ \t\n ] \n",
    "one object": b'[{"a":1}]',
    "several": b'[{"a":1},{"b":2}, {"c":3}]',
    "a line each": b'[{"a":1},\n{"b":2}\n]\n',
    "brackets in strings": b'[{"a":"}]["},{"b":"{[,"}]',
    "escapes": rb'[{"a":"\"}\\"},{"b\\\"":"\\\\\\"}]',
    "nested": b'[{"a":[{"b":[[]]},{}]},[1,[2,"]"]],[]]',
    "elements that are no objects": b'[1, -2.5e3, true, null, "a,]b", "", "\\"", {}]',
    "text beyond ASCII": '[{"a":"ü\u2028]"}]'.encode(),
    "a byte order mark": b"\xef\xbb\xbf" + b'[{"a":1}]',
}


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("data", ARRAYS.values(), ids=ARRAYS)
def test_elements_are_cut_out_byte_for_byte(data, chunk):
    found = _scan(data, chunk=chunk)
    assert [json.loads(line.data) for line in found] == json.loads(data.decode("utf-8-sig"))
    assert all(data[line.offset :].startswith(line.data) for line in found)


def test_missing_and_needless_commas_do_no_harm():
    assert [line.data for line in _scan(b"[,{} {},,1 2,]")] == [b"{}", b"{}", b"1", b"2"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(
    values=st.lists(JSON, max_size=6),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_any_array_comes_apart_into_its_elements(values, chunk, indent, ascii_only):
    data = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode(errors="replace")
    found = _scan(data, chunk=chunk)
    assert [json.loads(line.data) for line in found] == json.loads(data)
    assert all(data[line.offset :].startswith(line.data) for line in found)


BROKEN = {
    "cut off in an object": (b'[{"a":1},{"b":', 1, ReasonCode.TRUNCATED_STREAM, 9, 5),
    "cut off in a string": (b'[{"a":1},{"b":"]}', 1, ReasonCode.TRUNCATED_STREAM, 9, 8),
    "cut off behind a backslash": (b'["a\\', 0, ReasonCode.TRUNCATED_STREAM, 1, 3),
    "cut off in a number": (b"[1,23", 1, ReasonCode.TRUNCATED_STREAM, 3, 2),
    "cut off between": (b'[{"a":1},\n', 1, ReasonCode.TRUNCATED_STREAM, 10, 0),
    "cut off at once": (b"[", 0, ReasonCode.TRUNCATED_STREAM, 1, 0),
    "nothing": (b" ", 0, ReasonCode.TRUNCATED_STREAM, 0, 0),
    "garbage behind it": (b'[{"a":1}] x]', 1, ReasonCode.INVALID_JSON, 10, 2),
    "another array behind it": (b"[1][2]", 1, ReasonCode.INVALID_JSON, 3, 3),
    "a bracket too many": (b'[{"a":1}},{}]', 1, ReasonCode.INVALID_JSON, 8, 5),
    "a bracket of the other kind": (b'[{},{"a":1],{}]', 1, ReasonCode.INVALID_JSON, 4, 11),
    "a bracket that is missing": (b'[{"a":[1},{}]', 0, ReasonCode.INVALID_JSON, 1, 12),
    "no array": (b'{"a":1}', 0, ReasonCode.INVALID_JSON, 0, 7),
}  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 2, 5, 1000])
@pytest.mark.parametrize("data, kept, reason, offset, length", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_one_reject(data, kept, reason, offset, length, chunk):
    *lines, reject = _scan(data, chunk=chunk)
    assert all(isinstance(line, Line) for line in lines) and len(lines) == kept
    assert (reject.reason, reject.origin_offset, reject.length) == (reason, offset, length)
    missing = data[offset : offset + length]
    assert reject.digest == hashlib.blake2b(missing, digest_size=16).hexdigest()


@given(data=st.text('[]{}",\\ a1\n', max_size=60), chunk=st.integers(1, 20))
def test_any_text_is_survived_and_chunks_do_not_show(data, chunk):
    data = b"[" + data.encode()
    found = _scan(data, chunk=chunk, limit=20)
    assert found == _scan(data, limit=20)
    spans = [
        (item.offset, len(item.data))
        if isinstance(item, Line)
        else (item.origin_offset, item.length)
        for item in found
    ]
    left = bytearray(data)
    for offset, length in spans:
        left[offset : offset + length] = b" " * length
    assert not left.translate(None, b" ,\n\t\r[]")
    assert left.count(b"[") + left.count(b"]") <= 2


def test_an_element_over_the_limit_is_passed_over():
    long = b'{"a":"' + b"x" * 20 + b'"}'
    before, reject, after = _scan(b"[{}," + long + b",[]]", chunk=4, limit=10)
    assert (before.data, after.data) == (b"{}", b"[]")
    assert (reject.reason, reject.origin_offset, reject.length) == (
        ReasonCode.LINE_TOO_LONG, 4, len(long),
    )  # fmt: skip
    assert reject.digest == hashlib.blake2b(long, digest_size=16).hexdigest()


def test_an_element_that_is_nested_too_deeply_is_passed_over():
    deepest = b"[" * DEEPEST + b"]" * DEEPEST
    deeper = b'{"a":' + deepest + b"}"
    kept, reject, after = _scan(b"[" + deepest + b"," + deeper + b",{}]")
    assert (kept.data, after.data) == (deepest, b"{}")
    assert (reject.reason, reject.length) == (ReasonCode.INVALID_JSON, len(deeper))


@pytest.mark.parametrize("piece", [b"x", b"[", b'{"', b"\\\\"], ids=repr)
def test_memory_stays_flat_over_an_element_of_any_kind_and_length(piece, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "CHUNK", 8 * KB)
    path = tmp_path / "log"
    start = b'["' if piece in (b"x", b"\\\\") else b"["
    path.write_bytes(start + piece * (400 * KB // len(piece)))
    tracemalloc.start()
    (reject,) = read_elements(str(path), Limits(line_bytes=16 * KB, expansion=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reject.reason is ReasonCode.TRUNCATED_STREAM
    assert reject.length >= 400 * KB
    assert peak < 150 * KB


def test_a_packed_array_that_is_cut_off(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b'[{"a":1},{"b":2}]')[:-8])
    first, second, reject = read_elements(str(path), Limits(line_bytes=MB, expansion=100))
    assert (first.data, second.data) == (b'{"a":1}', b'{"b":2}')
    assert (reject.reason, reject.length) == (ReasonCode.TRUNCATED_STREAM, 0)
