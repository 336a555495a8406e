"""What knows the truth, for comparison alone: a perfect detector and a simulated reward model."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from driftmine.sandbox.phrases import Kind
from driftmine.sandbox.product import Seen, known_by
from driftmine.sandbox.tasks import Task
from driftmine.sandbox.truth import faults
from mining.card import Card, Combiner, Thresholds
from mining.conversations import FollowUp
from mining.detector import Detector
from mining.job import Made
from mining.verdict import Verdict
from training.examples import Example
from warehouse.records import Category


def truth_of(*files: Path) -> list[Seen]:
    """The rows of some nights."""
    decoder = msgspec.json.Decoder(Seen)
    return [seen for file in files for seen in decoder.decode_lines(file.read_bytes())]


class TruthDetector(Detector):
    """Calls dissatisfied whoever was, satisfied whoever gave thanks, and nobody else."""

    def __init__(self, card: Card, known: Mapping[str, Category]) -> None:
        self.name = card.name
        self.version = card.version
        self.thresholds = card.thresholds
        self._known = known

    def detect(self, follow_ups: Sequence[FollowUp]) -> list[Verdict]:
        """One verdict a follow-up, in order."""
        return [self._verdict(one) for one in follow_ups]

    def _verdict(self, one: FollowUp) -> Verdict:
        # Unknown is what ingestion changed: a control character in an answer, say.
        exchange = known_by(one.user, one.answer, one.follow_up)
        category = self._known.get(exchange, Category.NEUTRAL)
        dissatisfied = category is Category.COMPLAINT
        return Verdict(category=category, probability=float(dissatisfied), evidence=())


@dataclass(frozen=True, slots=True)
class _Load:
    card: Card
    known: dict[str, Category]

    def __call__(self) -> Detector:
        return TruthDetector(self.card, self.known)


def perfect(seen: Sequence[Seen]) -> Made:
    """A detector that knows what users thought."""
    card = Card(
        name="truth",
        version="1",
        labels=tuple(Category),
        lexicon="",
        weights="",
        data={},
        rows=0,
        seed=0,
        combiner=Combiner(bias=0.0, classifier=1.0, evidence_for=0.0, evidence_against=0.0),
        thresholds=Thresholds(report=0.5, trainable=0.5),
        scores={},
        limits=("It is told the answer: for comparison alone.",),
    )
    known = {one.exchange: _category(one) for one in seen if one.exchange}
    return Made(card=card, load=_Load(card, known))


def _category(one: Seen) -> Category:
    if one.dissatisfied:
        return Category.COMPLAINT
    return Category.SAT if one.said is Kind.THANK else Category.NEUTRAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReward:
    """A reward model as good as real ones are: the faults of an answer, counted with an error.

    score = −faults + e, with e normal and of deviation `noise`, the same for the same answer. With
    a noise of 1 it prefers an answer with one fault less in Φ(1/√2) = 76% of all pairs.
    """

    tasks: Mapping[str, Task]  # what a prompt is known by -> what was asked
    noise: float
    seed: int
    name: str = "simulated-reward"

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """See `Scorer.score`."""
        return [
            [self._score(example, answer) for answer in some]
            for example, some in zip(examples, answers, strict=True)
        ]

    def _score(self, example: Example, answer: str) -> float:
        texts = [message.content for message in example.prompt]
        error = random.Random(f"{self.seed} {known_by(*texts, answer)}").gauss(0, self.noise)
        task = self.tasks.get(known_by(*texts))
        return error - len(faults(task, answer)) if task else math.nan
