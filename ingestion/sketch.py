"""MinHash sketches: conversations whose users say nearly the same share a band of theirs."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from rensa import RMinHash

# Banding finds a pair of Jaccard similarity s with probability 1 - (1 - s^r)^b, for b bands of r
# rows (J. Leskovec, A. Rajaraman, J. D. Ullman, Mining of Massive Datasets, 3rd ed., 3.4.2):
# .963 at s = .8, .33 at .6, .023 at .4.
_BANDS = 14
_ROWS = 7
_SEED = 20_260_301
_BAND_BYTES = 4 * _ROWS  # a row is 32 bits

# Fewer say little: the greetings of two users are alike, and no bot's.
_FEWEST_SHINGLES = 12
_MOST_SHINGLES = 4_000
# 4,000 words of English, spaces included, take some 24,000.
_MOST_CHARACTERS = 32_000

# Scripts that are written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


class Sketcher:
    """Makes sketches: the same for the same texts in every process, on every machine."""

    def bands(self, texts: Sequence[str]) -> tuple[int, ...]:
        """14 unsigned 64-bit hashes, or none of texts that are too short to compare.

        Texts of Jaccard similarity .8, by three words in a row, share one with probability .96;
        where words are not set apart by spaces, five characters in a row count.
        """
        shingles = _shingles("\n".join(texts)[:_MOST_CHARACTERS].lower())
        if len(shingles) < _FEWEST_SHINGLES:
            return ()
        minima = RMinHash(num_perm=_BANDS * _ROWS, seed=_SEED)
        minima.update(shingles)
        rows = struct.pack(f"<{_BANDS * _ROWS}I", *minima.digest())
        return tuple(_band(rows, band) for band in range(_BANDS))


def _band(rows: bytes, band: int) -> int:
    # With its number, so that only bands of one number can be equal.
    start = band * _BAND_BYTES
    said = b"%d:%b" % (band, rows[start : start + _BAND_BYTES])
    return int.from_bytes(blake2b(said, digest_size=8).digest())


def _shingles(text: str) -> list[str]:
    """The distinct shingles of a text, in order."""
    words = text.split()
    if not text.isascii() and len(_UNSPACED.findall(text)) > len(words):
        return _distinct(map("".join, zip(*(text[i:] for i in range(5)), strict=False)))
    return _distinct(map(" ".join, zip(words, words[1:], words[2:], strict=False)))


def _distinct(shingles: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(shingles))[:_MOST_SHINGLES]
