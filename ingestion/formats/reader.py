"""What every log format has in common: one JSON record a line, read into typed fields."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ingestion.formats.raw import Raw, Refused
from ingestion.logs.lines import Line
from ingestion.normalize import clean_line
from warehouse.records import ReasonCode, Reject

# What `decode` raises on bytes that are not what was asked for.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Records = Iterator[Line | Reject]

_EXACT = 2**53  # below it every whole number has a double of its own


def _as_they_are(lines: Records) -> Records:
    """How most formats are grouped: one line, one record."""
    return lines


class Reader:
    """Reads the records of one format.

    `record` is the shape of a record: unknown fields are skipped, only the fields that make up
    the format are required, and the others are typed so that no value of theirs is refused.
    `extract` takes from a record what the warehouse keeps. `regroup` makes records of lines where
    these are not the same; `joins` says that it puts several lines into one, so that a file must
    not be read in parts. `shape` is a narrower record, by which `fits` tells the format from
    others that look like it.
    """

    def __init__(
        self,
        name: str,
        record: Any,
        extract: Callable[[Any], Raw],
        regroup: Callable[[Records], Records] = _as_they_are,
        *,
        joins: bool = False,
        shape: Any = Any,
    ) -> None:
        self.name = name
        self.regroup = regroup
        self.joins = joins
        self._decoder = msgspec.json.Decoder(record)
        self._shape = msgspec.json.Decoder(shape)
        self._extract = extract

    def fits(self, line: bytes) -> bool:
        """Whether a line of a log holds a record of this format."""
        records = self.regroup(iter([Line(0, line)]))
        return any(isinstance(record, Line) and self._fits(record.data) for record in records)

    def _fits(self, data: bytes) -> bool:
        try:
            decode(self._shape, clean_line(data))
        except UNREADABLE:
            return False
        return not isinstance(self.read(data), Refused)

    def read(self, line: bytes) -> Raw:
        """One record of a log (what `regroup` gives). Never raises on bad input."""
        try:
            return self._extract(decode(self._decoder, clean_line(line)))
        except UNREADABLE as error:
            return _diagnose(line, error)


def decode(decoder: msgspec.json.Decoder[Any], data: bytes | msgspec.Raw) -> Any:
    """JSON -> what the decoder makes of it; numbers that are none (NaN, 1e400) count as null.

    Raises one of `UNREADABLE`.
    """
    try:
        return decoder.decode(data)
    except msgspec.DecodeError as error:
        try:
            mended = _without_odd_numbers(bytes(data))
        except (ValueError, RecursionError):
            raise error from None
        return decoder.decode(mended)


def identity(*values: object) -> str | int | None:
    """The first of the values that can be an id: text, or a whole number.

    One that was written as a fraction must be below 2**53, from where on it was rounded.
    """
    for value in values:
        if (type(value) is str and value) or type(value) is int:
            return value
        # What a table with gaps makes of numbers.
        if type(value) is float and value.is_integer() and abs(value) < _EXACT:
            return int(value)
    return None


def _without_odd_numbers(data: bytes) -> bytes:
    value = json.loads(
        data.decode(), parse_float=_finite, parse_int=_whole, parse_constant=lambda name: None
    )
    return json.dumps(value, ensure_ascii=False).encode()


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= sys.int_info.default_max_str_digits else None


def _diagnose(line: bytes, error: Exception) -> Refused:
    """Bytes before syntax before shape: the first that is wrong is what a person must mend."""
    try:
        line.decode()
    except UnicodeDecodeError as wrong:
        detail = f"{wrong.reason} at byte {wrong.start} of the record"
        return Refused(ReasonCode.INVALID_UTF8, detail)
    if isinstance(error, RecursionError):
        return Refused(ReasonCode.INVALID_JSON, "nested too deeply")
    wrong_shape = isinstance(error, msgspec.ValidationError)
    return Refused(ReasonCode.WRONG_SHAPE if wrong_shape else ReasonCode.INVALID_JSON, str(error))
