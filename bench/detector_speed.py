"""How many follow-ups per CPU second of one process each stage of a detector reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mining import phrases
from mining.card import read_card
from mining.classifier import load_linear
from mining.detector import load_detector
from mining.encoder import load_encoder
from mining.heuristics import read
from mining.labelled import read_labelled
from mining.options import Asked, MiningOptions
from mining.rules import load_lexicon
from mining.scored import BATCH
from mining.sequence import is_in

ROUNDS = 5
ENCODED = 1_000  # follow-ups that the encoder is timed over


def speed(folder: Path, data: Path) -> dict[str, Any]:
    """Of the detector in `folder`, over the follow-ups of the labelled files in `data`."""
    texts = [row.follow_up for path in sorted(data.glob("*.jsonl")) for row in read_labelled(path)]
    lexicon, card = load_lexicon(phrases.load), read_card(folder)
    linear = load_linear(folder, card)
    readings = [read(text, lexicon) for text in texts]
    starts = range(0, len(texts), BATCH)

    def detected(asked: Asked) -> int:
        detector = load_detector(MiningOptions(detector=str(folder), encoder=asked))
        return rate(len(texts), lambda: [detector.detect(texts[at : at + BATCH]) for at in starts])

    found: dict[str, Any] = {
        "rules": rate(len(texts), lambda: [read(text, lexicon) for text in texts]),
        "linear": rate(
            len(texts), lambda: [linear.predict(readings[at : at + BATCH]) for at in starts]
        ),
        "both": detected(Asked.NEVER),
    }
    if card.encoder is not None:
        encoder = load_encoder(folder, card.encoder)
        known = [text for text in texts if is_in(text, card.encoder.languages)]
        some = known[:: max(1, len(known) // ENCODED)]
        found["encoder"] = rate(len(some), lambda: encoder.predict(some))
        found["cascade"] = detected(Asked.UNCERTAIN)
    return found | {"n": len(texts), "rounds": ROUNDS}


def rate(count: int, work: Callable[[], object]) -> list[int]:
    """Per CPU second: the median round, the slowest, the fastest; one before warms the caches."""
    work()
    rates = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        rates.append(round(count / (time.process_time() - start)))
    rates.sort()
    return [rates[ROUNDS // 2], rates[0], rates[-1]]
