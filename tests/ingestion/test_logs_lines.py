import gzip
import hashlib
import os
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingestion.logs.lines import Limits, Line, Pending, Span, Splitter, read_lines
from warehouse.errors import SourceUnavailable
from warehouse.records import ReasonCode, Reject

MB = 2**20
BOM = b"\xef\xbb\xbf"
PACKERS = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}
packed = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)


@pytest.fixture
def read(tmp_path):
    def read(data: bytes, span: Span = Span(), limit: int = MB) -> list[Line | Reject]:  # noqa: B008
        path = tmp_path / "log"
        path.write_bytes(data)
        return list(read_lines(str(path), span, Limits(line_bytes=limit, expansion=100)))

    return read


CONTENTS = {
    "empty": (b"", []),
    "blank lines are no lines": (b"\n \n\t\r\n\n", []),
    "two lines": (b"ab\ncd\n", [(0, b"ab"), (3, b"cd")]),
    "no newline at the end": (b"ab\ncd", [(0, b"ab"), (3, b"cd")]),
    "blank between": (b"ab\n\ncd\n", [(0, b"ab"), (4, b"cd")]),
    "carriage returns": (b"ab\r\n\r\ncd\r\n", [(0, b"ab"), (6, b"cd")]),
    "a byte order mark": (BOM + b"ab\ncd\n", [(3, b"ab"), (6, b"cd")]),
    "a byte order mark and no more": (BOM + b"\n", []),
    "byte order marks of files that were joined": (
        BOM + b"ab\n" + BOM + b"cd\r\n" + BOM + b"\n" + BOM + BOM + b"ef",
        [(3, b"ab"), (9, b"cd"), (23, b"ef")],
    ),
    "a byte order mark in a line is the line's": (b"a" + BOM + b"b\n", [(0, b"a" + BOM + b"b")]),
    "spaces are kept": (b" ab \n", [(0, b" ab ")]),
}


@packed
@pytest.mark.parametrize("data, lines", CONTENTS.values(), ids=CONTENTS)
def test_read_lines(data, lines, pack, read):
    assert [(line.offset, line.data) for line in read(pack(data))] == lines


@packed
def test_a_line_over_the_limit_is_passed_over(pack, read):
    data = b"ab\n" + b"x" * 11 + b"\n" + b"y" * 10 + b"\n"
    before, long, after = read(pack(data), limit=10)
    assert (before.data, after.data, after.offset) == (b"ab", b"y" * 10, 15)
    assert (long.reason, long.origin_offset, long.length) == (ReasonCode.LINE_TOO_LONG, 3, 11)
    assert long.digest == hashlib.blake2b(b"x" * 11, digest_size=16).hexdigest()


def test_memory_stays_flat_over_a_line_of_any_length(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        for _ in range(40):
            file.write(b"x" * MB)
        file.write(b"\nab\n")
    tracemalloc.start()
    long, after = read_lines(str(path), Span(), Limits(line_bytes=2 * MB, expansion=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (long.length, after.data) == (40 * MB, b"ab")
    assert peak < 8 * MB


@pytest.mark.parametrize("pack", list(PACKERS.values())[1:], ids=list(PACKERS)[1:])
def test_a_truncated_stream_gives_the_lines_until_there_and_one_reject(pack, read):
    data = b"".join(b"%d %s\n" % (i, os.urandom(3000).hex().encode()) for i in range(500))
    stored = pack(data)
    *lines, rest = read(stored[: int(len(stored) * 0.7)])
    assert [line.data for line in lines] == data.split(b"\n")[: len(lines)]
    assert len(lines) > 250
    assert rest.reason is ReasonCode.TRUNCATED_STREAM
    assert rest.origin_offset == lines[-1].offset + len(lines[-1].data) + 1
    partial = data[rest.origin_offset : rest.origin_offset + rest.length]
    assert rest.digest == hashlib.blake2b(partial, digest_size=16).hexdigest()


def test_an_over_long_line_in_a_broken_stream_is_digested_too(read):
    (rest,) = read(gzip.compress(b"x" * 50)[:-8], limit=10)
    assert (rest.reason, rest.length) == (ReasonCode.TRUNCATED_STREAM, 50)
    assert rest.digest == hashlib.blake2b(b"x" * 50, digest_size=16).hexdigest()


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(SourceUnavailable, match="gone cannot be read: No such file"):
        list(read_lines(str(tmp_path / "gone"), Span(), Limits(line_bytes=1, expansion=1)))


@given(data=st.binary(max_size=200), chunk=st.integers(1, 20), limit=st.integers(1, 30))
def test_chunks_do_not_show_and_no_byte_is_lost(data, chunk, limit):
    splitter = Splitter(Pending("log", limit))
    pieces = [data[start : start + chunk] for start in range(0, len(data), chunk)]
    found = [line for piece in pieces for line in splitter.feed(piece)]
    found += splitter.finish()
    expected, offset = [], 0
    for line in data.split(b"\n"):
        skipped = next(at for at in range(0, len(line) + 3, 3) if not line[at:].startswith(BOM))
        kept = line[skipped:].removesuffix(b"\r")
        if len(line) > limit:
            expected.append((offset, len(line)))
        elif kept.strip():
            expected.append((offset + skipped, kept))
        offset += len(line) + 1
    assert expected == [
        (line.offset, line.data) if isinstance(line, Line) else (line.origin_offset, line.length)
        for line in found
    ]


TEXT = st.lists(
    st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b" ", BOM, b"x" * 12, b"\n\n"]), max_size=40
).map(b"".join)


@given(data=TEXT, borders=st.lists(st.integers(1, 150)), limit=st.integers(1, 20))
def test_any_split_gives_what_no_split_gives(data, borders, limit, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "split"
    path.write_bytes(data)
    limits = Limits(line_bytes=limit, expansion=100)
    borders = [0, *sorted(set(borders)), None]
    parts = [
        list(read_lines(str(path), Span(start, end), limits))
        for start, end in zip(borders, borders[1:], strict=False)
    ]
    assert sum(parts, []) == list(read_lines(str(path), Span(), limits))


def test_a_span_ends_with_the_last_line_that_starts_in_it(read):
    data = b"first\nsecond\nthird\n"
    assert [line.data for line in read(data, Span(0, 7))] == [b"first", b"second"]
    assert [line.data for line in read(data, Span(6, 13))] == [b"second"]
    assert [line.data for line in read(data, Span(7, 13))] == []
    assert [line.data for line in read(data, Span(13, None))] == [b"third"]


def test_a_span_in_a_long_line_reads_no_more_than_itself(tmp_path, monkeypatch):
    from ingestion.logs import streams

    path = tmp_path / "log"
    path.write_bytes(b"x" * 64 * 1000 + b"\n")
    monkeypatch.setattr(streams, "CHUNK", 1000)
    taken = []
    plain = streams.plain
    monkeypatch.setattr(
        streams, "plain", lambda file: (taken.append(len(chunk)) or chunk for chunk in plain(file))
    )
    assert not list(
        read_lines(str(path), Span(1000, 5000), Limits(line_bytes=10**6, expansion=100))
    )
    assert sum(taken) <= 5000
