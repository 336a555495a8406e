"""Whether dissatisfaction in the next turn foretells how the user rated the answer."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mining import metrics
from mining.conversations import FollowUp
from mining.detector import load_detector
from mining.fit import fit
from mining.metrics import Interval
from mining.options import MiningOptions
from warehouse.records import SignalKind

CHATS = "recllmsim-rated-chats.jsonl.gz"
OWN = Path(__file__).parents[1] / "mining" / "data"
LOW = 2  # of 5: an answer that displeased
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Rated:
    """An answer's rating, 1 to 5, and what the turn after it says."""

    user: str
    model: str
    rating: int
    p: float  # of DSAT in the turn after the answer
    called: bool


def ratings(folder: Path, work: Path) -> Iterable[dict[str, Any]]:
    """By model and over all, with a detector that was trained on no chat of that source."""
    if not (folder / CHATS).exists():
        return
    own = [OWN / "dsat-authored.jsonl", OWN / "dsat-written.jsonl"]
    others = sorted(folder.glob("dsat-labelled-redteam-*.jsonl"))
    fit([*own, *others], work / "without-ratings", seed=0)
    rows = judged(folder / CHATS, work / "without-ratings")
    models = defaultdict(list)
    for row in rows:
        models[row.model].append(row)
    for model, part in [*sorted(models.items()), ("all", rows)]:
        yield {"measure": "ratings", "model": model, "n": len(part)} | scores(part)


def judged(chats: Path, detector: Path) -> list[Rated]:
    pairs, texts = [], []
    with gzip.open(chats, "rt", encoding="utf-8") as lines:
        for line in lines:
            chat = json.loads(line)
            for rating, text in follow_ups(chat["messages"]):
                pairs.append((chat["user"], chat["model"], rating))
                texts.append(text)
    loaded = load_detector(MiningOptions(detector=str(detector)))
    verdicts = loaded.detect(texts)
    return [
        Rated(*pair, verdict.probability, verdict.signal is SignalKind.DSAT)
        for pair, verdict in zip(pairs, verdicts, strict=True)
    ]


def follow_ups(messages: list[dict[str, Any]]) -> Iterable[tuple[int, FollowUp]]:
    """The rated answers that a user's turn comes after, each with that turn."""
    asked: list[str] = []
    for before, here in zip(messages, messages[1:], strict=False):
        if before["role"] == "user":
            asked.append(before["content"])
        rated = before["role"] == "assistant" and before.get("rating") is not None
        if rated and here["role"] == "user" and asked:
            yield int(before["rating"]), FollowUp(
                user=asked[-1], answer=before["content"], follow_up=here["content"],
                earlier=tuple(asked[:-1]), language="zh",
            )  # fmt: skip


def scores(rows: list[Rated]) -> dict[str, Any]:
    """AUC for a low rating, the rate of DSAT, and the true share of low ratings."""
    low = np.array([row.rating <= LOW for row in rows], dtype=np.float64)
    p = np.array([row.p for row in rows])
    called = np.array([row.called for row in rows], dtype=np.float64)
    found = metrics.bootstrap(
        {
            "auc_low_rating": lambda w: metrics.roc_auc(low, p, w),
            "dsat_rate": lambda w: float(w @ called / w.sum()),
            "low_share": lambda w: float(w @ low / w.sum()),
        },
        [row.user for row in rows],
        resamples=RESAMPLES,
        seed=0,
    )
    return {name: spread(score) for name, score in found.items()}


def spread(score: Interval) -> list[float | None]:
    return [score.value, score.low, score.high]
