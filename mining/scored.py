"""A detector's verdicts on a file of follow-ups, and what can be read off them row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from mining.card import Thresholds
from mining.detector import Detector
from mining.labelled import Labelled
from mining.metrics import Array
from mining.verdict import Verdict
from warehouse.durable import write_whole
from warehouse.records import Category, SignalKind

BATCH = 256  # follow-ups at once
MISTAKES = 20
SHOWN = 600  # characters of a text

Judged = tuple[Labelled, Verdict]


class RowScore(msgspec.Struct, frozen=True, kw_only=True):
    """What the detector says of one row."""

    id: str
    probability: float
    signal: SignalKind
    category: Category


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """A row that the detector got wrong. Texts are cut to `SHOWN` characters."""

    id: str
    probability: float  # that it is DSAT, the detector thinks
    signal: SignalKind  # by its label, as the next
    label: Category | None
    called: Category  # by the detector
    language: str | None
    source: str | None
    user: str
    assistant: str
    follow_up: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Every row of a file with its verdict, in order."""

    detector: str
    version: str
    thresholds: Thresholds
    rows: Sequence[Labelled]
    verdicts: Sequence[Verdict]

    @property
    def labelled(self) -> bool:
        """Whether any row says what is true."""
        return any(row.signal is not None for row in self.rows)

    def measured(self) -> list[Judged]:
        """The rows that scores are of: those with a signal, or all where none has one."""
        pairs = zip(self.rows, self.verdicts, strict=True)
        labelled = self.labelled
        return [(row, verdict) for row, verdict in pairs if row.signal is not None or not labelled]


def score(detector: Detector, rows: Sequence[Labelled]) -> Scored:
    """Let the detector judge all rows."""
    texts = [row.follow_up for row in rows]
    starts = range(0, len(texts), BATCH)
    return Scored(
        detector=detector.name,
        version=detector.version,
        thresholds=detector.thresholds,
        rows=rows,
        verdicts=[v for at in starts for v in detector.detect(texts[at : at + BATCH])],
    )


def write_scores(scored: Scored, out: Path) -> None:
    """Write a `RowScore` line for every row, in order, also for those without a signal."""
    lines = [
        RowScore(
            id=row.id,
            probability=verdict.probability,
            signal=verdict.signal,
            category=verdict.category,
        )
        for row, verdict in zip(scored.rows, scored.verdicts, strict=True)
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, msgspec.json.Encoder().encode_lines(lines))


def probabilities(part: Sequence[Judged]) -> Array:
    """P(DSAT), [n]."""
    return np.array([verdict.probability for _, verdict in part], dtype=np.float64)


def truth(part: Sequence[Judged]) -> Array:
    """1 where the label says DSAT, else 0, [n]."""
    return np.array([row.signal is SignalKind.DSAT for row, _ in part], dtype=np.float64)


def mistakes(part: Sequence[Judged], most: int = MISTAKES) -> tuple[Mistake, ...]:
    """The wrong calls of DSAT or not that were surest, the surest first."""
    wrong = [
        (abs(verdict.probability - (row.signal is SignalKind.DSAT)), row, verdict)
        for row, verdict in part
        if (verdict.signal is SignalKind.DSAT) != (row.signal is SignalKind.DSAT)
    ]
    wrong.sort(key=lambda found: (-found[0], found[1].id))
    return tuple(_mistake(row, verdict) for _, row, verdict in wrong[:most])


def _mistake(row: Labelled, verdict: Verdict) -> Mistake:
    assert row.signal is not None
    return Mistake(
        id=row.id,
        probability=round(verdict.probability, 4),
        signal=row.signal,
        label=row.category,
        called=verdict.category,
        language=row.follow_up.language,
        source=row.source,
        user=shortened(row.follow_up.user),
        assistant=shortened(row.follow_up.answer),
        follow_up=shortened(row.follow_up.follow_up),
    )


def shortened(text: str, most: int = SHOWN) -> str:
    """At most so many characters: two thirds from the start, the rest from the end."""
    if len(text) <= most:
        return text
    gap = " […] "
    head = (most - len(gap)) * 2 // 3
    return text[:head] + gap + text[head + len(gap) - most :]
