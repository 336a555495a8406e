"""What logs write in many ways, in one: text, roles, times, languages, explicit feedback.

Nothing here raises on bad input: what cannot be read is None, and the caller decides.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata

from ingestion.languages import CODES
from warehouse.records import Role

# Escapes of a JSON string that no Parquet file or terminal should meet: surrogates that are no
# pair, and control characters other than \t \n \r. An even run of backslashes before an escape
# is text, so it is matched with it and kept. JSON allows none of these characters unescaped.
_ESCAPE = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\(?:"
    rb"(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|u00(?:0[0-8bcefBCEF]|1[0-9a-fA-F]|7[fF]|[89][0-9a-fA-F])|b|f)"
)
# What every such escape begins with: one look, where most lines have none.
_SUSPECT = re.compile(rb"\\(?:u00|[bf]|u[dD])")
# Controls that JSON lets through as they are: DEL and, in UTF-8, U+0080 to U+009F, of which some
# terminals obey U+009B as they do an escape.
_RAW_CONTROL = re.compile(rb"\x7f|\xc2[\x80-\x9f]")

_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), Role.USER),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "model"), Role.ASSISTANT),
    "function_call": Role.ASSISTANT,  # ShareGPT's; what it gave is an `observation`
    **dict.fromkeys(("system", "developer"), Role.SYSTEM),
    **dict.fromkeys(("tool", "function", "observation"), Role.TOOL),
}
_FLAGS = {
    **dict.fromkeys(("true", "yes", "1", "on"), True),
    **dict.fromkeys(("false", "no", "0", "off"), False),
}
_THUMBS = {
    **dict.fromkeys(("1", "up", "thumbs_up", "thumbsup", "like", "good", "positive"), 1),
    **dict.fromkeys(("-1", "down", "thumbs_down", "thumbsdown", "dislike", "bad", "negative"), -1),
}
# Epochs above this are milli-, micro- or nanoseconds: as seconds they lie beyond the year 5000.
_FINER = 1e11
# An epoch as text. Of so many digits some read as a date of ISO 8601 too: 17111231 2 1234.
_EPOCH = re.compile(r"[0-9]{9,}(\.[0-9]*)?")


def clean_line(line: bytes) -> bytes:
    r"""Make the strings of a JSON line storable, before it is parsed.

    Lone surrogate escapes become U+FFFD; control characters except \t, \n and \r are removed.
    """
    if b"\xc2" in line or b"\x7f" in line:
        line = _RAW_CONTROL.sub(b"", line)
    if b"\\" not in line or _SUSPECT.search(line) is None:
        return line
    return _ESCAPE.sub(_mend, line)


def _mend(match: re.Match[bytes]) -> bytes:
    backslashes, pair, lone = match.groups()
    if pair:
        return match[0]
    return bytes(backslashes) + (rb"\ufffd" if lone else b"")


def text(content: str) -> str:
    """A message as it is stored: Unicode NFC, so that what looks the same is the same."""
    return content if content.isascii() else unicodedata.normalize("NFC", content)


def role(name: str) -> Role | None:
    """The role that a log calls `name`, or None where nobody knows it."""
    return _ROLES.get(name) or _ROLES.get(name.strip().lower())


def timestamp(value: object) -> dt.datetime | None:
    """Epoch seconds (or milli-, micro-, nanoseconds) or ISO 8601 (without a zone: UTC) -> UTC."""
    if isinstance(value, str):
        return _from_text(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value)
    return None


def _from_text(text: str) -> dt.datetime | None:
    if _EPOCH.fullmatch(text):
        return _from_epoch(float(text))
    try:
        moment = dt.datetime.fromisoformat(text.removesuffix(" UTC"))
        return moment.replace(tzinfo=moment.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return _from_epoch(number) if (number := _number(text)) is not None else None


def _from_epoch(value: float) -> dt.datetime | None:
    try:
        for _ in range(3):
            value = value / 1000 if abs(value) > _FINER else value
        return dt.datetime.fromtimestamp(value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def language(value: object) -> str | None:
    """A language's name or code ("English", "en-US", "zh_Hans") -> ISO 639-1, or None."""
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    return CODES.get(text) or CODES.get(text.replace("_", "-").partition("-")[0])


def thumb(value: object) -> int | None:
    """A thumb as logs write it (1, "up", true, "dislike") -> 1, -1 or None."""
    if isinstance(value, bool):
        return 1 if value else -1
    return _THUMBS.get(_word(value))


def flag(value: object) -> bool | None:
    """Yes or no as logs write it (true, "yes", 1, "0"), or None."""
    if isinstance(value, bool):
        return value
    return _FLAGS.get(_word(value))


def _word(value: object) -> str:
    """Text or a whole number as one of the tables above has it; "" for everything else."""
    if isinstance(value, float) and value.is_integer():  # what a table with gaps makes of numbers
        value = int(value)
    return str(value).strip().lower() if isinstance(value, str | int) else ""


def rating(value: object) -> float | None:
    """A rating as a number, on its source's own scale."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return _number(value)
    return None


def _number(value: str | float) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
