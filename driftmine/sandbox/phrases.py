"""What simulated users say: written for the sandbox, and never trained on by a detector."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files

import msgspec

from driftmine.sandbox.truth import Fault


class Kind(StrEnum):
    """What a user does with an answer, in words."""

    NAME = "name"  # names the fault
    REPEAT = "repeat"  # asks once more
    COMPLAIN = "complain"
    CHALLENGE = "challenge"  # doubts it
    SARCASM = "sarcasm"  # praises it, and does not mean that
    THANK = "thank"
    NEXT = "next"  # goes on with another request


class Phrase(msgspec.Struct, frozen=True, kw_only=True):
    """A row of phrases.jsonl. `text` may hold {request} and {n}, of the task."""

    id: str
    language: str
    kind: Kind
    fault: Fault | None = None  # of Kind.NAME
    text: str


class _Opening(msgspec.Struct, frozen=True, kw_only=True):
    language: str
    text: str


@cache
def phrases() -> Mapping[tuple[str, Kind, Fault | None], tuple[Phrase, ...]]:
    """(language, kind, fault) -> what there is to say."""
    found: dict[tuple[str, Kind, Fault | None], list[Phrase]] = {}
    for phrase in msgspec.json.Decoder(Phrase).decode_lines(_read("phrases.jsonl")):
        found.setdefault((phrase.language, phrase.kind, phrase.fault), []).append(phrase)
    return {key: tuple(some) for key, some in found.items()}


@cache
def openings() -> Mapping[str, tuple[str, ...]]:
    """Language -> what stands before a request, so that requests differ."""
    found: dict[str, list[str]] = {}
    for opening in msgspec.json.Decoder(_Opening).decode_lines(_read("openings.jsonl")):
        found.setdefault(opening.language, []).append(opening.text)
    return {language: tuple(some) for language, some in found.items()}


def _read(name: str) -> bytes:
    return (files("driftmine.sandbox") / "data" / name).read_bytes()
