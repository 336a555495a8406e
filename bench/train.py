"""How fast answers are drawn and a policy is updated, beside the plain way, in the same run.

    python bench/train.py compare [--repeats 5] [--shape tiny|0.5b|7b]
    python bench/train.py cycle HOME [--turns 500]

compare   Ours and the plain way take turns, on the same prompts and pairs of mixed lengths.
          Sampling: in batches of like length against batches of 16 in the order of arrival.
          Update: this program's settings (like lengths together, the reference computed once)
          against TRL's defaults (batch of 8 in the order of arrival, a copy of the policy as the
          reference, activation checkpointing). Shapes other than tiny are Qwen2's with random
          weights and want a GPU: tokens, peak memory and MFU are told too.
cycle     From the lease to the registered version on a copy of a home's warehouse and policy, by
          the home's settings and `--turns`: seconds of each part.

One JSON object a line. Ratios above 1 are in our favour.
"""

from __future__ import annotations

import argparse
import copy
import datetime as dt
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import PrinterCallback, Qwen2Config, Qwen2ForCausalLM
from trl import DPOConfig, DPOTrainer

from driftmine.home import Home
from driftmine.settings import load as read_settings
from training import tiny
from training.cycle import train
from training.options import LoraOptions, TrainingOptions
from training.passes import row
from training.policy import Policy, load
from training.prompts import Prompt
from training.samplers.base import Sampling
from training.samplers.hf import HfSampler
from training.update import _silence, update
from warehouse.catalog import Catalog
from warehouse.records import Message, PreferencePair, Role

WORDS = "the river house walk plan day first in on answer list please right wrong".split()
SHAPES = {  # hidden, intermediate, layers, heads, key-value heads: of Qwen2.5
    "0.5b": (896, 4864, 24, 14, 2),
    "7b": (3584, 18944, 28, 28, 4),
}
H200_FLOPS = 989e12  # dense bfloat16, by its data sheet
PLAIN_BATCH = 16


def policy_of(shape: str, folder: Path) -> Policy:
    if shape == "tiny":
        tiny.make(folder, 0)
        return load(str(folder))
    hidden, wide, layers, heads, shared = SHAPES[shape]
    tokenizer = tiny.byte_tokenizer()
    config = Qwen2Config(
        vocab_size=151_936, hidden_size=hidden, intermediate_size=wide, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=shared, max_position_embeddings=4096,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config).to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return Policy(source=str(folder), model=model, tokenizer=tokenizer, notes=())


def text(draw: random.Random, most: int) -> str:
    # Log-uniform, as the lengths of logged messages roughly are.
    words = round(2 ** draw.uniform(1, most))
    return " ".join(draw.choice(WORDS) for _ in range(words))


def prompts_of(n: int, seed: int, most: int) -> list[Prompt]:
    draw = random.Random(seed)
    return [(Message(role=Role.USER, content=text(draw, most)),) for _ in range(n)]


def pairs_of(n: int, seed: int, most: int) -> list[PreferencePair]:
    draw = random.Random(seed)
    return [
        PreferencePair(
            turn_id=str(i), prompt=prompt, chosen=text(draw, most), rejected=text(draw, most)
        )
        for i, prompt in enumerate(prompts_of(n, seed, most))
    ]


# ---- the two ways ----------------------------------------------------------------------------


def sample_ours(policy: Policy, prompts: Sequence[Prompt], how: Sampling) -> int:
    return sum(len(one.tokens) for one in HfSampler(policy=policy).sample(prompts, how, 0))


def sample_plain(policy: Policy, prompts: Sequence[Prompt], how: Sampling) -> int:
    """Batches of 16 as they come."""
    plain = replace(how, batch=PLAIN_BATCH)
    parts = [prompts[i : i + PLAIN_BATCH] for i in range(0, len(prompts), PLAIN_BATCH)]
    return sum(sample_ours(policy, part, plain) for part in parts)


def update_ours(policy: Policy, pairs: Sequence[PreferencePair], options: TrainingOptions) -> None:
    update(policy, pairs, options)


