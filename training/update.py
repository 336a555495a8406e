"""The DPO step, by TRL: the only module that imports it.

TRL reloads a reference from the model's name where none is given, which is the wrong policy from
the second iteration on; so the reference's log-probabilities are computed beforehand from the
policy itself, and that the margin starts at 0 is checked in every run.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import msgspec
import peft
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerState
from trl import DPOConfig, DPOTrainer

from training.checkpoints import newest
from training.options import TrainingOptions
from training.passes import bucketed, pass_pairs, row, tokens
from training.policy import Policy
from training.samplers.base import Progress
from training.silence import silence
from training.watch import Look, Numbers, Step, Watchdog, curve
from warehouse.durable import write_whole
from warehouse.errors import TrainingFailed
from warehouse.records import PreferencePair


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateReport:
    """What one update did."""

    trained: int  # pairs
    dropped: int  # pairs whose prompt filled max_length, so that no answer was left
    answers_cut: int  # pairs of which an answer lost its end to max_length
    steps: int
    resumed_at: int  # the step of the checkpoint that it went on from; 0 = from the start
    pass_pairs: int  # of one forward pass: a step is made of equal ones
    start_margin: float  # largest |margin| of the first batch before the first step
    first_loss: float
    last_loss: float
    stopped: tuple[str, ...]  # why it ended early, where it did
    looks: tuple[Look, ...]
    curve: tuple[Step, ...]


def update(
    policy: Policy,
    pairs: Sequence[PreferencePair],
    options: TrainingOptions,
    *,
    work: Path | None = None,
    curves: Path | None = None,
    look: Callable[[int], Look] | None = None,
    save: Path | None = None,
    progress: Progress | None = None,
) -> UpdateReport:
    """Train `policy` in place on `pairs`, with itself as it comes in as the reference.

    Prompts must fit into `max_length` already; answers lose what lies beyond it. On one device
    the same seed gives the same weights, to the bit, also where a run that was killed left its
    checkpoints in `work` and another goes on from there. `curves`: a folder for TensorBoard;
    `save`: one for the weights, which alone brings together what is spread over devices.
    Raises TrainingFailed.
    """
    kept = _kept(policy, pairs, options)
    lengths = [tokens(policy, pair) for pair in kept]
    together = pass_pairs(max(lengths), options)
    with _folder(work) as folder, silence():
        watchdog = Watchdog(look, options.stop, folder / "looks.json") if look else None
        callbacks = [Numbers(progress), *([watchdog] if watchdog else [])]
        args = config(options, folder, together, gpu=policy.device.type == "cuda", curves=curves)
        trainer = _trainer(policy, kept, lengths, options, args, callbacks)
        start_margin = _start_margin(trainer, options.gate.start_margin_tolerance)
        resumed_at = _trained(trainer, newest(folder), watchdog)
        _bring_together(trainer, policy, save, options)
    steps = curve(trainer.state.log_history, options.beta)
    trained = len(trainer.train_dataset)
    return UpdateReport(
        trained=trained,
        dropped=len(pairs) - trained,
        answers_cut=sum(length > options.max_length for length in lengths),
        steps=trainer.state.global_step,
        resumed_at=resumed_at,
        pass_pairs=together,
        start_margin=start_margin,
        first_loss=steps[0].loss,
        last_loss=steps[-1].loss,
        stopped=watchdog.stopped if watchdog else (),
        looks=tuple(watchdog.looks) if watchdog else (),
        curve=steps,
    )


def _kept(
    policy: Policy, pairs: Sequence[PreferencePair], options: TrainingOptions
) -> list[PreferencePair]:
    """Those that leave room for an answer. Raises TrainingFailed where none does."""
    kept = [pair for pair in pairs if policy.prompt_size(pair.prompt) < options.max_length]
    if not kept:
        raise TrainingFailed(
            f"DPO: the prompts of all {len(pairs)} pairs fill max_length ({options.max_length}). "
            "Nothing was registered; raise it in [training]."
        )
    return kept


def _trainer(
    policy: Policy,
    pairs: Sequence[PreferencePair],
    lengths: Sequence[int],
    options: TrainingOptions,
    args: DPOConfig,
    callbacks: list[Any],
) -> _Trainer:
    # Of one step on all devices, so that none waits for another's longer pairs.
    order = bucketed(lengths, options.batch_size * options.processes, options.seed)
    trainer = _Trainer(
        model=policy.model,
        args=args,
        train_dataset=datasets.Dataset.from_list([row(pairs[i]) for i in order]),
        processing_class=policy.tokenizer,
        peft_config=_lora(options),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    for name, module in trainer.model.named_modules():
        if "lora_dropout" in name and hasattr(module, "p"):
            module.p = options.lora.dropout  # TRL turned it off with the policy's own
    if options.lora.rank and trainer.is_fsdp_enabled:
        raise TrainingFailed(
            "[training.lora]: adapters are not added to weights that are sharded. Take `fsdp` out "
            "of the file that launch_config names, or set rank = 0. Nothing was registered."
        )
    return trainer


def _trained(trainer: Any, checkpoint: str | None, watchdog: Watchdog | None) -> int:
    """Train from a checkpoint to the end; the step of the checkpoint."""
    step = int(checkpoint.rpartition("-")[2]) if checkpoint else 0
    if watchdog:
        watchdog.resume(step)
    if checkpoint and watchdog and watchdog.stopped:
        # It had ended there, which transformers does not know: it would take one more step.
        trainer._load_from_checkpoint(checkpoint)
        trainer.state = TrainerState.load_from_json(str(Path(checkpoint, "trainer_state.json")))
    else:
        trainer.train(resume_from_checkpoint=checkpoint)
    return step


def _bring_together(
    trainer: Any, policy: Policy, folder: Path | None, options: TrainingOptions
) -> None:
    """Make `policy` what was trained, or write it into `folder` from wherever its parts lie."""
    if options.lora.rank:
        trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    if folder is None:
        return
    whole = None if options.lora.rank else trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.accelerator.is_main_process:
        policy.model.save_pretrained(folder, state_dict=whole)
        policy.tokenizer.save_pretrained(folder)
    trainer.accelerator.wait_for_everyone()


def config(
    options: TrainingOptions, folder: Path, together: int, *, gpu: bool, curves: Path | None = None
) -> DPOConfig:
    """The settings as TRL has them. `together`: pairs of one forward pass."""
    terms = {"sigmoid": 1.0, "sft": options.sft_weight}
    used = [name for name, weight in terms.items() if weight > 0]
    if curves:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(curves)  # transformers has no other way
    return DPOConfig(
        output_dir=str(folder),
        loss_type=used,
        loss_weights=[terms[name] for name in used],
        beta=options.beta,
        precompute_ref_log_probs=True,
        max_length=options.max_length,
        learning_rate=options.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=options.warmup_ratio,  # below 1: a share of all steps
        optim={"rmsprop": "rmsprop", "adamw": "adamw_torch"}[options.optimizer],
        num_train_epochs=options.epochs,
        per_device_train_batch_size=together,
        gradient_accumulation_steps=options.batch_size // together,
        train_sampling_strategy="sequential",
        seed=options.seed,
        use_cpu=not gpu,
        bf16=gpu,
        activation_checkpointing=gpu,
        dataloader_pin_memory=gpu,
        save_strategy="steps" if options.checkpoint_steps else "no",
        save_steps=options.checkpoint_steps or 1,
        save_total_limit=1,
        report_to="tensorboard" if curves else "none",
        disable_tqdm=True,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would show 0 for a loss that is not a number
    )


class _Trainer(DPOTrainer):  # type: ignore[misc]
    """Keeps the reference's log-probabilities beside its checkpoints."""

    ref_model: Any

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        ids = [list(dataset[column]) for column in ("prompt_ids", "chosen_ids", "rejected_ids")]
        known = hashlib.sha256(msgspec.json.encode([self._precompute_model_hash, ids]))
        path = Path(self.args.output_dir) / f"reference-{known.hexdigest()[:32]}.json"
        # All processes wait for one another while it is computed, so all find it or none does.
        if path.exists():
            kept = msgspec.json.decode(path.read_bytes(), type=dict[str, list[float]])
        else:
            kept = self._computed(dataset, batch_size)
            if self.accelerator.is_main_process:
                write_whole(path, msgspec.json.encode(kept))
        self.accelerator.wait_for_everyone()
        for column, values in kept.items():
            dataset = dataset.add_column(column, values)
        return dataset

    def _computed(self, dataset: Any, batch_size: int) -> dict[str, list[float]]:
        loader = DataLoader(dataset, batch_size=batch_size, collate_fn=self.data_collator)
        kept: dict[str, list[float]] = {"ref_chosen_logps": [], "ref_rejected_logps": []}
        for batch in self.accelerator.prepare(loader):
            both = self.compute_ref_log_probs(self.ref_model or self.model, batch)
            for values, found in zip(
                kept.values(), self.accelerator.gather_for_metrics(both), strict=True
            ):
                values.extend(found.float().tolist())
        return kept

    def log_probs(self, batch: Any) -> Any:
        """Of the chosen and of the rejected answers by the model as it is, its adapter on."""
        reference = self.ref_model
        self.ref_model = self.model  # without a reference model, TRL turns the adapter off
        try:
            return self.compute_ref_log_probs(self.model, batch)
        finally:
            self.ref_model = reference

    def create_model_card(self, *args: Any, **others: Any) -> None:
        """None beside a checkpoint: it would name libraries and no model of ours."""


def _lora(options: TrainingOptions) -> Any:
    """A fresh adapter, merged after the update: so the reference is the policy without it."""
    lora = options.lora
    if not lora.rank:
        return None
    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.modules) or "all-linear",
        task_type="CAUSAL_LM",
    )


def _start_margin(trainer: Any, tolerance: float) -> float:
    """Largest |margin| of the first batch. Raises TrainingFailed above `tolerance`."""
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    chosen, rejected = trainer.log_probs(batch)
    moved = (chosen - batch["ref_chosen_logps"]) - (rejected - batch["ref_rejected_logps"])
    margin = float(trainer.beta * moved.abs().max())
    if not margin <= tolerance:
        raise TrainingFailed(
            f"DPO: the margin starts at {margin:.2g} where it must be 0 (limit {tolerance:.2g}), "
            "so the reference is not the policy that is trained. Nothing was registered; check "
            "the installed trl against constraints.txt."
        )
    return margin


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() if work is None else nullcontext(work) as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield Path(folder)
