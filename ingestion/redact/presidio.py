"""Names of persons and places, by Presidio: an optional stage after the rules.

The analyzer is built once a process (`load_presidio`), with its packages imported here only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Protocol

from ingestion.redact.placeholders import Placeholders, masked
from ingestion.redact.redactor import Redacted
from ingestion.redact.spans import Span, apart, replaced
from warehouse.errors import MissingExtra

ENTITIES = ("PERSON", "LOCATION")
MIN_SCORE = 0.5

# The model of Presidio's default configuration, which it would download where it is missing.
MODEL = "en_core_web_lg"

# Characters analysed at once; spaCy refuses texts of more than a million.
PIECE = 100_000


class Result(Protocol):
    """One entity, as presidio_analyzer.RecognizerResult: [start, end) in characters."""

    entity_type: str
    start: int
    end: int
    score: float


class Analyzer(Protocol):
    """What is used of presidio_analyzer.AnalyzerEngine."""

    supported_languages: Sequence[str]  # ISO 639-1

    def analyze(self, text: str, language: str, entities: list[str]) -> Sequence[Result]:
        """The entities of a text, in any order; they may overlap."""


class PresidioRedactor:
    """Replaces what an analyzer finds, in the languages that it knows."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    def redact(
        self, texts: Sequence[str], *, language: str | None, country: str | None
    ) -> Redacted:
        """As Redactor.redact; the texts of an unknown language come back as they are."""
        if language is None or language not in self._analyzer.supported_languages:
            return Redacted(list(texts), {})
        placeholders = Placeholders()
        done = []
        for text in texts:
            data = text.encode()
            placeholders.see(data)
            spans = self._spans(text, masked(data), language)
            done.append(replaced(data, spans, placeholders).decode())
        return Redacted(done, dict(placeholders.counts))

    def _spans(self, text: str, visible: bytes, language: str) -> list[Span]:
        found = []
        done = 0  # bytes
        for piece in _pieces(text):
            for result in self._analyzer.analyze(piece, language, list(ENTITIES)):
                start = done + len(piece[: result.start].encode())
                value = piece[result.start : result.end]
                end = start + len(value.encode())
                if result.score >= MIN_SCORE and b"\0" not in visible[start:end]:
                    found.append((result.score, Span(start, end, result.entity_type, value)))
            done += len(piece.encode())
        found.sort(key=lambda scored: (-scored[0], scored[1].start))
        return apart(span for _, span in found)


def _pieces(text: str) -> Iterator[str]:
    """Pieces of a text, cut at the end of a line, else between words, else anywhere."""
    at = 0
    while len(text) - at > PIECE:
        ends = (text.rfind(gap, at, at + PIECE) + 1 for gap in "\n ")
        end = next(filter(None, ends), at + PIECE)
        yield text[at:end]
        at = end
    yield text[at:]


def load_presidio() -> PresidioRedactor:
    """The stage, with Presidio's own defaults. Raises MissingExtra without its packages."""
    try:
        from presidio_analyzer import AnalyzerEngine
    except ImportError as error:
        raise MissingExtra(
            "[ingestion.redaction] presidio = true needs Presidio, which is not installed. "
            "Install it (pip install '.[presidio]'), or set it to false."
        ) from error
    if find_spec(MODEL) is None:
        raise MissingExtra(
            f"[ingestion.redaction] presidio = true needs spaCy's model {MODEL}, which is not "
            f"installed. Install it (python -m spacy download {MODEL}), or set it to false."
        )
    return PresidioRedactor(AnalyzerEngine())
