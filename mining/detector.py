"""A detector, ready to use: lexicon, classifier and card put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from mining import judge as judging
from mining import phrases
from mining.card import Card, Thresholds, read_card
from mining.cascade import SecondStage
from mining.classifier import Classifier, load_linear
from mining.conversations import FollowUp
from mining.encoder import load_encoder
from mining.heuristics import read
from mining.judge import Judge
from mining.options import Asked, JudgeOptions, MiningOptions
from mining.rules import Lexicon, load_lexicon
from mining.verdict import Verdict, dsat_share, judge, probability
from warehouse.errors import DetectorUnusable

MODELS = Path(__file__).parent / "models"


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

    def detect(self, follow_ups: Sequence[FollowUp]) -> list[Verdict]:
        """One verdict a follow-up, in order. Never raises on any text."""
        readings = [read(follow_up, self._lexicon) for follow_up in follow_ups]
        classes = self._classifier.predict(readings)
        shares = zip(readings, dsat_share(classes).tolist(), strict=True)
        p = np.array([probability(r, share, self._combiner) for r, share in shares])
        if self._second is not None:
            self._second.revise(readings, classes, p)
        if self._judge is not None:
            self._judge.revise(readings, classes, p)
        return list(judge(readings, classes, p, self.thresholds))


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
    """The card of the detector that the options name; with a judge it is another version.

    Raises DetectorUnusable.
    """
    card = read_card(folder_of(options))
    judge = judging.version(options.judge)
    version = f"{card.version}+{judge}" if judge else card.version
    return msgspec.structs.replace(card, version=version)


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
