"""Counting what a run found, from its files: the same whether it ran now or before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from warehouse.reading import columns
from warehouse.records import SignalKind
from warehouse.staging import StagedFile

UNKNOWN_MODEL = "unknown"


class ModelCount(msgspec.Struct, frozen=True, kw_only=True):
    """One model's answers."""

    follow_ups: int
    dsat: int


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one night by one detector."""

    conversations: int  # that hold a follow-up
    follow_ups: int
    signals: dict[str, int]
    dsat_by_category: dict[str, int]
    dsat_by_model: dict[str, ModelCount]
    trainable: int
    untrainable_by_reason: dict[str, int]


def tally(store: Path, files: Sequence[StagedFile]) -> Tally:
    """Count the rows of `signals` and `dsat_turns` files."""
    conversations: set[str] = set()
    signals: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    dsat: Counter[str] = Counter()
    names = ("conversation_id", "signal", "category", "model")
    for conversation, signal, category, model in _rows(store, files, "signals", names):
        conversations.add(conversation)
        signals[signal] += 1
        answers[model or UNKNOWN_MODEL] += 1
        if signal == SignalKind.DSAT:
            categories[category] += 1
            dsat[model or UNKNOWN_MODEL] += 1
    reasons = Counter(
        reason for (reason,) in _rows(store, files, "dsat_turns", ("untrainable_reason",))
    )
    return Tally(
        conversations=len(conversations),
        follow_ups=signals.total(),
        signals=dict(signals.most_common()),
        dsat_by_category=dict(categories.most_common()),
        dsat_by_model={
            model: ModelCount(follow_ups=count, dsat=dsat[model])
            for model, count in answers.most_common()
        },
        trainable=reasons[None],
        untrainable_by_reason={k: n for k, n in reasons.most_common() if k is not None},
    )


def _rows(
    store: Path, files: Iterable[StagedFile], table: str, names: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    for file in files:
        if file.table == table:
            for batch in columns(store, file, names):
                yield from zip(*(batch[name].to_pylist() for name in names), strict=True)
