"""The card of a detector: what it is, where it comes from, how it decides, how well it does."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from warehouse.errors import DetectorUnusable
from warehouse.records import Category

CARD = "card.json"


class Combiner(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Logistic weights that turn what was found into one calibrated log-odds."""

    bias: float
    classifier: float  # of the classifier's log-odds of DSAT; above 0
    evidence_for: float  # of the heaviest evidence for DSAT; 0 or above, as the next
    evidence_against: float  # of the heaviest evidence against, whose weight is below 0
    encoder: float = 0.0  # of the encoder's log-odds of DSAT; above 0 where it was asked


class EncoderCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second stage: an encoder, asked where the first is uncertain."""

    kind: Literal["onnx", "transformers"]  # what runs it
    base: str  # what was fine-tuned, as whoever trained it named it
    weights: str  # SHA-256 of encoder.onnx, or of encoder/model.safetensors
    tokenizer: str  # SHA-256 of tokenizer.json, beside the weights
    separator: str  # between request and answer
    languages: tuple[str, ...]  # ISO 639-1, that it is asked about; none: all
    uncertain: tuple[float, float]  # probabilities of the first stage between which it is asked
    combiner: Combiner  # of the first stage's log-odds and its own
    loss: dict[str, float]  # what quantizing cost: scores before and after, on rows held out


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probabilities from which a follow-up counts."""

    report: float  # as DSAT
    trainable: float  # as good enough to train on


class Card(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """card.json."""

    name: str
    version: str
    labels: tuple[Category, ...]  # the order of the classifier's outputs
    lexicon: str  # digest of the rules that it was trained with
    weights: str  # SHA-256 of the weights file
    data: dict[str, str]  # training file's name -> SHA-256
    rows: int
    seed: int
    combiner: Combiner
    thresholds: Thresholds
    scores: dict[str, float]  # out of fold, on the training data
    limits: tuple[str, ...]  # what it is not good for, in words
    encoder: EncoderCard | None = None  # None: there is no second stage


def digest(content: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def read_card(folder: Path) -> Card:
    """Raises DetectorUnusable where the folder has no card, or one of another shape."""
    path = folder / CARD
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except (OSError, msgspec.MsgspecError) as error:
        raise DetectorUnusable(
            f"{path}: no card of a detector ({error}). Name a folder that `driftmine detector "
            "train` has written."
        ) from error
    if card.labels != tuple(Category):
        raise DetectorUnusable(f"{path}: other categories than this version knows. Train it again.")
    return card
