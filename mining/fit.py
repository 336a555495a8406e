"""Training a detector from labelled follow-ups. Needs the extra `detector`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mining import metrics, phrases
from mining.card import CARD, Card, Thresholds, digest
from mining.classifier import WEIGHTS
from mining.fit_linear import FOLDS, fit_first, folds
from mining.fitted import EncoderChoice, FirstStage, OutOfFold, SecondStage
from mining.heuristics import read
from mining.labelled import Labelled, read_files
from mining.rules import load_lexicon
from mining.verdict import strengths
from warehouse.durable import write_whole
from warehouse.errors import MissingExtra, SettingsError
from warehouse.records import Category, SignalKind

FORMAT = 2  # of features, combiner and stages: raised when one changes its meaning
UNFINISHED = "unfinished"  # folder of an encoder's training that goes on where it was
TRAINABLE_PRECISION = 0.9
# A threshold is believed only if so many rows lie above it.
TRAINABLE_ROWS = 20

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


def fit(
    labelled: Path | Sequence[Path],
    out: Path,
    *,
    seed: int,
    name: str = "",
    encoder: EncoderChoice | None = None,
    scores: Path | None = None,
    told: Callable[[str], object] = lambda _: None,
) -> Card:
    """Train on the labelled files, write weights and card into `out`, and return the card.

    Calibration and thresholds come from predictions out of fold: of models that have not seen
    the row's group. `name`: the detector's, else the folder's. `encoder`: also fine-tune a second
    stage, which takes minutes to hours; `told` is told how far it is. `scores`: also write there an
    `OutOfFold` line a row.

    Raises SettingsError, SourceUnavailable, MissingExtra.
    """
    paths = [labelled] if isinstance(labelled, Path) else list(labelled)
    files, rows = _read(paths)
    _check(rows)
    lexicon = load_lexicon(phrases.load)
    readings = [read(row.follow_up, lexicon) for row in rows]
    target = np.array([tuple(Category).index(row.category) for row in rows if row.category])
    fold = folds([row.group for row in rows], seed)
    classifier, combiner, first = fit_first(readings, target, fold)
    second = None
    if encoder is not None:
        second = _fit_second(encoder, rows, first, fold, seed, out / UNFINISHED, told)
    weights = classifier.dumps()
    truth, p = first.truth.astype(np.float64), first.p if second is None else second.p
    thresholds = choose_thresholds(truth, p)
    card = _versioned(
        name=name or out.resolve().name,
        labels=tuple(Category),
        lexicon=lexicon.digest,
        weights=digest(weights),
        data={path.name: digest(path.read_bytes()) for path in paths},
        rows=len(p),
        seed=seed,
        combiner=combiner,
        thresholds=thresholds,
        scores=_scores(truth, p, thresholds),
        limits=LIMITS,
        encoder=None if second is None else second.card,
    )
    _write(out, card, weights, second)
    if scores is not None:
        found = _out_of_fold(files, rows, first, second)
        write_whole(scores, msgspec.json.Encoder().encode_lines(found))
    return card


def _versioned(**fields: Any) -> Card:
    """A card whose version is a digest of everything that a verdict depends on.

    So verdicts of two versions are never mixed.
    """
    card = Card(version="", **fields)
    version = f"{FORMAT}.{digest(msgspec.json.encode(card))[:8]}"
    return msgspec.structs.replace(card, version=version)


def _read(paths: Sequence[Path]) -> tuple[list[str], list[Labelled]]:
    """The rows that annotators agree on, and the name of the file of each."""
    found = [(path.name, given.labelled) for path, given in read_files(paths)]
    agreed = [(name, row) for name, row in found if None not in (row.category, row.signal)]
    return [name for name, _ in agreed], [row for _, row in agreed]


def _out_of_fold(
    files: Sequence[str],
    rows: Sequence[Labelled],
    first: FirstStage,
    second: SecondStage | None,
) -> list[OutOfFold]:
    last = first.p if second is None else second.p
    always = first.p if second is None else second.always
    found = []
    for at, (name, row) in enumerate(zip(files, rows, strict=True)):
        assert row.category is not None
        _, weight_for, weight_against = strengths(first.readings[at], 0.5)
        found.append(
            OutOfFold(
                id=row.id,
                file=name,
                group=row.group,
                language=row.follow_up.language,
                signal=row.category.signal,
                evidence=weight_for + weight_against,
                linear=float(first.shares[at]),
                first=float(first.p[at]),
                always=float(always[at]),
                probability=float(last[at]),
            )
        )
    return found


def _fit_second(
    encoder: EncoderChoice,
    rows: Sequence[Labelled],
    first: FirstStage,
    fold: _Ints,
    seed: int,
    work: Path,
    told: Callable[[str], object],
) -> SecondStage:
    try:
        from mining.fit_encoder import fit_second
    except ImportError as error:
        raise MissingExtra(
            "fine-tuning an encoder needs torch, transformers and onnx: pip install "
            "'.[train,detector,etl]'."
        ) from error
    try:
        return fit_second(encoder, rows, first, fold=fold, seed=seed, work=work, told=told)
    except OSError as error:
        raise SettingsError(
            f"{encoder.base}: no encoder that transformers can load. Name a folder that holds "
            "config.json, tokenizer.json and model.safetensors."
        ) from error


def _write(out: Path, card: Card, weights: bytes, second: SecondStage | None) -> None:
    """The card last: until it is there, the folder is no detector."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / WEIGHTS, weights)
    for path, content in ({} if second is None else second.files).items():
        (out / path).parent.mkdir(exist_ok=True)
        write_whole(out / path, content)
    write_whole(out / CARD, msgspec.json.format(msgspec.json.encode(card)) + b"\n")
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def _check(rows: Sequence[Labelled]) -> None:
    signals = {row.signal for row in rows}
    groups = {row.group for row in rows}
    if SignalKind.DSAT not in signals or len(signals) < 2 or len(groups) < 2 * FOLDS:
        raise SettingsError(
            f"{len(rows)} labelled follow-ups in {len(groups)} conversations: too few to train "
            f"on. At least {2 * FOLDS} conversations are needed, with DSAT and other follow-ups."
        )


