"""Sampling by an OpenAI-compatible server, such as vLLM, that serves the very policy in training.

What is approximate: the server tells texts, so `Sample.tokens` are the text's tokens by the
policy's own tokenizer, which may cut a text otherwise than it was drawn; `Sample.logp` is unknown;
and the server computes in its own precision. Prompts are cut here, and rendered by the chat
template there: where the server counts other tokens than this side, a warning says so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from endpoint.ledger import SAMPLES, forget
from endpoint.outcome import NOT_ASKED, Unanswered
from endpoint.timing import Timing
from training.options import TrainingOptions
from training.policy import fingerprint
from training.prompts import Fitted, Prompt, fit
from training.registry import VERSION
from training.samplers.base import FinishReason, Progress, Sample, Sampling
from training.samplers.serving import vllm
from warehouse.errors import (
    MissingExtra,
    PolicyUnusable,
    SettingsError,
    SourceUnavailable,
    TrainingFailed,
)

if TYPE_CHECKING:
    from endpoint.asking import Answers
    from endpoint.drawing import Drawer, Drawn, Wanted
    from training.policy import Policy

_ENDED = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.REFUSED,
}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EndpointSampler:
    """Draws answers through [training.endpoint]; what was drawn once is not paid for again."""

    policy: Policy
    options: TrainingOptions
    progress: Progress | None = None
    timing: Timing | None = None  # None: the clock's

    @cached_property
    def _weights(self) -> str:
        """What answers are kept by: other weights may come to lie in the same folder."""
        return fingerprint(self.policy.source)

    def sample(self, prompts: Sequence[Prompt], parameters: Sampling, seed: int) -> list[Sample]:
        """See `Sampler.sample`. An answer that does not come is empty and REFUSED.

        Raises SettingsError, MissingExtra, PolicyUnusable where another policy is served,
        SourceUnavailable where nobody answers, TrainingFailed where the budget is spent.
        """
        fitted = [fit(p, parameters.max_prompt_tokens, self.policy.prompt_size) for p in prompts]
        name = served_name(self.policy.source, self.options)
        with closing(self._drawer(name, parameters)) as drawer:
            self._check(drawer, name)
            wanted = self._wanted([one.prompt for one in fitted], parameters, seed)
            answers = drawer.draw(wanted, self.progress)
        self._check_answers(answers)
        samples = [self._sample(*pair) for pair in zip(fitted, answers.values, strict=True)]
        self._compare(samples, answers)
        return samples

    def _drawer(self, name: str, parameters: Sampling) -> Drawer:
        options = self.options.endpoint
        if not options.base_url:
            raise SettingsError(
                '[training] sampler = "endpoint" needs `base_url` in [training.endpoint]: the '
                "address of the server. `driftmine sampler serve-vllm` prints how to start one."
            )
        if importlib.util.find_spec("httpx") is None:
            raise MissingExtra("sampling by an endpoint needs httpx: pip install '.[judge]'.")
        from endpoint.drawing import Drawer

        timing = self.timing or Timing()
        return Drawer(
            replace(options, model=name, max_reply_tokens=parameters.max_new_tokens),
            account=f"sample {timing.now():%Y-%m-%d}",
            timing=timing,
        )

    def _check(self, drawer: Drawer, name: str) -> None:
        from endpoint.transport import Failed

        url, served = self.options.endpoint.base_url, drawer.served()
        start = _how_to_serve(self.policy.source, name, self.options)
        if isinstance(served, Failed):
            raise SourceUnavailable(
                f"{url}: does not say which models it serves ({served.outcome}). Nothing was drawn "
                f"or registered. {start}"
            )
        found = next((one for one in served if one.id == name), None)
        if found is None:
            names = ", ".join(one.id for one in served) or "nothing"
            raise PolicyUnusable(
                f"{url}: serves {names}, and the policy to draw from is {name}. {start}"
            )
        loaded, ours = Path(found.root or "").name, Path(self.policy.source).name
        if VERSION.fullmatch(loaded) and loaded != ours:
            raise PolicyUnusable(
                f"{url}: what it calls {name} was loaded from {loaded}, and the policy to draw "
                f"from is {ours}. {start}"
            )

    def _wanted(self, prompts: Sequence[Prompt], parameters: Sampling, seed: int) -> list[Wanted]:
        from endpoint.drawing import Wanted
        from endpoint.transport import Drawing

        seen: Counter[Prompt] = Counter()
        wanted = []
        for prompt in prompts:
            messages = tuple({"role": str(m.role), "content": m.content} for m in prompt)
            drawing = Drawing(
                temperature=parameters.temperature,
                top_p=parameters.top_p,
                seed=_seed(seed, seen[prompt], messages),
                max_tokens=parameters.max_new_tokens,
            )
            seen[prompt] += 1
            wanted.append(Wanted(messages=messages, drawing=drawing, policy=self._weights))
        return wanted

    def _check_answers(self, answers: Answers[Drawn]) -> None:
        values = answers.values
        failed = Counter(str(v.outcome) for v in values if isinstance(v, Unanswered))
        if failed.total() == len(values) > 0 or failed.keys() & NOT_ASKED:
            raise TrainingFailed(
                f"{self.options.endpoint.base_url}: {failed.total()} of {len(values)} answers were "
                f"not drawn ({dict(failed)}). Nothing was registered, and those that were drawn "
                "are kept: look at the server and at the budget in [training.endpoint], run again."
            )
        if failed:
            _LOG.warning("endpoint: %d answers did not come: %s", failed.total(), dict(failed))

    def _sample(self, fitted: Fitted, answer: Drawn | Unanswered) -> Sample:
        asked = tuple(self.policy.prompt_ids(fitted.prompt))
        if isinstance(answer, Unanswered):
            text, reason = "", FinishReason.REFUSED
        else:
            text = answer.text
            reason = _ENDED.get(answer.finish_reason or "", FinishReason.LENGTH)
        tokenizer = self.policy.tokenizer
        tokens = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        if reason is FinishReason.STOP:
            tokens.append(tokenizer.eos_token_id)
        return Sample(
            text=text,
            prompt=asked,
            tokens=tuple(tokens),
            finish_reason=reason,
            prompt_cut=fitted.cut,
        )

    def _compare(self, samples: Sequence[Sample], answers: Answers[Drawn]) -> None:
        counted = [
            (len(sample.prompt), answer.tokens[0])
            for sample, answer in zip(samples, answers.values, strict=True)
            if not isinstance(answer, Unanswered) and answer.tokens
        ]
        if other := sum(here != there for here, there in counted):
            _LOG.warning(
                "endpoint: of %d prompts the server counts other tokens than this side for %d: is "
                "its chat template the policy's?",
                len(counted),
                other,
            )


def served_name(source: str, options: TrainingOptions) -> str:
    """What the server has to call a policy: the name set, or else its version. SettingsError."""
    name = options.endpoint.model or Path(source).name
    if options.endpoint.model or VERSION.fullmatch(name):
        return name
    raise SettingsError(
        f"[training.endpoint] model is not set, and {source} is no version whose name would do. "
        "Set it to the name that the server knows this policy by."
    )


def clear(options: TrainingOptions) -> int:
    """Forget the drawn answers: they are texts, and needed until a version is registered only."""
    return forget(Path(options.endpoint.store), SAMPLES) if options.sampler == "endpoint" else 0


def _how_to_serve(source: str, name: str, options: TrainingOptions) -> str:
    version = Path(source).name
    if VERSION.fullmatch(version):
        return f"`driftmine sampler serve-vllm {version}` prints the commands that serve it."
    return f"Serve it so: {vllm(source, name, options).shell[-1]}"


def _seed(seed: int, draw: int, messages: Sequence[object]) -> int:
    """One of its own for every draw, so that prompts do not share their luck."""
    digest = hashlib.sha256(msgspec.json.encode([seed, draw, messages])).digest()
    return int.from_bytes(digest[:4], "big") >> 1  # 31 bits: some servers take no more
