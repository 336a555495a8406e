"""Speed and scores of the default detector.

    python bench/detector.py FOLDER    # of labelled *.jsonl files

Speed is in follow-ups per CPU second of one process, over the files' own follow-ups: rules
(`heuristics.read`), linear (`LinearClassifier.predict`), and all of `Detector.detect`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mining import phrases
from mining.card import read_card
from mining.classifier import load_linear
from mining.conversations import FollowUp
from mining.detector import folder_of, load_detector
from mining.evaluate import evaluate
from mining.heuristics import read
from mining.labelled import read_labelled
from mining.options import MiningOptions
from mining.rules import load_lexicon
from mining.scored import BATCH

ROUNDS = 5


def main(folder: Path) -> None:
    options = MiningOptions()
    detector = load_detector(options)
    labelled = {}
    for path in sorted(folder.glob("*.jsonl")):
        labelled[path.stem] = read_labelled(path)
    texts = [row.follow_up for rows in labelled.values() for row in rows]
    print(json.dumps({"follow_ups_per_cpu_second": speed(options, texts)}))
    for name, rows in labelled.items():
        found = evaluate(detector, rows, seed=0)
        scores = {key: [s.value, s.low, s.high] for key, s in found.scores.items()}
        print(json.dumps({"file": name, "n": found.n, "dsat": found.dsat, **scores}))


def speed(options: MiningOptions, texts: Sequence[FollowUp]) -> dict[str, int]:
    lexicon = load_lexicon(phrases.load)
    folder = folder_of(options)
    linear = load_linear(folder, read_card(folder))
    detector = load_detector(options)
    readings = [read(text, lexicon) for text in texts]
    batches = range(0, len(texts), BATCH)
    return {
        "rules": rate(len(texts), lambda: [read(text, lexicon) for text in texts]),
        "linear": rate(
            len(texts), lambda: [linear.predict(readings[at : at + BATCH]) for at in batches]
        ),
        "both": rate(
            len(texts), lambda: [detector.detect(texts[at : at + BATCH]) for at in batches]
        ),
    }


def rate(count: int, work: Callable[[], object]) -> int:
    """Follow-ups per CPU second: the median round, after one that warms the caches."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return round(count / sorted(seconds)[ROUNDS // 2])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
