"""The encoder of the cascade: a small transformer, quantized, without torch.

It reads a follow-up together with what it replies to (`mining.sequence`), which the linear model
cannot, and takes a hundred times as long: it is asked only where that one is uncertain. ONNX
Runtime runs it; its file is read as bytes that the card vouches for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mining.card import EncoderCard, digest
from mining.conversations import FollowUp
from mining.sequence import MAX_TOKENS, pair
from warehouse.errors import DetectorUnusable, MissingExtra
from warehouse.records import Category

WEIGHTS = "encoder.onnx"
TOKENIZER = "tokenizer.json"
WHOLE = "encoder"  # folder of an encoder that transformers runs
INPUTS = ("input_ids", "token_type_ids", "attention_mask")

_Floats = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Anything that tells the categories apart by reading a follow-up in its context."""

    def predict(self, texts: Sequence[FollowUp], /) -> _Floats:
        """[n, 7] probabilities, in the order of `Category`; rows sum to 1."""


class OnnxEncoder:
    """A fine-tuned encoder in ONNX Runtime, on one thread: workers are one a core."""

    def __init__(self, session: Any, tokenizer: Any, separator: str) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._separator = separator
        self._inputs = [entry.name for entry in session.get_inputs()]

    def predict(self, texts: Sequence[FollowUp], /) -> _Floats:
        """See `Encoder.predict`.

        One by one: activations are quantized by the range of what is run together, and a verdict
        must not depend on what else the night holds. In batches it is no faster on a CPU.
        """
        found = np.zeros((len(texts), len(Category)), dtype=np.float32)
        for row, text in enumerate(texts):
            tokens = self._tokenizer.encode(*pair(text, self._separator))
            fields = (tokens.ids, tokens.type_ids, tokens.attention_mask)
            named = dict(zip(INPUTS, fields, strict=True))
            arrays = {name: np.array([named[name]], dtype=np.int64) for name in self._inputs}
            (found[row],) = self._session.run(None, arrays)[0]
        return softmax(found)


def softmax(logits: npt.NDArray[Any]) -> _Floats:
    """Rows of logits -> rows that sum to 1."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True), dtype=np.float32)


def load_encoder(folder: Path, card: EncoderCard) -> Encoder:
    """Read the encoder that `card` describes.

    Raises DetectorUnusable where a file is missing, is not the card's or cannot be run, and
    MissingExtra.
    """
    if card.kind == "onnx":
        weights = _content(folder / WEIGHTS, card.weights)
        return _onnx(folder, weights, _content(folder / TOKENIZER, card.tokenizer), card.separator)
    _content(folder / WHOLE / "model.safetensors", card.weights)
    _content(folder / WHOLE / TOKENIZER, card.tokenizer)
    try:
        from mining.transformer import load_transformer
    except ImportError as error:
        raise MissingExtra(
            f"{folder}: its encoder needs torch and transformers: pip install '.[train]'. "
            'Or go without: `encoder = "never"` in [mining].'
        ) from error
    return load_transformer(folder / WHOLE)


def _onnx(folder: Path, weights: bytes, vocabulary: bytes, separator: str) -> OnnxEncoder:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra(
            f"{folder}: its encoder needs onnxruntime: pip install '.[etl]'. Or go "
            'without: `encoder = "never"` in [mining].'
        ) from error
    try:
        return started(weights, vocabulary, separator)
    except Exception as error:  # ONNX Runtime and tokenizers raise bare exceptions of their own
        raise DetectorUnusable(
            f"{folder / WEIGHTS}: ONNX Runtime {onnxruntime.__version__} cannot run it "
            f"({type(error).__name__}). Train the detector again."
        ) from error


def started(weights: bytes, vocabulary: bytes, separator: str) -> OnnxEncoder:
    """An encoder of an ONNX file and a tokenizer.json, on one thread."""
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_str(vocabulary.decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first", direction="left")
    return OnnxEncoder(session, tokenizer, separator)


def _content(path: Path, wanted: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DetectorUnusable(
            f"{path}: cannot be read ({error.strerror}). Copy the detector's whole folder, or "
            "train it again."
        ) from error
    if digest(content) != wanted:
        raise DetectorUnusable(
            f"{path}: not the file that card.json describes. Copy all files from one training, "
            "or train it again."
        )
    return content
