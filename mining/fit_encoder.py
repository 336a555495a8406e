"""Training the second stage of a detector. Needs the extras `train` and `detector`."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mining import metrics
from mining.card import Combiner, EncoderCard, digest
from mining.encoder import TOKENIZER, WEIGHTS, WHOLE, OnnxEncoder, started
from mining.export import onnx_bytes, tokenizer_bytes, transformers_files
from mining.finetune import Recipe, finetune
from mining.fitted import EncoderChoice, FirstStage, SecondStage
from mining.labelled import Labelled
from mining.regression import logistic
from mining.transformer import TransformerEncoder
from mining.verdict import dsat_share, log_odds, probability, strengths
from warehouse.durable import write_whole
from warehouse.errors import SettingsError
from warehouse.records import Category

# Of the training rows, how many the encoder may be asked about: it takes a hundred times as long
# as the first stage, and a night has millions of follow-ups.
MOST_ASKED = 0.25
_STEPS = 40  # places that are tried for either end of the uncertain band

_Floats = npt.NDArray[np.float64]
Told = Callable[[str], object]


def fit_second(
    choice: EncoderChoice,
    rows: Sequence[Labelled],
    first: FirstStage,
    *,
    fold: npt.NDArray[np.int64],
    seed: int,
    work: Path,
    told: Told,
) -> SecondStage:
    """Fine-tune once a fold and once on all rows; learn when to ask and how to weigh what it says.

    `work`: a folder for what is done already, should this be interrupted. Raises OSError where
    the encoder cannot be loaded, SettingsError where it learns nothing.
    """
    recipe = Recipe(epochs=choice.epochs, layers=choice.layers, seed=seed)
    whole, small = _out_of_fold(choice, rows, fold, recipe, work, told)
    found = dsat_share(small if choice.kind == "onnx" else whole)
    known = (None, *choice.languages)
    asks = np.array([not choice.languages or row.follow_up.language in known for row in rows])
    combiner = _combine(first, found, asks)
    both = first.p.copy()
    for row in np.flatnonzero(asks).tolist():
        both[row] = probability(first.readings[row], first.shares[row], combiner, found[row])
    low, high = choose_band(first.p, both, first.truth)
    told("fine-tuning on all rows")
    model, tokenizer = _finetuned(choice.base, rows, recipe)
    files, weights, vocabulary = _files(choice, model, tokenizer)
    card = EncoderCard(
        kind=choice.kind,
        base=f"{Path(choice.base).name}, {choice.layers or 'all'} layers",
        weights=digest(files[weights]),
        tokenizer=digest(files[vocabulary]),
        separator=_separator(tokenizer),
        languages=choice.languages,
        uncertain=(low, high),
        combiner=combiner,
        loss=_loss(first.truth, whole, small) if choice.kind == "onnx" else {},
    )
    asked = (first.p >= low) & (first.p <= high)
    return SecondStage(card=card, files=files, p=np.where(asked, both, first.p))


def _files(choice: EncoderChoice, model: Any, tokenizer: Any) -> tuple[dict[str, bytes], str, str]:
    """Path -> content, and the paths of weights and tokenizer."""
    if choice.kind == "onnx":
        files = {WEIGHTS: onnx_bytes(model, tokenizer), TOKENIZER: tokenizer_bytes(tokenizer)}
        return files, WEIGHTS, TOKENIZER
    named = transformers_files(model, tokenizer)
    files = {f"{WHOLE}/{name}": content for name, content in named.items()}
    return files, f"{WHOLE}/model.safetensors", f"{WHOLE}/{TOKENIZER}"


def _out_of_fold(
    choice: EncoderChoice,
    rows: Sequence[Labelled],
    fold: npt.NDArray[np.int64],
    recipe: Recipe,
    work: Path,
    told: Told,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """[n, 7] of every row by an encoder that has not seen its group: whole, and quantized."""
    whole = np.zeros((len(rows), len(Category)), dtype=np.float32)
    small = np.zeros_like(whole)
    for held in range(int(fold.max()) + 1):
        told(f"fine-tuning without fold {held + 1} of {int(fold.max()) + 1}")
        out = np.flatnonzero(fold == held)
        seen = [row for row, of in zip(rows, fold, strict=True) if of != held]
        whole[out], small[out] = _read_by_another(
            choice, seen, [rows[at] for at in out.tolist()], recipe, work
        )
    return whole, small


def _read_by_another(
    choice: EncoderChoice,
    seen: Sequence[Labelled],
    held_out: Sequence[Labelled],
    recipe: Recipe,
    work: Path,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """[n, 7] of `held_out`, whole and quantized, by an encoder that was fine-tuned on `seen`.

    Kept in `work`: a training of hours that was interrupted goes on where it was.
    """
    known = msgspec.json.encode([choice, recipe, seen, held_out], order="sorted")
    path = work / f"{digest(known)[:16]}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            return kept["whole"], kept["small"]
    model, tokenizer = _finetuned(choice.base, seen, recipe)
    texts = [row.follow_up for row in held_out]
    whole = TransformerEncoder(model, tokenizer).predict(texts)
    small = _quantized(model, tokenizer).predict(texts) if choice.kind == "onnx" else whole
    work.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, whole=whole, small=small)
    write_whole(path, buffer.getvalue())
    return whole, small


def _finetuned(base: str, rows: Sequence[Labelled], recipe: Recipe) -> tuple[Any, Any]:
    labels = [row.category for row in rows if row.category is not None]
    return finetune(base, [row.follow_up for row in rows], labels, recipe)


def _quantized(model: Any, tokenizer: Any) -> OnnxEncoder:
    return started(onnx_bytes(model, tokenizer), tokenizer_bytes(tokenizer), _separator(tokenizer))


def _separator(tokenizer: Any) -> str:
    return tokenizer.sep_token or "\n"


def _combine(
    first: FirstStage, shares: npt.NDArray[np.floating], asks: npt.NDArray[np.bool_]
) -> Combiner:
    found = np.array(
        [
            (*strengths(reading, share), log_odds(read))
            for reading, share, read in zip(
                first.readings, first.shares.tolist(), shares.tolist(), strict=True
            )
        ]
    )
    model = logistic(1.0).fit(found[asks], first.truth[asks])
    classifier, weight_for, weight_against, encoder = (float(c) for c in model.coef_[0])
    if encoder <= 0:
        raise SettingsError(
            "the encoder finds nothing in these labels that holds for follow-ups it has not seen. "
            "Name another one, bring more labels, or train without."
        )
    return Combiner(
        bias=float(model.intercept_[0]),
        classifier=max(0.0, classifier),
        evidence_for=max(0.0, weight_for),
        evidence_against=max(0.0, weight_against),
        encoder=encoder,
    )


def choose_band(
    first: _Floats, both: _Floats, truth: npt.NDArray[np.bool_], most: float = MOST_ASKED
) -> tuple[float, float]:
    """The probabilities of the first stage between which asking the encoder pays most.

    All [n]. Of the bands that hold at most the share `most` of the rows: where log loss is least.
    """
    gains = _surprise(first, truth) - _surprise(both, truth)
    ends = np.quantile(first, np.linspace(0, 1, _STEPS + 1)).tolist()
    best, band = -np.inf, (0.5, 0.5)
    for low, high in combinations(ends, 2):
        inside = (first >= low) & (first <= high)
        if inside.mean() <= most and gains[inside].sum() > best:
            best, band = float(gains[inside].sum()), (low, high)
    return band


def _surprise(p: _Floats, truth: npt.NDArray[np.bool_]) -> _Floats:
    """Log loss, row by row."""
    kept = np.clip(np.where(truth, p, 1 - p), 1e-6, 1)
    return np.asarray(-np.log(kept))


def _loss(
    truth: npt.NDArray[np.bool_], whole: npt.NDArray[np.float32], small: npt.NDArray[np.float32]
) -> dict[str, float]:
    """ROC AUC out of fold before and after quantizing, and how far probabilities moved."""
    target, everything = truth.astype(np.float64), np.ones(len(truth))
    before, after = (dsat_share(found).astype(np.float64) for found in (whole, small))
    return {
        "roc_auc": round(metrics.roc_auc(target, before, everything), 4),
        "roc_auc_quantized": round(metrics.roc_auc(target, after, everything), 4),
        "mean_change": round(float(np.abs(before - after).mean()), 4),
    }
