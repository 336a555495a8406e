"""How well detectors find dissatisfaction, and how fast.

    python bench/detector.py FOLDER [--encoder MODEL] [--work FOLDER]

FOLDER holds the labelled files dsat-*.jsonl and, if there, recllmsim-rated-chats.jsonl.gz. Trained
is on those and on the project's own written examples, but for dsat-gold-dev.jsonl:

files     five-fold, split by group (docs/detection.md): each row is judged by models that have not
          seen its group. The combiner (four numbers) and the thresholds are fitted to these
          same predictions. dsat-gold-dev and dsat-apart, which no model here has seen, are judged
          by the detector that was trained on all the others.
stages    rules alone, linear model alone, both, and with the encoder, by file and by language.
ratings   whether DSAT foretells that the user rated the answer 2 or less of 5, by model, by a
          detector that was not trained on chats of that source.
speed     follow-ups per CPU second of one process, over the follow-ups of all files.

One JSON object a line. Intervals are 95%, bootstrapped by group. --work keeps the trained
detector, and what was done of one that was interrupted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from detector_ratings import ratings
from detector_speed import speed

from mining import metrics
from mining.card import read_card
from mining.detector import load_detector
from mining.evaluate import evaluate
from mining.fit import choose_thresholds, fit
from mining.fitted import EncoderChoice, OutOfFold
from mining.labelled import read_labelled
from mining.options import Asked, MiningOptions
from warehouse.records import SignalKind

OWN = Path(__file__).parents[1] / "mining" / "data"
APART = ("dsat-gold-dev.jsonl", "dsat-apart.jsonl")  # never trained on here
STAGES = ("evidence", "linear", "first", "always", "probability")
RESAMPLES = 1000


def training_files(folder: Path) -> list[Path]:
    """What is trained on: the written examples once, wherever they lie."""
    shared = [p for p in sorted(folder.glob("dsat-labelled-*.jsonl")) if p.name not in APART]
    return [*(OWN / name for name in ("dsat-authored.jsonl", "dsat-written.jsonl")), *shared]


def apart_files(folder: Path) -> list[Path]:
    return [path for path in (folder / APART[0], OWN / APART[1]) if path.exists()]


# ---- scores ----------------------------------------------------------------------------------


def out_of_fold(rows: Sequence[OutOfFold], stage: str) -> dict[str, Any]:
    """Scores of one stage over some rows; F1 at its own best threshold over them."""
    truth = np.array([row.signal is SignalKind.DSAT for row in rows], dtype=np.float64)
    p = np.array([getattr(row, stage) for row in rows], dtype=np.float64)
    if truth.min() == truth.max():
        return {"n": len(rows), "dsat": int(truth.sum())}
    best = choose_thresholds(truth, p).report
    called = (p >= best).astype(np.float64)
    scores: dict[str, metrics.Score] = {
        "roc_auc": lambda weight: metrics.roc_auc(truth, p, weight),
        "best_f1": lambda weight: metrics.f1(truth, called, weight),
    }
    found = metrics.bootstrap(scores, [row.group for row in rows], resamples=RESAMPLES, seed=0)
    return {"n": len(rows), "dsat": int(truth.sum())} | {
        name: [score.value, score.low, score.high] for name, score in found.items()
    }


def by_stage(rows: Sequence[OutOfFold], **what: str) -> Iterable[dict[str, Any]]:
    """A line a stage, without those that say the same as the one before."""
    for stage, before in zip(STAGES, ("", *STAGES), strict=False):
        if before and all(getattr(row, stage) == getattr(row, before) for row in rows):
            continue
        yield {"measure": "stages", **what, "stage": stage} | out_of_fold(rows, stage)


def at_thresholds(rows: Sequence[OutOfFold], folder: Path, file: str) -> dict[str, Any]:
    """Scores of the whole detector, at the thresholds of its card."""
    limits = read_card(folder).thresholds
    truth = np.array([row.signal is SignalKind.DSAT for row in rows], dtype=np.float64)
    p = np.array([row.probability for row in rows])
    called, sure = ((p >= limit).astype(np.float64) for limit in (limits.report, limits.trainable))
    scores: dict[str, metrics.Score] = {
        "precision": lambda w: metrics.precision(truth, called, w),
        "recall": lambda w: metrics.recall(truth, called, w),
        "f1": lambda w: metrics.f1(truth, called, w),
        "roc_auc": lambda w: metrics.roc_auc(truth, p, w),
        "ece": lambda w: metrics.ece(truth, p, w),
        "precision_at_trainable": lambda w: metrics.precision(truth, sure, w),
        "recall_at_trainable": lambda w: metrics.recall(truth, sure, w),
    }
    found = metrics.bootstrap(scores, [row.group for row in rows], resamples=RESAMPLES, seed=0)
    return {"measure": "files", "file": file, "n": len(rows), "dsat": int(truth.sum())} | {
        name: [score.value, score.low, score.high] for name, score in found.items()
    }


def cross_validated(folder: Path, scores: Path) -> Iterable[dict[str, Any]]:
    rows = msgspec.json.Decoder(OutOfFold).decode_lines(scores.read_bytes())
    lines = [line for path in OWN.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    minimal = {row["id"] for row in map(json.loads, lines) if "pair" in row}
    files, languages = defaultdict(list), defaultdict(list)
    for row in rows:
        files[row.file].append(row)
        languages[row.language or "unknown"].append(row)
        if row.id in minimal:
            files["minimal sets"].append(row)
    for name, part in sorted(files.items()):
        yield at_thresholds(part, folder, name)
        yield from by_stage(part, file=name)
    for language, part in sorted(languages.items()):
        yield from by_stage(part, language=language)


def unseen(folder: Path, path: Path) -> Iterable[dict[str, Any]]:
    """Files that the detector was not trained on, with and without its encoder."""
    rows = read_labelled(path)
    for asked in Asked if read_card(folder).encoder else (Asked.NEVER,):
        detector = load_detector(MiningOptions(detector=str(folder), encoder=asked))
        found = evaluate(detector, rows, seed=0)
        scores = {name: [s.value, s.low, s.high] for name, s in found.scores.items()}
        yield {
            "measure": "files", "file": path.name, "encoder": asked, "n": found.n,
            "dsat": found.dsat, **scores,
        }  # fmt: skip


# ---- the command line ------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="", help="folder or name of one to fine-tune")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--work", type=Path, help="keep what is trained here")
    return parser


def main() -> None:
    args = parser().parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = args.work or Path(scratch)
        out, scores = work / "detector", work / "out-of-fold.jsonl"
        if not (scores.exists() and (out / "card.json").exists()):
            choice = EncoderChoice(base=args.encoder, epochs=args.epochs, layers=args.layers)
            fit(
                training_files(args.folder), out, seed=0, scores=scores,
                encoder=choice if args.encoder else None,
                told=lambda what: print(json.dumps({"progress": what}), flush=True),
            )  # fmt: skip
        for line in cross_validated(out, scores):
            print(json.dumps(line), flush=True)
        for path in apart_files(args.folder):
            for line in unseen(out, path):
                print(json.dumps(line), flush=True)
        for line in ratings(args.folder, work):
            print(json.dumps(line), flush=True)
        print(json.dumps({"measure": "speed", **speed(out, args.folder)}))


if __name__ == "__main__":
    main()
