"""Records of every format, damaged in every way that a log can be: nothing may raise."""

import json
import random
import re
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.formats import mapping
from ingestion.formats.detect import READERS
from ingestion.formats.mapping_options import Mapping
from ingestion.formats.raw import RawConversation, RawPair, RawTurn, Refused
from ingestion.formats.reader import Reader
from ingestion.logs.lines import Line
from warehouse.records import ReasonCode, Reject

BATCH = 100  # damaged records an example
TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
SECTIONS = dict(re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S))


def _fenced(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", section, re.M | re.S)


def _lines(name: str) -> list[bytes]:
    return [
        line.encode() for block in _fenced(SECTIONS[name], "json") for line in block.split("\n")
    ]


def _records(reader: Reader, lines: list[bytes]) -> list[bytes]:
    """The lines as they stand and as they are read."""
    grouped = reader.regroup(Line(index, line) for index, line in enumerate(lines))
    return lines + [record.data for record in grouped if isinstance(record, Line)]


def _mapping() -> Reader:
    (written,) = _fenced(SECTIONS["A shape of your own"], "toml")
    return mapping.reader(Mapping(**tomllib.loads(written)["ingestion"]["mapping"]))


FORMATS = {name: (reader, _lines(name)) for name, reader in READERS.items()}
FORMATS["mapping"] = (_mapping(), _lines("A shape of your own"))
ALL_LINES = [line for _, lines in FORMATS.values() for line in lines]

each_format = pytest.mark.parametrize("reader, lines", FORMATS.values(), ids=FORMATS)
seeds = st.integers(0, 2**32 - 1)

ODD_TOKENS = [
    *(b"null", b"true", b"-0", b"1e400", b"-1e400", b"NaN", b"Infinity", b"9" * 30, b"9" * 5000),
    *(b"0.1e-9", b'""', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000\\u001b[2J"', b'"\\"', b"\\"),
    *(b"\x00", b"\x1b", b"\x7f", b"\xc2\x9b", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n"),
    *(b"{", b"}", b"[", b"]", b",", b":", b'{"":', b'"role":1,', b'"id":{},', b"[" * 900),
]
ODD_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**63, 2**64, 10**400, 1e308, 0.5, "", " ", "\ud800", "\x00", "1"),
    *("user", "assistant", "[", "{}", "[[]]", '{"role": 1}', [], {}, [[]], [None], [{}], {"": {}}),
    *({"role": "user", "content": "x"}, [{"role": "user", "content": ["x", 1, {"type": []}]}]),
]


def _of_bytes(rng: random.Random, data: bytes) -> bytes:
    """Damage by what writes, cuts and sends files."""
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    match rng.randrange(8):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 3:
            other = rng.choice(ALL_LINES)
            return data[:at] + other[rng.randrange(len(other)) :]
        case 4:
            return data[:at] + data[at:end] * 2 + data[end:]
        case 5:
            encoding = rng.choice(("utf-16", "utf-32", "utf-8-sig", "cp037"))
            return data.decode("utf-8", "ignore").encode(encoding, "replace")
    return data[:at] + rng.choice(ODD_TOKENS) + data[at:]


def _of_values(rng: random.Random, data: bytes) -> bytes:
    """Damage by programs: another type, a missing key, a value in the wrong place."""
    try:
        tree = [json.loads(data)]
    except (ValueError, RecursionError):
        return data
    for _ in range(rng.randrange(1, 4)):
        places = list(_places(tree))
        holder, key = rng.choice(places)
        if isinstance(text := holder[key], str) and text[:1] in ("{", "["):
            holder[key] = _damaged(rng, [text.encode("utf-8", "replace")]).decode(
                "utf-8", "replace"
            )
            continue
        match rng.randrange(6):
            case 0:
                holder.pop(key)
            case 1:
                other, name = rng.choice(places)
                holder[key] = json.loads(json.dumps(other[name]))
            case 2:
                holder[key] = rng.choice(
                    ([holder[key]], {"content": holder[key]}, [holder[key]] * 3)
                )
            case 3:
                for _ in range(rng.choice((5, 100))):
                    holder[key] = [holder[key]]
            case _:
                holder[key] = deepcopy(rng.choice(ODD_VALUES))
        if not tree:
            return b""
    return json.dumps(tree[0], ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")


def _places(tree: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Every value of the tree, as what holds it and where."""
    holders: list[Any] = [tree]
    for holder in holders:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], list | dict):
                holders.append(holder[key])


def _damaged(rng: random.Random, lines: list[bytes]) -> bytes:
    data = rng.choice(lines)
    for damage in rng.choices((_of_values, _of_bytes), (2, 1), k=rng.randrange(1, 3)):
        data = damage(rng, data)
    return data


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.encode() is not None


def _is_id(value: object) -> bool:
    return value is None or _is_text(str(value)) and type(value) in (str, int)


def _sound(raw: object) -> bool:
    match raw:
        case Refused():
            return isinstance(raw.reason, ReasonCode) and _is_text(raw.detail)
        case RawConversation(turns=turns):
            texts: list[object] = []
        case RawPair(prompt=turns):
            texts = [raw.chosen, raw.rejected]
        case _:
            return False
    turns_sound = all(isinstance(turn, RawTurn) for turn in turns)
    texts += [text for turn in turns for text in (turn.role, turn.content)]
    return turns_sound and _is_id(raw.id) and _is_id(raw.user) and all(map(_is_text, texts))


@each_format
def test_the_examples_are_sound(reader, lines):
    raws = [reader.read(record) for record in _records(reader, lines)[len(lines) :]]
    assert raws and all(map(_sound, raws)) and not any(isinstance(raw, Refused) for raw in raws)


@each_format
@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_damaged_records_are_read_or_refused(reader, lines, seed):
    rng, records = random.Random(seed), _records(reader, lines)
    for _ in range(BATCH):
        line = _damaged(rng, records)
        assert _sound(reader.read(line)), line


@each_format
@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_damaged_records_fit_or_do_not(reader, lines, seed):
    rng = random.Random(seed)
    for _ in range(BATCH // 4):
        assert reader.fits(_damaged(rng, lines)) in (True, False)


@each_format
@pytest.mark.parametrize("nest", [b"[", b'{"a":', b'{"content":[', b'{"messages":['])
def test_absurd_nesting_is_refused(reader, lines, nest):
    inner = b"[" + lines[0] + b"]"
    for line in (
        nest * 200_000,
        nest * 200_000 + lines[0],
        lines[0][:-1] + b',"x":' + nest * 99_999,
    ):
        assert isinstance(reader.read(line), Refused)
    assert _sound(reader.read(inner))


def _log(rng: random.Random, lines: list[bytes]) -> list[Line | Reject]:
    log: list[Line | Reject] = []
    offset = 0
    for _ in range(30):
        data = rng.choice(lines) if rng.random() < 0.7 else _damaged(rng, lines)
        log.append(_reject(offset, data) if rng.random() < 0.05 else Line(offset, data))
        offset += len(data) + 1
    return log


def _reject(offset: int, data: bytes) -> Reject:
    return Reject(
        reason=ReasonCode.LINE_TOO_LONG,
        origin_file="f",
        origin_offset=offset,
        length=len(data),
        digest="",
        detail="",
    )


def _take(log: list[Line | Reject], records: list[Line | Reject]) -> None:
    """Take from both the next line that stands alone, comes apart or is joined with others."""
    line, record = log.pop(0), records.pop(0)
    if isinstance(line, Reject):
        assert record is line
        return
    assert isinstance(record, Line)
    if record.data.startswith(b"[" + line.data) and record.offset == line.offset:
        joined = [line.data]
        while len(record.data) > sum(map(len, joined)) + len(joined) + 1:
            joined.append(log.pop(0).data)
        assert record.data == b"[" + b",".join(joined) + b"]"
        return
    within = [record]
    while (
        records
        and isinstance(records[0], Line)
        and records[0].offset <= line.offset + len(line.data)
    ):
        within.append(records.pop(0))
    for record in within:
        start = record.offset - line.offset
        assert line.data[start : start + len(record.data)] == record.data


@each_format
@settings(max_examples=50, deadline=None)
@given(seed=seeds)
def test_no_line_is_lost_in_regrouping(reader, lines, seed):
    log = _log(random.Random(seed), lines)
    records = list(reader.regroup(iter(log)))
    while log:
        _take(log, records)
    assert not records