def update_plain(policy: Policy, pairs: Sequence[PreferencePair], options: TrainingOptions) -> None:
    """TRL's defaults, but for the precision of a CPU and for one epoch, as ours has."""
    gpu = policy.device.type == "cuda"
    with tempfile.TemporaryDirectory() as scratch, _silence():
        trainer = DPOTrainer(
            model=policy.model,
            ref_model=copy.deepcopy(policy.model),
            args=DPOConfig(
                output_dir=scratch, use_cpu=not gpu, bf16=gpu, max_length=options.max_length,
                num_train_epochs=1,
                report_to="none", disable_tqdm=True, save_strategy="no",
                dataloader_pin_memory=gpu,
            ),
            train_dataset=datasets.Dataset.from_list([row(pair) for pair in pairs]),
            processing_class=policy.tokenizer,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()


# ---- measuring -------------------------------------------------------------------------------


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    found = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started, found


def versus(ours: Callable[[], Any], plain: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Both in turns, after one run each to warm up."""
    ours(), plain()
    rows = []
    for turn in range(repeats):
        first, second = (ours, plain) if turn % 2 else (plain, ours)
        one, other = timed(first)[0], timed(second)[0]
        rows.append((one, other) if turn % 2 else (other, one))
    ratios = sorted(other / one for one, other in rows)
    return {
        "n": repeats,
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratios[0], 2), round(ratios[-1], 2)],
        "seconds": round(statistics.median(one for one, _ in rows), 3),
        "plain_seconds": round(statistics.median(other for _, other in rows), 3),
    }


def compare(shape: str, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        policy = policy_of(shape, Path(scratch))
        small = shape == "tiny"
        prompts = prompts_of(128, 1, 6 if small else 8)
        how = Sampling(
            temperature=0.7, top_p=0.9, max_new_tokens=32 if small else 256,
            max_prompt_tokens=1024, batch=32 if small else 64,
        )  # fmt: skip
        found = versus(
            lambda: sample_ours(policy, prompts, how),
            lambda: sample_plain(policy, prompts, how),
            repeats,
        )
        seconds, tokens = timed(lambda: sample_ours(policy, prompts, how))
        tell("sample", shape, found, tokens / seconds)
        # 7B in float32 leaves no room for a second copy and the optimizer's state.
        options = TrainingOptions(
            max_length=1024, max_prompt_tokens=512, batch_size=8, learning_rate=1e-7,
            checkpoint_steps=0, lora=LoraOptions(rank=16 if shape == "7b" else 0),
        )  # fmt: skip
        pairs = pairs_of(64, 2, 5 if small else 8)
        if shape == "7b":
            seconds, report = timed(lambda: update(policy, pairs, options))
            found = {"n": 1, "seconds": round(seconds, 2), "steps": report.steps}
        else:
            found = versus(
                lambda: update_ours(policy, pairs, options),
                lambda: update_plain(policy, pairs, options),
                repeats,
            )
        tell("update", shape, found, tokens_of(policy, pairs) / found["seconds"], policy)


def tokens_of(policy: Policy, pairs: Sequence[PreferencePair]) -> int:
    """Of prompts and answers, without padding."""
    both = [(pair.prompt, text) for pair in pairs for text in (pair.chosen, pair.rejected)]
    return sum(len(a) + len(b) for a, b in (policy.answer_ids(*row) for row in both))


def tell(
    what: str, shape: str, found: dict[str, Any], rate: float, policy: Policy | None = None
) -> None:
    line = {"measure": what, "shape": shape, "tokens_per_second": round(rate), **found}
    if torch.cuda.is_available():
        line["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
        line["device"] = torch.cuda.get_device_name()
        if policy is not None:
            # 6 flops a weight and token trained, 2 for the reference's forward pass.
            weights = sum(p.numel() for p in policy.model.parameters())
            line["mfu"] = round(8 * weights * rate / H200_FLOPS, 3)
    print(json.dumps(line), flush=True)


def cycle(home: Home, turns: int) -> None:
    options = replace(
        read_settings(home.settings).training, max_turns=turns, min_turns=1, stream="bench"
    )
    with tempfile.TemporaryDirectory() as copied:
        shutil.copytree(home.warehouse, Path(copied) / "warehouse")
        report = train(
            Catalog.open(Path(copied) / "warehouse"), models=Path(copied) / "models",
            options=options, default_policy=home.policy, now=dt.datetime.now(dt.UTC),
        )  # fmt: skip
    assert report is not None, "the home has no trainable turns"
    told = {name: round(value, 1) for name, value in report.seconds.items()}
    print(
        json.dumps({"measure": "cycle", "turns": report.batch_size, "pairs": report.pairs, **told})
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("compare")
    speed.add_argument("--repeats", type=int, default=5)
    speed.add_argument("--shape", choices=["tiny", *SHAPES], default="tiny")
    whole = commands.add_parser("cycle")
    whole.add_argument("home", type=Path)
    whole.add_argument("--turns", type=int, default=500)
    given = parser.parse_args()
    if given.command == "compare":
        compare(given.shape, given.repeats)
    else:
        cycle(Home(given.home), given.turns)


if __name__ == "__main__":
    main()
