"""What it costs to gather the log-probabilities of answers while they are drawn.

    python bench/log_probabilities.py

Draws 32 answers of 48 tokens from untrained policies of two vocabularies on one thread, with and
without, in turn; prints CPU seconds, the least of six each.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from training import tiny
from training.policy import Policy, load
from training.samplers import hf
from training.samplers.base import Sampling
from warehouse.records import Message, Role

PARAMETERS = Sampling(
    temperature=0.7, top_p=0.9, max_new_tokens=48, max_prompt_tokens=400, batch=32
)
PROMPTS = [
    (Message(role=Role.USER, content=f"question {i} about rivers, and about mills"),)
    for i in range(32)
]


class Deaf(hf._LogProbabilities):
    """Gathers nothing."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """As if nobody asked."""
        return scores

    def until(self, ids: torch.Tensor) -> torch.Tensor:
        """Zeros."""
        return torch.zeros(ids.shape)


def large(small: Policy) -> Policy:
    """As many layers as the tiny policy has, and a vocabulary of 32 thousand."""
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=4096,
    )
    model = LlamaForCausalLM(config).eval()
    model.generation_config.eos_token_id = 31_999
    return Policy(source="large", model=model, tokenizer=small.tokenizer, notes=())


def seconds(policy: Policy, heard: type) -> float:
    hf._LogProbabilities = heard
    started = time.process_time()
    hf.HfSampler(policy=policy).sample(PROMPTS, PARAMETERS, seed=0)
    return time.process_time() - started


def main() -> None:
    torch.set_num_threads(1)
    hearing = hf._LogProbabilities
    with tempfile.TemporaryDirectory() as folder:
        tiny.make(Path(folder) / "tiny", seed=0, warm_up=1)
        small = load(str(Path(folder) / "tiny"))
    for name, policy in {"tiny": small, "vocabulary of 32,000": large(small)}.items():
        runs = [(seconds(policy, hearing), seconds(policy, Deaf)) for _ in range(6)]
        with_, without = (min(times) for times in zip(*runs, strict=True))
        print(f"| {name} | {without:.2f} | {with_:.2f} | {with_ / without - 1:+.1%} |")


if __name__ == "__main__":
    main()
