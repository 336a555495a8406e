"""Settings of redaction: section [ingestion.redaction] of driftmine.toml."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What rules find. Where two overlap, the kind that comes first here keeps its whole span."""

    SECRET = "SECRET"
    EMAIL = "EMAIL"
    IBAN = "IBAN"
    CARD = "CARD"
    NATIONAL_ID = "NATIONAL_ID"
    IP = "IP"
    PHONE = "PHONE"
    ADDRESS = "ADDRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionOptions:
    """What is replaced by placeholders before anything is stored (docs/redaction.md)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kinds: tuple[Kind, ...] = tuple(Kind)
    presidio: bool = False  # also names and places, by Presidio: the extra `presidio`
