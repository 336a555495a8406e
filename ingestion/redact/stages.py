"""The redaction that settings ask for: rules, and Presidio after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from ingestion.redact.options import RedactionOptions
from ingestion.redact.presidio import load_presidio
from ingestion.redact.redactor import Redacted, Redactor


class Redacts(Protocol):
    """A stage of redaction; see `Redactor.redact`."""

    def redact(
        self, texts: Sequence[str], *, language: str | None, country: str | None
    ) -> Redacted:
        """The texts of one conversation, redacted."""


class InTurn:
    """Several stages, each on what the one before it left."""

    def __init__(self, *stages: Redacts) -> None:
        self._stages = stages

    def redact(
        self, texts: Sequence[str], *, language: str | None, country: str | None
    ) -> Redacted:
        """As each stage does; counts of a kind are added up."""
        done = list(texts)
        counts: Counter[str] = Counter()
        for stage in self._stages:
            redacted = stage.redact(done, language=language, country=country)
            done = redacted.texts
            counts.update(redacted.counts)
        return Redacted(done, dict(counts))


def load_redactor(options: RedactionOptions) -> Redacts:
    """Built once a worker process. Raises MissingExtra where Presidio is asked for in vain."""
    rules = Redactor(options.kinds)
    return InTurn(rules, load_presidio()) if options.presidio else rules
