"""Scores by a reward model: a transformers sequence classifier with one label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from training.examples import Example
from training.policy import quiet
from training.prompts import Prompt, fit, well_formed, without_system
from training.samplers.base import Progress
from warehouse.errors import ScorerUnusable
from warehouse.records import Message, Role

MAX_TOKENS = 4096  # of a conversation, where the model would take more or does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardModelScorer:
    """A loaded reward model: its logit is the score."""

    source: str  # folder or model name that it was loaded from
    model: Any  # transformers.PreTrainedModel with one label, in eval mode
    tokenizer: Any  # with a chat template
    pad: int | None  # token; None: there is none, and `batch` is 1
    batch: int = 16  # conversations at once
    max_tokens: int = MAX_TOKENS  # longer conversations lose their beginning, never the answer
    progress: Progress | None = None

    @property
    def name(self) -> str:
        """See `Scorer.name`."""
        return f"reward_model:{self.source}"

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """See `Scorer.score`.

        NaN for an answer that is too long by itself, or whose conversation the chat template
        refuses.
        """
        asked = [
            self._ids(well_formed(example.prompt), answer)
            for example, candidates in zip(examples, answers, strict=True)
            for answer in candidates
        ]
        found = iter(self._scores(asked))
        return [[next(found) for _ in candidates] for candidates in answers]

    def _scores(self, asked: Sequence[list[int] | None]) -> list[float]:
        scores = [math.nan] * len(asked)
        # Of like length, so that little is padding.
        order = sorted((len(ids), at) for at, ids in enumerate(asked) if ids is not None)
        places = [at for _, at in order]
        for start in range(0, len(places), self.batch):
            part = places[start : start + self.batch]
            logits = self._logits([ids for at in part if (ids := asked[at]) is not None])
            for at, logit in zip(part, logits, strict=True):
                scores[at] = logit
            if self.progress:
                self.progress(start + len(part), len(places), "score")
        return scores

    def _logits(self, rows: Sequence[list[int]]) -> list[float]:
        # Where there is none, nothing is padded.
        width, pad = max(map(len, rows)), self.pad if self.pad is not None else -1
        device = self.model.device
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
        real = torch.tensor(
            [[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device
        )
        gpu = device.type == "cuda"
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=gpu):
            logits = self.model(input_ids=ids, attention_mask=real).logits
        return [float(logit) for logit in logits[:, 0].float()]

    def _ids(self, context: Prompt, answer: str) -> list[int] | None:
        """Token ids of the conversation; without a system message where the template has none."""
        ids = self._fitted(context, answer) or self._fitted(without_system(context), answer)
        return ids if ids is not None and len(ids) <= self.max_tokens else None

    def _fitted(self, context: Prompt, answer: str) -> list[int] | None:
        """As much of the end as there is room for; None where the template refuses."""
        said = Message(role=Role.ASSISTANT, content=answer)
        try:
            fitted = fit(context, self.max_tokens, lambda p: len(self._render((*p, said))))
            return self._render((*fitted.prompt, said))
        except (jinja2.TemplateError, LookupError, TypeError, ValueError):
            return None

    def _render(self, prompt: Prompt) -> list[int]:
        messages = [{"role": str(m.role), "content": m.content} for m in prompt]
        return list(self.tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"])


def load(
    source: str, *, batch: int = 16, max_tokens: int = MAX_TOKENS, progress: Progress | None = None
) -> RewardModelScorer:
    """Load a reward model from a local folder or by its name, onto the GPU if there is one.

    Raises ScorerUnusable where there is none, where loading it would mean unpickling or running
    its code, or where it is not a classifier with one label, trained, with a chat template.
    """
    options = {"local_files_only": Path(source).is_dir(), "trust_remote_code": False}
    try:
        with quiet():
            config = AutoConfig.from_pretrained(source, **options)
            _refuse_labels(source, config.num_labels)
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            model, told = AutoModelForSequenceClassification.from_pretrained(
                source,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError) as error:
        raise ScorerUnusable(
            f"{source}: cannot be loaded as a reward model ({_first_line(error)}). Name a folder "
            "in Hugging Face layout, with config.json, tokenizer and safetensors; pickled weights "
            "are never read, and code that comes with a model is never run."
        ) from error
    _refuse_untrained(source, sorted(told["missing_keys"]))
    pad = _padding(source, model, tokenizer)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    room = getattr(config.get_text_config(), "max_position_embeddings", None) or max_tokens
    room = min(room, tokenizer.model_max_length)
    return RewardModelScorer(
        source=source,
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        pad=pad,
        batch=batch if pad is not None else 1,
        max_tokens=min(max_tokens, room),
        progress=progress,
    )


def _refuse_labels(source: str, labels: int) -> None:
    if labels != 1:
        raise ScorerUnusable(
            f"{source}: has {labels} labels, and a reward model has one, its score. A model that "
            "tells classes apart ranks nothing; name one whose config.json has one label."
        )


def _refuse_untrained(source: str, missing: Sequence[str]) -> None:
    if missing:
        raise ScorerUnusable(
            f"{source}: {len(missing)} of its weights are not in its files ({missing[0]}, ...), so "
            "they would be drawn at random and its scores mean nothing. Name a model that was "
            "trained and saved as a sequence classifier."
        )


def _padding(source: str, model: Any, tokenizer: Any) -> int | None:
    """The token to pad with; None: there is none."""
    if not tokenizer.chat_template:
        raise ScorerUnusable(
            f"{source}: its tokenizer has no chat template, so nobody knows how it was shown "
            "conversations. Put the template into chat_template.jinja in that folder."
        )
    # Decoders score at the last token that is no padding. Where neither tokenizer nor config has
    # such a token they do so at the last one, of one conversation at a time.
    config = model.config.get_text_config()
    if tokenizer.pad_token_id is not None:
        config.pad_token_id = tokenizer.pad_token_id
    pad: int | None = config.pad_token_id
    return pad


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
