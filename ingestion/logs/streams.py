"""Stored bytes -> the bytes that they hold, decompressed, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, cast

import msgspec
import zstandard

from ingestion.logs.stored import Stored
from warehouse.records import ReasonCode

CHUNK = 1 << 20  # bytes that are read, or given, at once
FREE_EXPANSION = 64 << 20  # bytes that a stream may give before its expansion is looked at
MAGIC = 4  # bytes of a file that tell whether it is packed
_ZSTD_WINDOW = 128 << 20  # bytes: what the zstd program admits unless told otherwise
_ZSTD_PIECE = 1 << 10  # stored bytes a call: they hold at most 32 MiB, in blocks of one byte value


class Broken(msgspec.Struct, frozen=True, gc=False):
    """Why a stream ends before its end."""

    reason: ReasonCode
    detail: str


def chunks(file: Stored, expansion: int) -> Iterator[bytes | Broken]:
    """The content of a file that is open at its start, gunzipped or unzstded if it is packed.

    A stream that is cut off or corrupt ends with a Broken; so does one that has given more than
    `expansion` bytes for each stored byte and more than 64 MiB. Raises SourceUnavailable.
    """
    magic = file.read(MAGIC)
    file.seek(0)
    if not is_packed(magic):
        yield from plain(file)
        return
    given = 0
    try:
        for chunk in _gunzip(file) if _is_gzip(magic) else _unzstd(file):
            given += len(chunk)
            if given > FREE_EXPANSION and given > expansion * file.tell():
                detail = f"more than {expansion} bytes for each byte stored"
                yield Broken(ReasonCode.EXPANSION_LIMIT, detail)
                return
            yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        kind = "gzip" if _is_gzip(magic) else "zstd"
        detail = f"{kind} stream broken ({type(error).__name__}); the records before were read"
        yield Broken(ReasonCode.TRUNCATED_STREAM, detail)


def plain(file: Stored) -> Iterator[bytes]:
    """The rest of the file as it is stored."""
    while chunk := file.read(CHUNK):
        yield chunk


def is_packed(magic: bytes) -> bool:
    """Whether a file that begins so is compressed."""
    return _is_gzip(magic) or _is_zstd(magic)


def _is_gzip(magic: bytes) -> bool:
    return magic[:2] == b"\x1f\x8b"


def _is_zstd(magic: bytes) -> bool:
    # The second kind, a skippable frame, opens files that were compressed in parallel (RFC 8878).
    skippable = magic[1:4] == b"\x2a\x4d\x18" and magic[0] & 0xF0 == 0x50
    return skippable or magic[:4] == b"\x28\xb5\x2f\xfd"


def _gunzip(file: Stored) -> Iterator[bytes]:
    members = gzip.GzipFile(fileobj=cast("IO[bytes]", file))
    while chunk := members.read1(CHUNK):
        yield chunk


def _unzstd(file: Stored) -> Iterator[bytes]:
    """Frame after frame. zstandard's own reader gives no sign of a frame that is cut off."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame = None
    parts: list[bytes] = []
    held = 0
    for piece in _pieces(file):
        while piece:
            frame = frame or decompressor.decompressobj()
            try:
                parts.append(frame.decompress(piece))
            except zstandard.ZstdError:
                yield b"".join(parts)
                raise
            held += len(parts[-1])
            piece = frame.unused_data
            if frame.eof:
                frame = None
        if held >= CHUNK:
            yield b"".join(parts)
            parts, held = [], 0
    yield b"".join(parts)
    if frame is not None:
        raise EOFError


def _pieces(file: Stored) -> Iterator[bytes]:
    for chunk in plain(file):
        for start in range(0, len(chunk), _ZSTD_PIECE):
            yield chunk[start : start + _ZSTD_PIECE]
