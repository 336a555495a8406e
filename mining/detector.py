"""A detector, ready to use: lexicon, classifier and card put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mining import judge as judging
from mining import phrases
from mining.card import Card, Thresholds, read_card
from mining.cascade import NotAsked, SecondStage
from mining.classifier import Classifier, load_linear
from mining.conversations import FollowUp
from mining.encoder import load_encoder
from mining.heuristics import Reading, read
from mining.judge import Judge
from mining.options import Asked, JudgeOptions, MiningOptions
from mining.rules import Lexicon, load_lexicon
from mining.verdict import Verdict, dsat_share, judge, probability
from warehouse.errors import DetectorUnusable
from warehouse.records import Category, Evidence

MODELS = Path(__file__).parent / "models"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of evidence, and what it speaks for."""

    evidence: Evidence
    category: Category | None  # None: a thumb, which speaks of the answer as a whole


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What one model says of a follow-up."""

    dsat: float  # its share of the categories of DSAT together, in [0, 1]; not calibrated
    classes: dict[Category, float]  # sum to 1


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """What each stage of a detector says of one follow-up."""

    rules: tuple[Rule, ...]  # rules first, then structural signs, then the thumb
    linear: Word
    first: float  # P(DSAT) of rules and linear model together
    encoder: Word | None
    not_asked: NotAsked | None  # why there is no word of the encoder; None where there is
    verdict: Verdict  # of all stages


class Detector:
    """Reads follow-ups and judges them."""

    def __init__(
        self,
        card: Card,
        lexicon: Lexicon,
        classifier: Classifier,
        thresholds: Thresholds,
        second: SecondStage | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.name = card.name
        self.version = card.version
        self.thresholds = thresholds
        self._combiner = card.combiner
        self._lexicon = lexicon
        self._classifier = classifier
        self._second = second
        self._judge = judge
        # Said only where there is no second stage.
        self._without = NotAsked.NO_ENCODER if card.encoder is None else NotAsked.SETTING

    def detect(self, follow_ups: Sequence[FollowUp]) -> list[Verdict]:
        """One verdict a follow-up, in order. Never raises on any text."""
        readings = [read(follow_up, self._lexicon) for follow_up in follow_ups]
        classes, p = self._first(readings)
        if self._second is not None:
            self._second.revise(readings, classes, p)
        if self._judge is not None:
            self._judge.revise(readings, classes, p)
        return list(judge(readings, classes, p, self.thresholds))

    def explain(self, follow_up: FollowUp) -> Stages:
        """What every stage says of one follow-up, and the verdict.

        As `detect` judges it, but for a judge: asking one costs money, and sends texts away.
        """
        reading = read(follow_up, self._lexicon)
        classes, p = self._first([reading])
        first, linear = float(p[0]), _word(classes)
        why_not: NotAsked | None = self._without
        encoder = None
        if self._second is not None:
            why_not = self._second.why_not(reading, first)
            if why_not is None:
                encoder = _word(self._second.encoder.predict([follow_up]))
            self._second.revise([reading], classes, p)
        (verdict,) = judge([reading], classes, p, self.thresholds)
        return Stages(
            rules=_rules(reading),
            linear=linear,
            first=first,
            encoder=encoder,
            not_asked=why_not,
            verdict=verdict,
        )

    def _first(
        self, readings: Sequence[Reading]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Classes [n, 7] and P(DSAT) [n], of rules and linear model."""
        classes = self._classifier.predict(readings)
        shares = zip(readings, dsat_share(classes).tolist(), strict=True)
        return classes, np.array([probability(r, share, self._combiner) for r, share in shares])


def _rules(reading: Reading) -> tuple[Rule, ...]:
    named = zip(reading.evidence, reading.categories, strict=True)
    found = [Rule(evidence=evidence, category=category) for evidence, category in named]
    return (*found, *(Rule(evidence=evidence, category=None) for evidence in reading.feedback))


def _word(classes: npt.NDArray[np.float32]) -> Word:
    """Of the only row of `classes`, [1, 7]."""
    shares = dict(zip(Category, classes[0].tolist(), strict=True))
    return Word(dsat=float(dsat_share(classes)[0]), classes=shares)


def load_detector(options: MiningOptions, account: str = "direct") -> Detector:
    """The detector that the options name, with their thresholds where they set any.

    `account`: whose budget a judge spends. Raises DetectorUnusable; where there is a judge also
    SettingsError and MissingExtra.
    """
    folder = folder_of(options)
    card = card_of(options)
    lexicon = load_lexicon(phrases.load)
    if lexicon.digest != card.lexicon:
        raise DetectorUnusable(
            f"{folder}: trained with other rules than this version's. Train it again with "
            "`driftmine detector train`."
        )
    return Detector(
        card,
        lexicon,
        load_linear(folder, card),
        thresholds_of(card, options),
        _second_stage(folder, card, options.encoder),
        _judge(options.judge, account),
    )


def _second_stage(folder: Path, card: Card, asked: Asked) -> SecondStage | None:
    if card.encoder is None or asked is Asked.NEVER:
        return None
    encoder = load_encoder(folder, card.encoder)
    return SecondStage(encoder, card.encoder, always=asked is Asked.ALWAYS)


def _judge(options: JudgeOptions, account: str) -> Judge | None:
    if not options.base_url:
        return None
    return Judge(judging.asker(options, account=account), options)


def card_of(options: MiningOptions) -> Card:
    """The card of the detector that the options name.

    With a judge, or with its encoder asked otherwise than by default, it is another version: rates
    of two settings are no more comparable than those of two detectors. Raises DetectorUnusable.
    """
    card = read_card(folder_of(options))
    settings = (_asked_otherwise(card, options.encoder), judging.version(options.judge))
    version = "+".join((card.version, *filter(None, settings)))
    return msgspec.structs.replace(card, version=version)


def _asked_otherwise(card: Card, asked: Asked) -> str:
    is_default = card.encoder is None or asked == MiningOptions().encoder
    return "" if is_default else f"encoder.{asked}"


def folder_of(options: MiningOptions) -> Path:
    """Where the detector lies: a shipped one by its name, any other by its path."""
    shipped = MODELS / options.detector
    return shipped if shipped.is_dir() else Path(options.detector)


def thresholds_of(card: Card, options: MiningOptions) -> Thresholds:
    """The card's thresholds, but for those that the options set."""
    chosen = {"report": options.threshold, "trainable": options.trainable_threshold}
    return msgspec.structs.replace(
        card.thresholds, **{k: v for k, v in chosen.items() if v is not None}
    )
