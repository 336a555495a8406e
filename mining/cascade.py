"""The second stage of a detector: an encoder that is asked about what the first left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from mining.card import EncoderCard
from mining.encoder import Encoder
from mining.heuristics import Reading
from mining.sequence import is_in
from mining.verdict import dsat_share, probability


class NotAsked(StrEnum):
    """Why an encoder had no word in a verdict."""

    NO_ENCODER = "no_encoder"  # the detector has none
    SETTING = "setting"  # [mining] encoder = "never"
    CERTAIN = "certain"  # the first stage's probability is outside the card's `uncertain`
    LANGUAGE = "language"  # the follow-up is in none of the card's languages


@dataclass(frozen=True, slots=True)
class SecondStage:
    """An encoder, and when it is asked."""

    encoder: Encoder
    card: EncoderCard
    always: bool  # whatever the first stage says

    def revise(
        self,
        readings: Sequence[Reading],
        classes: npt.NDArray[np.float32],
        probabilities: npt.NDArray[np.float64],
    ) -> None:
        """Put both stages' word in place of the first's, in the rows where the encoder is asked.

        `classes`: [n, 7], `probabilities`: [n], of DSAT; both are changed in place.
        """
        rows = self.asked(readings, probabilities)
        if not len(rows):
            return
        second = self.encoder.predict([readings[row].follow_up for row in rows])
        shares = zip(dsat_share(classes[rows]).tolist(), dsat_share(second).tolist(), strict=True)
        for row, (first, read) in zip(rows, shares, strict=True):
            probabilities[row] = probability(readings[row], first, self.card.combiner, read)
        # What a category is told by: neither model is as good at it as both together.
        classes[rows] = np.sqrt(classes[rows] * second)

    def asked(
        self, readings: Sequence[Reading], probabilities: npt.NDArray[np.float64]
    ) -> list[int]:
        """The rows that the encoder is asked about."""
        low, high = self._open
        open_ = np.flatnonzero((probabilities >= low) & (probabilities <= high))
        known = self.card.languages
        return [row for row in open_.tolist() if is_in(readings[row].follow_up, known)]

    def why_not(self, reading: Reading, probability: float) -> NotAsked | None:
        """Why a follow-up is not `asked` about; None where it is."""
        low, high = self._open
        if not low <= probability <= high:
            return NotAsked.CERTAIN
        known = is_in(reading.follow_up, self.card.languages)
        return None if known else NotAsked.LANGUAGE

    @property
    def _open(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.always else self.card.uncertain
