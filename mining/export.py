"""A fine-tuned encoder as files: as transformers writes it, or small and without torch.

The small one is ONNX in 8-bit integers. Weights are quantized by channel and activations as they
come (dynamic quantization): no data is needed for it, and a quarter of the bytes is left. Needs
the extras `train` and `detector`.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from mining.encoder import INPUTS
from warehouse.errors import MissingExtra

OPSET = 17


class _Logits(torch.nn.Module):
    """Takes its inputs by position and returns the logits alone, as an exporter wants it."""

    def __init__(self, model: Any, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self._model = model
        self._inputs = inputs

    def forward(self, *tensors: torch.Tensor) -> Any:
        """[n, tokens] each -> [n, 7]."""
        return self._model(**dict(zip(self._inputs, tensors, strict=True))).logits


def tokenizer_bytes(tokenizer: Any) -> bytes:
    """tokenizer.json."""
    return str(tokenizer.backend_tokenizer.to_str()).encode()


def transformers_files(model: Any, tokenizer: Any) -> dict[str, bytes]:
    """Name -> content of all that transformers needs to load both."""
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch, max_shard_size="100GB")
        tokenizer.save_pretrained(scratch)
        return {path.name: path.read_bytes() for path in sorted(Path(scratch).iterdir())}


def onnx_bytes(model: Any, tokenizer: Any) -> bytes:
    """The model as an ONNX file in 8-bit integers, for any number of rows and tokens.

    Raises MissingExtra.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingExtra(
            "exporting an encoder needs onnx and onnxruntime: pip install '.[detector]'."
        ) from error
    inputs = tuple(name for name in INPUTS if name in tokenizer.model_input_names)
    with tempfile.TemporaryDirectory() as scratch:
        whole, ready, small = (Path(scratch) / f"{name}.onnx" for name in ("a", "b", "c"))
        _export(model, inputs, whole)
        quant_pre_process(whole, ready, skip_symbolic_shape=True)
        quantize_dynamic(ready, small, weight_type=QuantType.QInt8, per_channel=True)
        return small.read_bytes()


def _export(model: Any, inputs: tuple[str, ...], path: Path) -> None:
    ids = torch.ones((2, 8), dtype=torch.int64)
    example = tuple(torch.zeros_like(ids) if name == "token_type_ids" else ids for name in inputs)
    model.set_attn_implementation("eager")  # the exporter cannot write PyTorch's fused attention
    axes = {name: {0: "rows", 1: "tokens"} for name in inputs} | {"logits": {0: "rows"}}
    with warnings.catch_warnings(), torch.no_grad():
        # The newer exporter fixes the number of tokens; the older one says that it is old.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Logits(model.eval(), inputs),
            example,
            path,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
