"""Training the second stage of a detector. Needs the extras `train` and `detector`."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mining.card import Combiner, EncoderCard, digest
from mining.encoder import TOKENIZER, WEIGHTS, WHOLE, OnnxEncoder, started
from mining.export import onnx_bytes, tokenizer_bytes, transformers_files
from mining.finetune import Recipe, finetune
from mining.fit_band import choose_band, combine, loss
from mining.fitted import EncoderChoice, FirstStage, SecondStage
from mining.labelled import Labelled
from mining.sequence import is_in
from mining.transformer import TransformerEncoder
from mining.verdict import dsat_share, probability
from warehouse.durable import write_whole
from warehouse.records import Category

_Floats = npt.NDArray[np.float64]
Told = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """How an encoder serves as a second stage, by what it says out of fold."""

    combiner: Combiner
    uncertain: tuple[float, float]  # probabilities of the first stage where it is asked
    loss: dict[str, float]  # of quantizing it
    asks: npt.NDArray[np.bool_]  # [n] rows in a language that it is asked about
    always: _Floats  # [n] P(DSAT) where it is asked about all of them
    p: _Floats  # [n] P(DSAT) where it is asked about the uncertain ones


def learn(
    choice: EncoderChoice,
    rows: Sequence[Labelled],
    first: FirstStage,
    *,
    fold: npt.NDArray[np.int64],
    recipe: Recipe,
    work: Path,
    told: Told,
) -> Learned:
    """Fine-tune once a fold; learn when to ask and how to weigh what it says.

    `work`: a folder for what is done already, should this be interrupted. Raises OSError where
    the encoder cannot be loaded, SettingsError where it learns nothing.
    """
    asks = np.array([is_in(row.follow_up, choice.languages) for row in rows])
    known = [row for row, ask in zip(rows, asks, strict=True) if ask]
    whole, small = _out_of_fold(choice, known, fold[asks], recipe, work, told)
    read = np.full(len(rows), 0.5)
    read[asks] = dsat_share(small)
    combiner = combine(first, read, asks)
    always = first.p.copy()
    for row in np.flatnonzero(asks).tolist():
        always[row] = probability(first.readings[row], first.shares[row], combiner, read[row])
    low, high = choose_band(first.p, always, first.truth)
    asked = (first.p >= low) & (first.p <= high)
    return Learned(
        combiner=combiner,
        uncertain=(low, high),
        loss=loss(first.truth[asks], whole, small) if choice.kind == "onnx" else {},
        asks=asks,
        always=always,
        p=np.where(asked, always, first.p),
    )


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
    """`learn`, and then fine-tune on all rows. Raises as that does."""
    recipe = Recipe(
        epochs=choice.epochs, learning_rate=choice.learning_rate, layers=choice.layers, seed=seed
    )
    learned = learn(choice, rows, first, fold=fold, recipe=recipe, work=work, told=told)
    told("fine-tuning on all rows")
    known = [row for row, ask in zip(rows, learned.asks, strict=True) if ask]
    model, tokenizer = _finetuned(choice.base, known, recipe)
    files, weights, vocabulary = _files(choice, model, tokenizer)
    card = EncoderCard(
        kind=choice.kind,
        base=f"{Path(choice.base).name}, {choice.layers or 'all'} layers",
        weights=digest(files[weights]),
        tokenizer=digest(files[vocabulary]),
        separator=_separator(tokenizer),
        languages=choice.languages,
        uncertain=learned.uncertain,
        combiner=learned.combiner,
        loss=learned.loss,
    )
    return SecondStage(card=card, files=files, p=learned.p, always=learned.always)


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