def choose_thresholds(truth: _Floats, p: _Floats) -> Thresholds:
    """Report: where F1 is best. Trainable: the lowest from there on that keeps the precision.

    Where no threshold keeps it, nothing is trainable: 1.
    """
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(truth[order])
    called = np.arange(1, len(p) + 1)
    # A threshold calls all rows that are as probable, or none of them.
    whole = np.append(np.diff(p[order]) != 0, True)
    best = int(np.argmax(np.where(whole, 2 * hits / (called + truth.sum()), -1)))
    enough = whole & (hits / called >= TRAINABLE_PRECISION) & (called >= TRAINABLE_ROWS)
    report = float(p[order[best]])
    if not enough.any():
        return Thresholds(report=report, trainable=1.0)
    # What is not called DSAT is not trained on, however precise it would be.
    return Thresholds(report=report, trainable=max(report, float(p[order[enough][-1]])))


def _scores(truth: _Floats, p: _Floats, thresholds: Thresholds) -> dict[str, float]:
    everything = np.ones(len(p))
    called = (p >= thresholds.report).astype(np.float64)
    sure = (p >= thresholds.trainable).astype(np.float64)
    scores = {
        "precision": metrics.precision(truth, called, everything),
        "recall": metrics.recall(truth, called, everything),
        "f1": metrics.f1(truth, called, everything),
        "roc_auc": metrics.roc_auc(truth, p, everything),
        "ece": metrics.ece(truth, p, everything),
        "recall_at_trainable": metrics.recall(truth, sure, everything),
    }
    return {key: round(value, 4) for key, value in scores.items()}


LIMITS = (
    "Thresholds and calibration hold for logs like the training data; check them on your own.",
    "It knows phrases and structure, not facts: a wrong answer that the user does not remark on "
    "is not found.",
    "The weights of the rules were counted on the same rows, so out-of-fold scores flatter a "
    "little.",
)
