"""Fine-tuning an encoder on labelled follow-ups. Needs the extra `train`.

The encoder reads a follow-up as a sequence pair (`mining.sequence`) and tells the seven categories
apart. Beside the loss over them stands one of the only question that most users ask, DSAT or not,
so that a row between two DSAT categories pulls neither way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from mining.conversations import FollowUp
from mining.transformer import quiet, tokenized
from warehouse.records import Category, SignalKind

_DSAT = torch.tensor([category.signal is SignalKind.DSAT for category in Category])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an encoder is fine-tuned."""

    epochs: float = 3.0
    learning_rate: float = 5e-5  # falls linearly to 0 after a warm-up over a tenth of the steps
    batch_size: int = 16
    weight_decay: float = 0.01
    binary_loss: float = 1.0  # weight of the loss over DSAT or not
    layers: int | None = None  # keep only so many, evenly spaced; None: all
    seed: int = 0


def finetune(
    base: str, texts: Sequence[FollowUp], labels: Sequence[Category], recipe: Recipe
) -> tuple[Any, Any]:
    """Fine-tune `base`, a folder or a name -> model and tokenizer.

    On a GPU where there is one. Raises OSError where `base` cannot be loaded.
    """
    set_seed(recipe.seed)
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(base)
        model = new_model(base, recipe)
    order = {category: at for at, category in enumerate(Category)}
    rows = [
        {**tokens, "labels": order[label]}
        for tokens, label in zip(tokenized(tokenizer, texts), labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as scratch, quiet():
        trainer = Trainer(
            model=model,
            args=_arguments(recipe, Path(scratch)),
            train_dataset=rows,
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_loss_func=_loss(recipe.binary_loss),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        # Without the wrapper that computes in bf16: scored and exported is the model itself.
        model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return model.eval().cpu(), tokenizer


def new_model(base: str, recipe: Recipe) -> Any:
    """An encoder with a new head over the categories."""
    config = AutoConfig.from_pretrained(base)
    config.id2label = dict(enumerate(Category))
    config.label2id = {category: at for at, category in enumerate(Category)}
    model = AutoModelForSequenceClassification.from_pretrained(
        base, config=config, ignore_mismatched_sizes=True, dtype=torch.float32
    )
    if recipe.layers is not None:
        _thin(model, recipe.layers)
    return model


def _thin(model: Any, keep: int) -> None:
    layers = model.base_model.encoder.layer
    spaced = torch.linspace(0, len(layers) - 1, keep).round().int().tolist()
    model.base_model.encoder.layer = torch.nn.ModuleList(layers[at] for at in spaced)
    model.config.num_hidden_layers = keep


def _arguments(recipe: Recipe, scratch: Path) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        per_device_train_batch_size=recipe.batch_size,
        weight_decay=recipe.weight_decay,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        bf16=not gpu or torch.cuda.is_bf16_supported(),
        use_cpu=not gpu,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=recipe.seed,
    )


def _loss(binary: float) -> Any:
    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        scores = functional.log_softmax(outputs.logits.float(), dim=-1)
        dsat = _DSAT.to(scores.device)
        both = torch.stack(
            [scores[:, ~dsat].logsumexp(dim=-1), scores[:, dsat].logsumexp(dim=-1)], dim=-1
        )
        return functional.nll_loss(scores, labels) + binary * functional.nll_loss(
            both, dsat[labels].long()
        )

    return loss
