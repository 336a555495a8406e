"""An encoder as transformers loads it: any that classifies sequence pairs, on a GPU or not.

The weights are safetensors, and no code of a model's own is run. Needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
)
from transformers.utils import logging

from mining.conversations import FollowUp
from mining.sequence import MAX_TOKENS, pair
from warehouse.errors import DetectorUnusable
from warehouse.records import Category

BATCH = 64  # follow-ups at once, of about one length


class TransformerEncoder:
    """A model of transformers' and its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer

    def predict(self, texts: Sequence[FollowUp], /) -> npt.NDArray[np.float32]:
        """See `mining.encoder.Encoder.predict`."""
        rows = tokenized(self._tokenizer, texts)
        order = sorted(range(len(rows)), key=lambda row: len(rows[row]["input_ids"]))
        found = torch.zeros(len(rows), len(Category))
        collate = DataCollatorWithPadding(self._tokenizer)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                some = order[start : start + BATCH]
                inputs = collate([rows[row] for row in some]).to(self._model.device)
                found[some] = self._model(**inputs).logits.float().softmax(dim=-1).cpu()
        return np.asarray(found.numpy())


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its reports and progress bars: what it says is said by the caller."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_transformer(folder: Path) -> TransformerEncoder:
    """Raises DetectorUnusable for a folder that holds no such model, or one of other labels."""
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
    except (OSError, ValueError, KeyError) as error:
        raise DetectorUnusable(
            f"{folder}: no encoder that transformers can load ({type(error).__name__}). Copy the "
            "detector's whole folder, or train it again."
        ) from error
    labels = [model.config.id2label[at] for at in sorted(model.config.id2label)]
    if labels != list(Category):
        raise DetectorUnusable(
            f"{folder}: its labels are {labels}, and a detector's are {list(Category)}, in this "
            "order. Train it with `driftmine detector train --encoder`."
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TransformerEncoder(model.eval().to(device), tokenizer)


def tokenized(tokenizer: Any, texts: Sequence[FollowUp]) -> list[dict[str, Any]]:
    """Token ids of each follow-up's pair, and what else the encoder takes."""
    tokenizer.truncation_side = "left"
    pairs = [pair(text, tokenizer.sep_token or "\n") for text in texts]
    tokens = tokenizer(
        [first for first, _ in pairs],
        [second for _, second in pairs],
        truncation="longest_first",
        max_length=MAX_TOKENS,
    )
    names = [name for name in tokens if name in tokenizer.model_input_names]
    return [{name: tokens[name][row] for name in names} for row in range(len(pairs))]
