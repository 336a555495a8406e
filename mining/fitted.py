"""What the stages of training a detector hand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mining.card import EncoderCard
from mining.heuristics import Reading
from warehouse.records import SignalKind

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStage:
    """What the first stage says of n training rows, by models that have not seen their groups."""

    readings: Sequence[Reading]
    shares: _Floats  # [n] of DSAT, by the linear model
    p: _Floats  # [n] of DSAT, calibrated
    truth: npt.NDArray[np.bool_]  # [n]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondStage:
    """A fine-tuned encoder, and what both stages together say of the training rows."""

    card: EncoderCard
    files: Mapping[str, bytes]  # path in the detector's folder -> content
    p: _Floats  # [n] of DSAT, calibrated, by models that have not seen the row's group
    always: _Floats  # [n] the same, were the encoder asked about every row that it knows


class OutOfFold(msgspec.Struct, frozen=True, kw_only=True):
    """What models that have not seen a training row's group say of it: probabilities of DSAT."""

    id: str
    file: str
    group: str
    language: str | None
    signal: SignalKind
    evidence: float  # log-odds: the heaviest evidence for it and against it
    linear: float  # the linear model alone
    first: float  # rules and linear model
    always: float  # and the encoder, were it asked about every row that it knows
    probability: float  # as the detector works


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """The encoder that is fine-tuned as a second stage."""

    base: str  # a folder, or a name that transformers knows
    epochs: float = 3.0
    learning_rate: float = 5e-5
    layers: int | None = None  # keep only so many of its layers; None: all
    languages: tuple[str, ...] = ("en",)  # ISO 639-1, that it is asked about; none: all
    kind: Literal["onnx", "transformers"] = "onnx"  # small and fast, or whole and for a GPU
