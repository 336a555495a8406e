"""The sandbox's policy: a Llama of 0.57 million parameters that answers `tasks` by `habits`.

`make sandbox-policy` pre-trains it, in half an hour of one core; `data/policy` holds what
came of it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from driftmine.sandbox.lessons import Lesson, lesson
from training.pairs import GUIDANCE
from training.policy import Policy, quiet
from training.tiny import MARKS, for_chat
from warehouse.records import Message, Role

VOCABULARY = 1280
BATCH = 32
STEPS = 20_000
POOL = 16  # batches that are drawn together and sorted by length
PEAK = 3e-3  # learning rate, reached after a twentieth of the steps, 0 at the end


def make(
    folder: Path, *, steps: int = STEPS, seed: int = 0, hidden: int = 96, layers: int = 4
) -> float:
    """Pre-train a policy and write it into `folder`; the mean loss of the last steps."""
    rng = random.Random(seed)
    tokenizer = bpe_tokenizer(rng)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        policy = Policy(
            source=str(folder), model=LlamaForCausalLM(config), tokenizer=tokenizer, notes=()
        )
        loss = _train(policy, rng, steps)
        policy.save(folder)
    return loss


def bpe_tokenizer(rng: random.Random, sample: int = 20_000) -> PreTrainedTokenizerFast:
    """Over bytes, so that any text passes and comes back unchanged."""
    tokenizer = Tokenizer(models.BPE())
    # A blank before every text, so that a word is the same token wherever it stands: copied.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    tokenizer.train_from_iterator(
        (text for _ in range(sample) for text in lesson(rng)),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY - 1 - len(MARKS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    # One token: it stands in every prompt that DRIFT draws by, and always says the same.
    tokenizer.add_tokens([AddedToken(GUIDANCE, special=False)])
    return for_chat(tokenizer)


def _train(policy: Policy, rng: random.Random, steps: int) -> float:
    model = policy.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK, total_steps=steps, pct_start=0.05, anneal_strategy="cos"
    )
    losses = []
    for ids, labels in islice(_batches(policy, rng), steps):
        read = (ids != policy.tokenizer.pad_token_id).long()
        hidden = model.model(input_ids=ids, attention_mask=read).last_hidden_state[:, :-1]
        learned = labels[:, 1:] >= 0  # a tenth of all tokens: no logits for the others
        logits = model.lm_head(hidden[learned])
        loss = torch.nn.functional.cross_entropy(logits, labels[:, 1:][learned])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    model.eval()
    return sum(losses[-100:]) / len(losses[-100:])


def _batches(policy: Policy, rng: random.Random) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and labels, [BATCH, tokens], of like length; what the assistant says is learned."""
    pad = policy.tokenizer.pad_token_id
    while True:
        rows = [_encoded(policy, lesson(rng)) for _ in range(BATCH * POOL)]
        rows.sort(key=lambda row: len(row[0]))
        starts = list(range(0, len(rows), BATCH))
        rng.shuffle(starts)
        for start in starts:
            some = rows[start : start + BATCH]
            yield (
                pad_sequence([row[0] for row in some], batch_first=True, padding_value=pad),
                pad_sequence([row[1] for row in some], batch_first=True, padding_value=-100),
            )


def _encoded(policy: Policy, one: Lesson) -> tuple[torch.Tensor, torch.Tensor]:
    roles = cycle((Role.USER, Role.ASSISTANT))
    messages = tuple(
        Message(role=role, content=text) for role, text in zip(roles, one, strict=False)
    )
    ids: list[int] = []
    labels: list[int] = []
    for end in range(1, len(messages), 2):
        asked, answered = policy.answer_ids(messages[:end], messages[end].content)
        labels += [-100] * (len(asked) - len(ids)) + answered
        ids = asked + answered
    return torch.tensor(ids), torch.tensor(labels)


if __name__ == "__main__":
    print(f"loss {make(Path(sys.argv[1])):.3f} nats a token")
