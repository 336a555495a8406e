"""Follow-ups as numbers: hashed n-grams and a few dense signs, a whole batch at a time.

No Python runs per n-gram: the texts of a batch become one array of code points, and the hash of
any span comes from prefix sums of a polynomial in an odd base modulo 2**64, whose powers can be
inverted: hash(s, e) = (P[e] - P[s]) * BASE**-s. The same code feeds training and scoring, so the
two cannot drift apart.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from mining.answers import AnswerState, Ending
from mining.heuristics import QUOTED, Reading

BUCKET_BITS = 17
BUCKETS = 1 << BUCKET_BITS
# What is read of each text, in characters: the beginning says what the user wants, the end how
# it closes; a pasted document lies between.
HEAD, TAIL = 400, 100
ANSWER_TAIL = 200
USER_HEAD = 200
CHAR_NGRAMS = (2, 3, 4, 5)

# Dense signs, by column.
SAID = (
    *("repeated", "rephrased", "asks", "asks_twice", "exclaims", "beyond_ascii"),
    *("quoted", "hands_over"),
    *("echoed", "earlier_again", "constraint_restated", "language_switch", "praise_then_blame"),
    *("answer_open", "answer_cut_off"),
    *("first", "answer_short", "answer_long"),
)
WORD_STEPS = (1, 3, 8, 25, 80)  # a column for each: at most so many words
DENSE = (
    *SAID,
    *(f"answer_{state.name.lower()}" for state in AnswerState),
    *(f"answer_{state.name.lower()}_and_brief" for state in AnswerState),
    *(f"words_{step}" for step in WORD_STEPS),
    *("shared_with_user", "shared_with_answer", "user_shared"),
)

_U64 = npt.NDArray[np.uint64]
_I64 = npt.NDArray[np.int64]
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so it has an inverse modulo 2**64
_BASE_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
_MIX = np.uint64(0xD6E8FEB86659FD93)
_SEEDS = {
    name: np.uint64((0xA0761D6478BD642F * (2 * at + 1)) % 2**64)
    for at, name in enumerate(("char", "word", "pair", "answer", "user"))
}


@dataclass(frozen=True, slots=True)
class Block:
    """Binary n-grams of one field, each row of unit length."""

    rows: _I64  # [k] rows of the batch that hold anything, ascending
    starts: _I64  # [k] where each of them starts in `buckets`
    buckets: _I64  # [m] in [0, BUCKETS)
    scale: npt.NDArray[np.float32]  # [k] 1 / sqrt(buckets of the row)


@dataclass(frozen=True, slots=True)
class Features:
    """A batch of n follow-ups as numbers."""

    blocks: tuple[Block, ...]
    dense: npt.NDArray[np.float32]  # [n, len(DENSE)]


@dataclass(frozen=True, slots=True)
class _Texts:
    """One field of a batch: code points of all rows, a newline before and after each."""

    codes: npt.NDArray[np.uint32]
    row: _I64  # [characters] the row of each
    prefix: _U64  # [characters + 1]
    inverse: _U64  # [characters + 1] BASE ** -i


def extract(batch: Sequence[Reading]) -> Features:
    """A batch -> its features. Cost is bounded by the cuts, whatever the texts' length."""
    follow_ups = [r.follow_up for r in batch]
    texts = _texts([_cut(r.words.text) for r in batch])
    words = _words(texts)
    answers = _words(_texts([_plain(f.answer[-ANSWER_TAIL:]) for f in follow_ups]))
    users = _words(_texts([_plain(f.user[:USER_HEAD]) for f in follow_ups]))
    blocks = (
        _block(*_char_ngrams(texts)),
        _block(
            np.concatenate([words.row, words.row[:-1][words.follows]]),
            np.concatenate([words.hash ^ _SEEDS["word"], words.pairs() ^ _SEEDS["pair"]]),
        ),
        _block(answers.row, answers.hash ^ _SEEDS["answer"]),
        _block(users.row, users.hash ^ _SEEDS["user"]),
    )
    return Features(blocks=blocks, dense=_dense(batch, words, answers, users))


def score(features: Features, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sum of the weights [BUCKETS, classes] over each row's n-grams -> [n, classes]."""
    total = np.zeros((len(features.dense), weights.shape[1]), dtype=np.float32)
    for block in features.blocks:
        if len(block.buckets):
            sums = np.add.reduceat(weights[block.buckets], block.starts, axis=0)
            total[block.rows] += sums * block.scale[:, None]
    return total


@dataclass(frozen=True, slots=True)
class _Words:
    row: _I64  # [k] ascending
    hash: _U64  # [k]
    follows: npt.NDArray[np.bool_]  # [k - 1] the next word is of the same row

    def pairs(self) -> _U64:
        """Hashes of neighbouring words of one row."""
        both = self.hash[:-1] * _MIX + self.hash[1:]
        return both[self.follows]

    def keys(self) -> _I64:
        """Distinct (row, word) pairs as one ascending array; rows in the high bits."""
        return _distinct(self.row, _buckets(self.hash))


def _cut(text: str) -> str:
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]} {text[-TAIL:]}"
    return _plain(text)


