"""Sampling by transformers' generate, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from training.policy import Policy, quiet
from training.prompts import Fitted, Prompt, fit
from training.samplers.base import FinishReason, Progress, Sample, Sampling
from warehouse.errors import TrainingFailed


class _Answer(NamedTuple):
    tokens: tuple[int, ...]
    logp: float


class _LogProbabilities(LogitsProcessor):  # type: ignore[misc]
    """Hears the policy's own logits, before temperature and top_p, and changes nothing.

    One step's are kept at a time: all of them would take memory of tokens x vocabulary.
    """

    def __init__(self) -> None:
        self._last: torch.Tensor | None = None  # [batch, vocabulary], of the token to come
        self._drawn: list[torch.Tensor] = []  # [batch], a step

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._hear(input_ids)
        self._last = scores.float().log_softmax(-1)
        return scores

    def _hear(self, ids: torch.Tensor) -> None:
        if self._last is not None:
            self._drawn.append(self._last.gather(1, ids[:, -1:])[:, 0])

    def until(self, ids: torch.Tensor) -> torch.Tensor:
        """Of every drawn token, [batch, steps]; `ids` are those that `generate` ended with."""
        self._hear(ids)
        return torch.stack(self._drawn, 1).cpu()


@dataclass(frozen=True, slots=True, kw_only=True)
class HfSampler:
    """Draws answers from a loaded policy, in batches of prompts of like length.

    Samples depend on the seed and on the batches; where memory runs out the batch is halved, so
    equal samples need a batch that fits.
    """

    policy: Policy
    progress: Progress | None = None

    def sample(self, prompts: Sequence[Prompt], parameters: Sampling, seed: int) -> list[Sample]:
        """See `Sampler.sample`."""
        fitted = [fit(p, parameters.max_prompt_tokens, self.policy.prompt_size) for p in prompts]
        asked = [self.policy.prompt_ids(one.prompt) for one in fitted]
        order = sorted(range(len(asked)), key=lambda i: len(asked[i]))
        drawn: dict[int, _Answer] = {}
        size = parameters.batch
        # generate draws from the global generators and takes none of its own.
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            while len(drawn) < len(order):
                batch = order[len(drawn) : len(drawn) + size]
                try:
                    answers = self._generate([asked[i] for i in batch], parameters)
                except torch.OutOfMemoryError as error:
                    size = _halved(size, error)
                    continue
                drawn.update(zip(batch, answers, strict=True))
                if self.progress:
                    self.progress(len(drawn), len(order), "sample")
        return [self._sample(fitted[i], asked[i], drawn[i]) for i in range(len(asked))]

    def _generate(self, asked: list[list[int]], parameters: Sampling) -> list[_Answer]:
        policy, width = self.policy, max(map(len, asked))
        pad = policy.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in asked])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in asked])
        heard = _LogProbabilities()
        with policy.computing(), _bare(policy.model):
            grown = policy.model.generate(
                input_ids=ids.to(policy.device),
                attention_mask=mask.to(policy.device),
                generation_config=self._config(parameters),
                logits_processor=LogitsProcessorList([heard]),
            )
        ends, logps = _end_ids(policy), heard.until(grown)
        answers = [_up_to_end(row[width:].tolist(), ends) for row in grown]
        return [
            _Answer(tokens, float(row[: len(tokens)].sum()))
            for tokens, row in zip(answers, logps, strict=True)
        ]

    def _config(self, parameters: Sampling) -> GenerationConfig:
        # What is left out here is filled with the library's defaults: top_k is 50 there.
        drawing = (
            {
                "do_sample": True,
                "temperature": parameters.temperature,
                "top_p": parameters.top_p,
                "top_k": 0,
            }
            if parameters.temperature > 0
            else {"do_sample": False}
        )
        return GenerationConfig(
            max_new_tokens=parameters.max_new_tokens,
            repetition_penalty=1.0,
            pad_token_id=self.policy.tokenizer.pad_token_id,
            eos_token_id=sorted(_end_ids(self.policy)),
            use_cache=True,
            **drawing,
        )

    def _sample(self, fitted: Fitted, asked: list[int], answer: _Answer) -> Sample:
        tokens = answer.tokens
        stopped = bool(tokens) and tokens[-1] in _end_ids(self.policy)
        return Sample(
            text=self.policy.tokenizer.decode(tokens, skip_special_tokens=True),
            prompt=tuple(asked),
            tokens=tokens,
            finish_reason=FinishReason.STOP if stopped else FinishReason.LENGTH,
            prompt_cut=fitted.cut,
            logp=answer.logp,
        )


@contextmanager
def _bare(model: Any) -> Iterator[None]:
    """Without the settings that the policy's own file has for sampling.

    A min_p or a repetition penalty there would make the samples another policy's, and their KL
    would be that of neither.
    """
    own = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=own.eos_token_id)
    try:
        yield
    finally:
        model.generation_config = own


def _end_ids(policy: Policy) -> set[int]:
    """The tokens that end an answer: instruction-tuned policies often name several."""
    own = policy.model.generation_config.eos_token_id
    named = own if isinstance(own, list) else [own]
    return {i for i in (*named, policy.tokenizer.eos_token_id) if i is not None}


def _up_to_end(tokens: list[int], ends: set[int]) -> tuple[int, ...]:
    """Without the padding that follows an answer shorter than its batch's longest."""
    stop = next((i for i, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tuple(tokens[: stop + 1])


def _halved(size: int, error: Exception) -> int:
    if size == 1:
        raise TrainingFailed(
            "Sampling: memory ran out on a single prompt. Lower max_prompt_tokens or "
            "max_new_tokens in [training], or name a smaller policy. Nothing was registered."
        ) from error
    torch.cuda.empty_cache()
    return size // 2
