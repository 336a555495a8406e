"""Prompts as data: a TOML file, versioned by its name, into which one JSON object is put.

Texts of users are content, whatever they say: they stand in JSON strings, in which a quote, a
line break, an angle bracket or another delimiter is an escape, so none can end its field.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

PLACE = "{input}"
# Besides what JSON escapes: the brackets of the delimiters, and what some readers take for a line
# break.
_ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\x7f\x85\u2028\u2029"}


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a model. A changed wording is a new file with a new id."""

    id: str
    system: str
    user: str  # holds PLACE once
    repair: str  # said where the reply has another shape
    digest: str  # SHA-256 of the file

    def messages(self, data: str) -> list[dict[str, str]]:
        """The chat that asks about `data`, which `as_data` made."""
        return [
            {"role": "system", "content": self.system},
            {"role": "user", "content": self.user.replace(PLACE, data)},
        ]


def read_prompt(path: Path) -> Prompt:
    """A prompt that is shipped with the code, by its file."""
    raw = path.read_bytes()
    texts = tomllib.loads(raw.decode("utf-8"))
    prompt = Prompt(id=path.stem, digest=hashlib.sha256(raw).hexdigest(), **texts)
    assert prompt.user.count(PLACE) == 1, f"{path}: {PLACE} must stand in `user` once"
    return prompt


def as_data(fields: Mapping[str, object]) -> str:
    """One JSON object on one line, in which no text can end its field or the delimiters."""
    return json.dumps(fields, ensure_ascii=False).translate(_ESCAPED)
