"""Policies: a causal language model with its tokenizer and chat template, in a folder.

Weights are kept in float32 on every device, because an update of 5e-7 vanishes in the rounding
of bfloat16; on a GPU the computing is done in bfloat16.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

import jinja2
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as hf_logging

from training.prompts import Prompt
from training.registry import PICKLES
from warehouse.errors import PolicyUnusable, TrainingFailed
from warehouse.records import Message, Role

# What transformers, tokenizers and safetensors say of files that are not what they should be.
_UNREADABLE = (
    OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, SafetensorError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A loaded policy."""

    source: str  # folder or model name that it was loaded from
    model: Any  # transformers.PreTrainedModel, float32, in eval mode
    tokenizer: Any  # transformers.PreTrainedTokenizerBase with a chat template and a pad token
    notes: tuple[str, ...]  # what had to be mended on loading, for the report

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.model.device

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt, up to where the answer starts."""
        return self._render(prompt, add_generation_prompt=True)

    def prompt_size(self, prompt: Prompt) -> int:
        """Tokens of a prompt, up to where the answer starts."""
        return len(self.prompt_ids(prompt))

    def answer_ids(self, prompt: Prompt, answer: str) -> tuple[list[int], list[int]]:
        """Token ids of a prompt and of an answer to it, with what the template puts after it.

        The answer starts where the two renderings part, as TRL has it, so that both score the
        same tokens.
        """
        asked = self.prompt_ids(prompt)
        whole = self._render(
            (*prompt, Message(role=Role.ASSISTANT, content=answer)), add_generation_prompt=False
        )
        both = zip(asked, whole, strict=False)
        same = sum(1 for _ in takewhile(lambda ids: ids[0] == ids[1], both))
        return whole[:same], whole[same:]

    def renders(self, prompt: Prompt, answer: str) -> bool:
        """Whether the chat template takes this conversation; many refuse some order of roles."""
        try:
            self.answer_ids(prompt, answer)
        except TrainingFailed:
            return False
        return True

    def takes_system(self) -> bool:
        """Whether the chat template takes a system message."""
        opening = (Message(role=role, content="Hello.") for role in (Role.SYSTEM, Role.USER))
        return self.renders(tuple(opening), "Hello.")

    @contextmanager
    def computing(self) -> Iterator[None]:
        """No gradients; bfloat16 on a GPU."""
        gpu = self.device.type == "cuda"
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=gpu):
            yield

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer in Hugging Face layout."""
        with quiet():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _render(self, prompt: Prompt, *, add_generation_prompt: bool) -> list[int]:
        messages = [{"role": str(m.role), "content": m.content} for m in prompt]
        try:
            rendered = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=add_generation_prompt, return_dict=True
            )
        except (jinja2.TemplateError, LookupError, TypeError, ValueError) as error:
            # Not what it says: a template may quote the conversation.
            raise TrainingFailed(
                f"{self.source}: its chat template refuses a conversation "
                f"({type(error).__name__}). Mend the template, or name another policy in "
                "[training] policy. Nothing was registered."
            ) from error
        return list(rendered["input_ids"])


def load(source: str, *, trusted: bool = False) -> Policy:
    """Load a policy from a local folder or by its model name, onto the GPU if there is one.

    `trusted`: code that comes with it may run, which somebody has allowed for this very policy.
    Raises PolicyUnusable where there is no such policy, where it is damaged, where loading it
    would mean unpickling or running its code, or where it has no chat template.
    """
    if Path(source).is_dir():
        _refuse_pickles(Path(source))
    model, tokenizer = _read(source, trusted)
    if not tokenizer.chat_template:
        raise PolicyUnusable(
            f"{source}: its tokenizer has no chat template, so nobody knows how it was taught to "
            "tell users from answers. Put the model's template into chat_template.jinja in that "
            "folder, or name an instruction-tuned policy in [training] policy."
        )
    notes = _ensure_pad_token(source, tokenizer)
    if trusted and getattr(model.config, "auto_map", None):
        notes = (
            f"CODE OF THE POLICY'S OWN WAS RUN: [training] trust_remote_code names {source}",
            *notes,
        )
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Policy(source=source, model=model.to(device).eval(), tokenizer=tokenizer, notes=notes)


def _read(source: str, trusted: bool) -> tuple[Any, Any]:
    """Model and tokenizer, on the CPU. Raises PolicyUnusable."""
    options = {"local_files_only": Path(source).is_dir(), "trust_remote_code": trusted}
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            model, found = AutoModelForCausalLM.from_pretrained(
                source,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **options,
            )
    except torch.OutOfMemoryError:
        raise
    except _UNREADABLE as error:
        raise PolicyUnusable(
            f"{source}: cannot be loaded as a policy ({_first_line(error)}). Name a folder in "
            "Hugging Face layout, with config.json, tokenizer and safetensors, in [training] "
            "policy; if it is one, a file of it is damaged: copy it there once more."
        ) from error
    # transformers makes up what is missing, by chance and with a line in the log.
    if missing := sorted(found["missing_keys"]):
        raise PolicyUnusable(
            f"{source}: its safetensors lack {len(missing)} of the weights that config.json asks "
            f"for ({', '.join(missing[:3])}). A part of it was lost: copy it there once more."
        )
    return model, tokenizer


def digest(source: str) -> str:
    """Hash of a policy folder's weights, 64 hex; "" for a model name, whose files lie elsewhere."""
    total = hashlib.sha256()
    files = sorted(Path(source).glob("*.safetensors"))
    for path in files:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest() if files else ""


def fingerprint(source: str) -> str:
    """Hash of all that answers and updates depend on: files, device, and libraries, 64 hex.

    Of a model name there are no files: then of the name.
    """
    folder = Path(source)
    total = hashlib.sha256(source.encode() if not folder.is_dir() else b"")
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.is_file() and path.name not in ("README.md", "manifest.json"):
            with path.open("rb") as file:
                total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    used = [f"{name}=={version(name)}" for name in ("torch", "transformers", "trl")]
    total.update(" ".join([device, *used]).encode())
    return total.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars and the advice of transformers off the console."""
    verbosity, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if bars:
            hf_logging.enable_progress_bar()


def _refuse_pickles(folder: Path) -> None:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if any(folder.glob("*.safetensors")):
        if not pickles:
            return
        raise PolicyUnusable(
            f"{folder}: holds {', '.join(pickles)} beside its safetensors. Pickles can run code "
            "when they are read, so a folder with any is not used. Loading needs none of them: "
            "move them elsewhere."
        )
    found = f"only {', '.join(pickles)}" if pickles else "no weights"
    raise PolicyUnusable(
        f"{folder}: {found}, no *.safetensors. Pickled weights can run code when they are read, "
        "so they are never loaded; save the policy again with transformers' save_pretrained, "
        "which writes safetensors."
    )


def _ensure_pad_token(source: str, tokenizer: Any) -> tuple[str, ...]:
    if tokenizer.pad_token is not None:
        return ()
    if tokenizer.eos_token is None:
        raise PolicyUnusable(
            f"{source}: its tokenizer has neither a pad token nor an end token. Set eos_token in "
            "tokenizer_config.json."
        )
    tokenizer.pad_token = tokenizer.eos_token
    return (f"the tokenizer has no pad token: its end token {tokenizer.eos_token} serves",)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
