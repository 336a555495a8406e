"""Settings of training: sections [training], [training.gate] and [training.judge]."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from training.judging.options import JudgeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """Limits that a candidate must keep. Never the margin, never the gradient norm."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    max_kl: Annotated[float, Gt(0)] = 0.5  # nats a sampled answer, to the champion
    max_length_ratio: Annotated[float, Gt(1)] = 1.3  # mean tokens of an answer, to the champion
    max_chosen_drop: Annotated[float, Ge(0)] = 0.05  # nats a token of held-out chosen answers
    min_heldout: Annotated[int, Ge(1)] = 8  # held-out pairs; fewer say too little
    max_dropped_share: Annotated[float, Interval(ge=0, le=1)] = 0.2  # of leased turns without pair
    start_margin_tolerance: Annotated[float, Gt(0)] = 1e-4  # |margin| before the first step


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """What an ML engineer may set. Defaults are the paper's where a tiny policy can bear them."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    policy: str = ""  # folder or model name to start from; "" = the tiny policy of `init`
    method: Literal["drift"] = "drift"
    guided: bool = True  # the chosen answer is sampled with the user's feedback in view
    stream: str = "default"  # no DSAT turn trains a model twice in one stream
    min_turns: Annotated[int, Ge(1)] = 32  # fewer fresh trainable turns: no update tonight
    max_turns: Annotated[int, Ge(1)] = 256  # of one batch
    holdout: Annotated[float, Interval(ge=0, lt=1)] = 0.1  # of conversations, never trained on
    lease_hours: Annotated[float, Gt(0)] = 1
    seed: int = 0

    temperature: Annotated[float, Gt(0)] = 0.7
    top_p: Annotated[float, Interval(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Ge(1)] = 512
    resample: Annotated[int, Ge(0)] = 2  # more draws where a sample makes no pair
    keep_cut_off: bool = True  # train on chosen answers that max_new_tokens cut off
    max_prompt_tokens: Annotated[int, Ge(16)] = 1024  # cut from the left, counted
    sample_batch: Annotated[int, Ge(1)] = 32  # prompts sampled at once

    max_length: Annotated[int, Ge(32)] = 2048  # prompt + answer, tokens
    beta: Annotated[float, Gt(0)] = 0.1
    sft_weight: Annotated[float, Ge(0)] = 0.001  # of the NLL term on the chosen answer
    learning_rate: Annotated[float, Gt(0)] = 5e-7
    warmup_ratio: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    epochs: Annotated[int, Ge(1)] = 1
    batch_size: Annotated[int, Ge(1)] = 4
    gate: GateOptions = field(default_factory=GateOptions)
    judge: JudgeOptions = field(default_factory=JudgeOptions)

    @property
    def needed_turns(self) -> int:
        """Fresh trainable turns from which an update is due: a smaller batch needs fewer."""
        return min(self.min_turns, self.max_turns)