def _plain(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("’", "'")
    return " ".join(text.lower().split())


def _texts(texts: Sequence[str]) -> _Texts:
    joined = "\n" + "\n".join(texts) + "\n"
    codes = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    row = np.concatenate([[0], np.repeat(np.arange(len(texts)), lengths)])
    powers, inverse = _powers(_room(len(codes) + 1))
    prefix = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum((codes + np.uint64(1)) * powers[: len(codes)], out=prefix[1:])
    return _Texts(codes=codes, row=row, prefix=prefix, inverse=inverse[: len(codes) + 1])


def _room(n: int) -> int:
    return 1 << max(n - 1, 1).bit_length()


@cache
def _powers(n: int) -> tuple[_U64, _U64]:
    up = np.full(n, _BASE, dtype=np.uint64)
    down = np.full(n, _BASE_INVERSE, dtype=np.uint64)
    up[0] = down[0] = 1
    return np.cumprod(up), np.cumprod(down)


def _char_ngrams(texts: _Texts) -> tuple[_I64, _U64]:
    """N-grams that may touch the newline on either side of their row and never cross it."""
    breaks = np.cumsum(texts.codes == 10)
    rows, hashes = [], []
    for n in CHAR_NGRAMS:
        count = len(texts.codes) - n + 1
        if count < 1:
            continue
        # Newlines strictly inside the span would mean that it crosses a row's end.
        inside = breaks[n - 2 : n - 2 + count] == breaks[:count]
        at = np.flatnonzero(inside)
        span = texts.prefix[at + n] - texts.prefix[at]
        hashes.append((span * texts.inverse[at] + np.uint64(n)) ^ _SEEDS["char"])
        rows.append(texts.row[at + 1])
    return np.concatenate(rows), np.concatenate(hashes)


def _words(texts: _Texts) -> _Words:
    kind = _kinds()[np.minimum(texts.codes, 0xFFFF)]
    before = np.concatenate([[0], kind[:-1]])
    starts = np.flatnonzero((kind == 2) | ((kind == 1) & (before != 1)))
    after = np.concatenate([kind[1:], [0]])
    ends = np.flatnonzero((kind == 2) | ((kind == 1) & (after != 1))) + 1
    row = texts.row[starts]
    return _Words(
        row=row,
        hash=(texts.prefix[ends] - texts.prefix[starts]) * texts.inverse[starts],
        follows=row[:-1] == row[1:],
    )


@cache
def _kinds() -> npt.NDArray[np.int8]:
    """Of each code point of the basic plane (the rest count as its last): 0 apart, 1 in a word,
    2 a word of its own, as in scripts written without spaces."""
    kinds = np.array([chr(code).isalnum() for code in range(0x10000)], dtype=np.int8)
    kinds[[ord("'"), ord("_"), ord("?"), ord("!")]] = [1, 1, 2, 2]
    kinds[0x3040:0x3100] = 2
    kinds[0x3400:0xA000] = 2
    kinds[0xFFFF] = 2
    return kinds


def _buckets(hashes: _U64) -> _I64:
    """The top bits of a multiply and a fold: neighbours of the polynomial land far apart."""
    mixed = (hashes ^ (hashes >> np.uint64(29))) * _MIX
    return (mixed >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)


def _distinct(row: _I64, buckets: _I64) -> _I64:
    keys = (row << BUCKET_BITS) | buckets
    keys.sort()
    fresh = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=fresh[1:])
    return keys[fresh]


def _block(row: _I64, hashes: _U64) -> Block:
    keys = _distinct(row, _buckets(hashes))
    rows, starts, counts = _groups(keys >> BUCKET_BITS)
    return Block(rows, starts, keys & (BUCKETS - 1), (1 / np.sqrt(counts)).astype(np.float32))


def _groups(row: _I64) -> tuple[_I64, _I64, _I64]:
    """An ascending array -> its distinct values, where each starts, how often it stands."""
    starts = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]])[: len(row)])
    counts = np.diff(np.concatenate([starts, [len(row)]]))
    return row[starts], starts, counts


def _dense(
    batch: Sequence[Reading], words: _Words, answers: _Words, users: _Words
) -> npt.NDArray[np.float32]:
    n = len(batch)
    states = np.array([r.answer_state for r in batch], dtype=np.int64).reshape(n)
    state = (states[:, None] == np.arange(len(AnswerState))).astype(np.float32)
    counts = np.bincount(words.row, minlength=n)
    steps = (counts[:, None] <= np.array(WORD_STEPS)).astype(np.float32)
    ours, asked, answered = words.keys(), users.keys(), answers.keys()
    shared = (_share(ours, asked, n), _share(ours, answered, n), _share(asked, ours, n))
    said = np.array([_said(r) for r in batch], dtype=np.float32).reshape(n, len(SAID))
    brief = steps[:, [1]]
    return np.hstack([said, state, state * brief, steps, np.stack(shared, axis=1)])


def _said(reading: Reading) -> tuple[float, ...]:
    """Numbers of about 1, one for each name in SAID.

    Rules are left out: the verdict weighs them beside the classifier, which keeps what each says
    visible, and scores the same.
    """
    text, answer = reading.follow_up.follow_up, reading.follow_up.answer
    ending = text[-TAIL:]
    return (
        reading.likeness.repeated,
        reading.likeness.rephrased,
        ending.rstrip().endswith(("?", "？")),
        "??" in ending,
        "!" in ending or "！" in ending,
        not text.isascii(),
        reading.words.quoted,
        reading.words.quoted >= QUOTED,
        reading.likeness.echoed,
        reading.likeness.earlier >= 1,
        reading.restated,
        reading.switched,
        reading.mixed,
        reading.ending is not Ending.CLOSED,
        reading.ending is Ending.CUT_OFF,
        not reading.follow_up.earlier,
        len(answer) < 80,
        len(answer) > 800,
    )


def _share(ours: _I64, theirs: _I64, n: int) -> npt.NDArray[np.float32]:
    """Of each row's distinct words, the share that stands in the same row of `theirs`."""
    at = np.searchsorted(theirs, ours)
    found = np.concatenate([theirs, [-1]])[at] == ours
    rows = ours >> BUCKET_BITS
    total = np.bincount(rows, minlength=n)
    return (np.bincount(rows, weights=found, minlength=n) / np.maximum(total, 1)).astype(np.float32)
