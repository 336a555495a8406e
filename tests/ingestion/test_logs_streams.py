import gzip
import io
import os
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.logs import streams
from ingestion.logs.local import Local
from ingestion.logs.stored import Stored
from ingestion.logs.streams import Broken, chunks
from warehouse.errors import SourceUnavailable
from warehouse.records import ReasonCode

MB = 2**20
LINES = b"".join(b"%d %s\n" % (i, os.urandom(300).hex().encode()) for i in range(2000))


def _zstd(data: bytes) -> bytes:
    """As a stream, whose frame does not say how long it is."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "zstd stream": _zstd,
}


@pytest.fixture
def content(tmp_path):
    """What `chunks` gives for a file of those bytes: the data, and why it broke."""

    def content(stored: bytes, expansion: int = 100) -> tuple[bytes, list[Broken]]:
        path = tmp_path / "log"
        path.write_bytes(stored)
        with Stored(str(path)) as file:
            given = list(chunks(file, expansion))
        broken = [chunk for chunk in given if isinstance(chunk, Broken)]
        assert given[len(given) - len(broken) :] == broken
        return b"".join(given[: len(given) - len(broken)]), broken

    return content


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("data", [b"", b"{}\n", LINES], ids=["nothing", "a line", "many"])
def test_packed_files_are_told_by_their_content(data, pack, content):
    assert content(pack(data)) == (data, [])


SKIPPABLE = b"\x5e\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
IN_A_ROW = {
    "gzip members": gzip.compress(b"ab\nc") + gzip.compress(b"") + gzip.compress(b"d\n"),
    "gzip and zeros": gzip.compress(b"ab\ncd\n") + bytes(512),
    "zstd frames": zstandard.compress(b"ab\nc") + zstandard.compress(b"") + _zstd(b"d\n"),
    "zstd frames to skip": SKIPPABLE + zstandard.compress(b"ab\nc") + SKIPPABLE + _zstd(b"d\n"),
}


@pytest.mark.parametrize("stored", IN_A_ROW.values(), ids=IN_A_ROW)
def test_parts_in_a_row_are_one_stream(stored, content):
    assert content(stored) == (b"ab\ncd\n", [])


BROKEN = {
    "gzip without its end": (gzip.compress(b"ab\n")[:-8], b"ab\n"),
    "gzip with a wrong checksum": (gzip.compress(b"ab\n")[:-8] + bytes(8), b"ab\n"),
    "gzip and garbage": (gzip.compress(b"ab\n") + b"garbage", b"ab\n"),
    "gzip of a header": (gzip.compress(b"ab\n")[:5], b""),
    "zstd without its end": (_zstd(b"ab\n")[:-1], b"ab"),
    "zstd whose second frame is cut off": (_zstd(b"ab\n") + _zstd(b"cd\n")[:6], b"ab\n"),
    "zstd and garbage": (zstandard.compress(b"ab\n") + b"garbage", b"ab\n"),
    "zstd of a magic number": (zstandard.compress(b"ab\n")[:4], b""),
}


@pytest.mark.parametrize("stored, data", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_gives_what_came_before(stored, data, content):
    kept, (broken,) = content(stored)
    assert kept == data
    assert broken.reason is ReasonCode.TRUNCATED_STREAM
    assert "stream broken" in broken.detail


PACKED = {name: pack(LINES) for name, pack in PACKERS.items() if name != "plain"}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
@settings(max_examples=25)
@given(keep=st.floats(0.1, 0.99))
def test_a_stream_that_is_cut_off_anywhere_gives_its_start(packed, keep, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(packed[: int(len(packed) * keep)])
    with Stored(str(path)) as file:
        *start, broken = chunks(file, 100)
    data = b"".join(start)
    assert broken.reason is ReasonCode.TRUNCATED_STREAM
    assert LINES.startswith(data)
    assert len(data) > (keep - 0.3) * len(LINES)


@given(stored=st.binary(max_size=60), pack=st.sampled_from([gzip.compress, zstandard.compress]))
def test_any_bytes_behind_a_magic_number_are_survived(stored, pack, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(pack(b"x")[:4] + stored)
    with Stored(str(path)) as file:
        assert all(isinstance(chunk, bytes | Broken) for chunk in chunks(file, 100))


def _bomb(pack: str, size: int) -> bytes:
    held = io.BytesIO()
    if pack == "gzip":
        opened = gzip.GzipFile(fileobj=held, mode="wb", compresslevel=1)
    else:
        opened = zstandard.ZstdCompressor().stream_writer(held, closefd=False)
    with opened:
        for _ in range(size // MB):
            opened.write(bytes(MB))
    return held.getvalue()


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_stream_that_expands_beyond_all_measure_is_left(pack, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(_bomb(pack, 400 * MB))
    sizes, broken = [], None
    tracemalloc.start()
    with Stored(str(path)) as file:
        for chunk in chunks(file, 100):
            if isinstance(chunk, Broken):
                broken = chunk
            else:
                sizes.append(len(chunk))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert broken == Broken(ReasonCode.EXPANSION_LIMIT, "more than 100 bytes for each byte stored")
    assert 30 * MB < sum(sizes) <= streams.FREE_EXPANSION + 40 * MB
    assert peak < 80 * MB


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_stream_within_the_limits_may_expand_far(pack, content):
    few, many = _bomb(pack, 60 * MB), _bomb(pack, 100 * MB)
    assert content(few, expansion=2) == (bytes(60 * MB), [])
    assert content(many, expansion=2**20) == (bytes(100 * MB), [])


def test_a_zstd_window_beyond_the_bound_is_refused(content):
    # A frame's header: no content size, a window of 2**31 bytes.
    header = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
    assert content(header)[1][0].reason is ReasonCode.TRUNCATED_STREAM


class _Failing(io.BytesIO):
    """A file whose store fails once its first bytes were given."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > streams.MAGIC:
            raise OSError("secret words of a server")
        return super().read(size)


@pytest.mark.parametrize("stored", [LINES, *PACKED.values()], ids=PACKERS)
def test_a_store_that_fails_is_no_broken_stream(stored, tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setattr(Local, "open", lambda *_, **__: _Failing(stored))
    with Stored(str(path)) as file:
        with pytest.raises(SourceUnavailable, match="log cannot be read: OSError") as caught:
            list(chunks(file, 100))
    assert "secret" not in str(caught.value)
