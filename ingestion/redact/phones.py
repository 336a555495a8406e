"""Phone numbers: which digits that look like one are one, by the plans of phonenumbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat

# Plans that are tried for a number beside a word such as "phone" where the log says nothing.
_ANYWHERE = ("US", "GB", "DE", "FR", "IN", "CN")
# Sizes of groups, where numbers are often written without the trunk prefix that their plan has.
_TEN: set[tuple[int, ...]] = {(3, 3, 4), (1, 3, 3, 4)}
_NORTH_AMERICA = dict.fromkeys(("US", "CA", "PR", "DO", "JM", "TT"), _TEN)
_WRITTEN: dict[str, set[tuple[int, ...]]] = {
    **_NORTH_AMERICA,
    "BR": {(2, 5, 4), (2, 4, 4), (2, 1, 4, 4)},
    "CN": {(3, 4, 4)},
    "IN": {(5, 5), (3, 3, 4), (4, 3, 3)},
    "IT": {(3, 7), (3, 3, 4), (3, 2, 2, 3)},
    "TR": {(3, 3, 2, 2), (3, 3, 4)},
}

_GROUP = re.compile(r"\d+")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_QUAD = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")  # an IP address, or a version
_RANGE = re.compile(r"[1-9]\d{3,} ?[-–] ?\d{4,}|[1-9]\d* ?[-–] ?\d{5,}")  # 10000-20000
_CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")
_SHORTEST = 7  # digits of a local number
_LONGEST = 24  # characters of a number with its separators


def international(value: str, _: Sequence[str]) -> str | None:
    """E.164 of a number that names its country: +41 44 668 18 00, 0041 44 668 18 00."""
    number = _parse("+" + value.lstrip("+0 "), None)
    if number is None or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def said(value: str, regions: Sequence[str]) -> str | None:
    """E.164, or the digits, of what stands beside a word such as "phone".

    A number of a possible length passes: the words say enough, and plans grow.
    """
    if _other(value):
        return None
    return _valid(value, regions or _ANYWHERE) or _possible(value, regions or _ANYWHERE)


def grouped(value: str, regions: Sequence[str]) -> str | None:
    """E.164 of a number that only its grouping tells, valid where the log comes from."""
    groups = tuple(map(len, _GROUP.findall(value)))
    likely = [region for region in regions if _is_written(value, groups, region)]
    return _valid(value, likely) if likely and not _other(value) else None


def _is_written(value: str, groups: tuple[int, ...], region: str) -> bool:
    """Whether numbers of a country are written like this, in these sizes of groups."""
    if value[0] == "(" or groups in _WRITTEN.get(region, ()):
        return True
    if region in _NORTH_AMERICA:
        return False
    if region == "CN" and _CHINESE_MOBILE.fullmatch(value):
        return True
    prefix = _trunk_prefix(region)
    return value.startswith(prefix) if prefix else len(groups) > 2


@cache
def _trunk_prefix(region: str) -> str:
    metadata = PhoneMetadata.metadata_for_region(region)
    return (metadata and metadata.national_prefix) or ""


def _valid(value: str, regions: Sequence[str]) -> str | None:
    for region in regions:
        number = _parse(value, region)
        if number is not None and phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return None


def _possible(value: str, regions: Sequence[str]) -> str | None:
    digits = "".join(_GROUP.findall(value))
    if _RANGE.fullmatch(value) or len(digits) < _SHORTEST:
        return None
    for region in regions:
        number = _parse(value, region)
        if number is not None and phonenumbers.is_possible_number(number):
            return digits
    return None


def _parse(value: str, region: str | None) -> PhoneNumber | None:
    if len(value) > _LONGEST:
        return None
    try:
        return phonenumbers.parse(value, region)
    except NumberParseException:
        return None


def _other(value: str) -> bool:
    """Whether it is rather a date, years, a decimal, thousands, a fraction, or a row of numbers."""
    groups = _GROUP.findall(value)
    sizes = [len(group) for group in groups]
    if len(groups) == 2 and "." in value or _QUAD.fullmatch(value):
        return True
    if len(groups) > 2 and sizes[0] < 3 and set(sizes[1:]) == {3} and value[0] not in "0(":
        return True
    if "/" in value and value[0] not in "0(":
        return True
    years = sum(1 for group in groups if _YEAR.fullmatch(group))
    if years and (
        years == len(groups) or max(sizes) == 4 and sorted(sizes)[-2:] in ([2, 4], [1, 4])
    ):
        return True
    return len(groups) > 2 and sizes.count(1) * 2 > len(groups) or _progresses(groups)


def _progresses(groups: Sequence[str]) -> bool:
    """Whether three numbers or more are a progression: by one step, or by one factor."""
    numbers = list(map(int, groups))
    pairs = list(pairwise(numbers))
    by_step = len({b - a for a, b in pairs}) == 1
    by_factor = all(b * numbers[0] == a * numbers[1] for a, b in pairs)
    return len(numbers) > 2 and (by_step or by_factor)
