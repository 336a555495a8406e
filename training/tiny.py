"""The tiny policy that a new home starts with: it proves the way, not the method.

A Llama of under a million parameters over bytes, made on the spot, so that nothing has to be
downloaded to see a night end in a registered model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training.policy import Policy, quiet
from warehouse.records import Message, Role

_PAD, _START, _END = "<|pad|>", "<|start|>", "<|end|>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
MARKS = (_PAD, _START, _END, *_ROLES)
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# What it is warmed up on, so that it answers in letters, and ends. It memorizes; nothing more.
_CHATS = (
    ("How do I boil an egg?", "Put it in boiling water for eight minutes, then cool it."),
    ("What is the capital of France?", "The capital of France is Paris."),
    ("Can you plan my trip?", "Of course. On the first day we see the old town and the river."),
    ("Write a short poem.", "The rain comes down, the lamps are lit, and by the fire we sit."),
    ("Why is the sky blue?", "The air scatters blue light more than red light."),
    ("How do I sort a list?", "Call sorted on it: that gives a new list, in order."),
    ("That is not what I asked.", "You are right. Here is the answer to your question."),
    ("Please make it shorter.", "Here it is in one sentence."),
    ("Thanks, that helps.", "You are welcome. Is there anything else?"),
    ("What should I cook?", "A soup of carrots and lentils is quick and good."),
    ("How far is the moon?", "The moon is about four hundred thousand kilometres away."),
    ("Explain recursion.", "A function that calls itself on a smaller part of the work."),
)
_BATCH = 2  # conversations a step
_EXCHANGES = 4  # a conversation
_LEARNING_RATE = 3e-3


def make(
    folder: Path,
    seed: int,
    *,
    hidden: int = 128,
    layers: int = 4,
    heads: int = 4,
    warm_up: int = 120,
) -> None:
    """Draw a policy, warm it up and write it into `folder`.

    The same seed writes the same weights. The defaults give 0.82 million parameters; `warm_up`
    counts optimizer steps.
    """
    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        policy = Policy(source=str(folder), model=model, tokenizer=tokenizer, notes=())
        _warm_up(policy, random.Random(seed), warm_up)
        policy.save(folder)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte and one a role, so that any text passes and comes back unchanged."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_only.decoder = decoders.ByteLevel()
    return for_chat(bytes_only)


def for_chat(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """`tokenizer` with a token for each mark and role, and the chat template that sets them."""
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in MARKS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        bos_token=_START,
        eos_token=_END,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _warm_up(policy: Policy, order: random.Random, steps: int) -> None:
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=_LEARNING_RATE)
    for _ in range(steps):
        # Several exchanges each: after a prompt longer than any that it has seen, a policy as
        # small as this writes the mark of a role and no answer.
        batch = pad_sequence(
            [_conversation(policy, order.sample(_CHATS, _EXCHANGES)) for _ in range(_BATCH)],
            batch_first=True,
            padding_value=policy.tokenizer.pad_token_id,
        )
        real = batch != policy.tokenizer.pad_token_id
        labels = batch.masked_fill(~real, -100)
        loss = policy.model(input_ids=batch, attention_mask=real.long(), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def _conversation(policy: Policy, chats: Sequence[tuple[str, str]]) -> torch.Tensor:
    messages = [
        Message(role=role, content=text)
        for chat in chats
        for role, text in zip((Role.USER, Role.ASSISTANT), chat, strict=True)
    ]
    asked, answered = policy.answer_ids(tuple(messages[:-1]), messages[-1].content)
    return torch.tensor(asked + answered)
