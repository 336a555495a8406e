"""Settings of training: section [training] of driftmine.toml, and those within it."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, get_args

from annotated_types import Ge, Gt, Interval

from training.judging.options import JudgeOptions
from training.samplers.options import SamplerOptions
from warehouse.records import ItemKind
from warehouse.selection import SelectionOptions, Wanted

Method = Literal["drift", "iterdpo", "spin", "seed"]
METHODS: tuple[str, ...] = get_args(Method)
# What an update must have enough of, where that is not DSAT.
_MAIN = {"spin": ItemKind.SAT, "seed": ItemKind.SEED}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """Limits that a candidate must keep. Never the margin, never the gradient norm."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    max_kl: Annotated[float, Gt(0)] = 0.5  # nats a sampled answer, to the champion
    max_length_ratio: Annotated[float, Gt(1)] = 1.3  # mean tokens of an answer, to the champion
    max_kl_base: Annotated[float, Gt(0)] = 5.0  # nats a sampled answer, to where the line began
    max_chosen_drop: Annotated[float, Ge(0)] = 0.05  # nats a token of held-out chosen answers
    max_truncated_rise: Annotated[float, Ge(0)] = 0.1  # of answers without an end
    max_canary_drop: Annotated[float, Ge(0)] = 0.02  # of the answers, beyond the 95% interval
    max_satisfied_drop: Annotated[float, Ge(0)] = 0.05  # nats a token, beyond the 95% interval
    min_win_rate: Annotated[float, Interval(ge=0, le=1)] | None = 0.5  # lower bound, where judged
    min_heldout: Annotated[int, Ge(1)] = 8  # held-out pairs; fewer say too little
    max_dropped_share: Annotated[float, Interval(ge=0, le=1)] = 0.2  # of leased turns without pair
    max_cut_share: Annotated[float, Interval(ge=0, le=1)] = 0.5  # of pairs that max_length cut
    start_margin_tolerance: Annotated[float, Gt(0)] = 1e-4  # |margin| before the first step


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOptions:
    """Limits that end an update early: far beyond the gate's, for what cannot pass it any more."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    looks: Annotated[int, Ge(0)] = 4  # at the policy, spread over an update; 0 = never
    max_kl: Annotated[float, Gt(0)] = 5.0  # nats an answer that the policy gave before
    max_length_ratio: Annotated[float, Gt(1)] = 2.0  # mean tokens of an answer, to before
    max_chosen_drop: Annotated[float, Gt(0)] = 0.5  # nats a token of held-out chosen answers


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraOptions:
    """Training a few weights beside the policy's own, which they are then added to."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    rank: Annotated[int, Ge(0)] = 0  # 0 = all weights are trained
    alpha: Annotated[float, Gt(0)] = 32
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    modules: tuple[str, ...] = ()  # names of the layers; empty: every linear one


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """How much a candidate is compared with the champion."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    heldout_turns: Annotated[int, Ge(1)] = 32  # with a judge, 384 tell 5 points of a win rate
    canaries: Annotated[int, Ge(0)] = 32  # held-out answers that users were satisfied with
    answers: Annotated[int, Ge(1)] = 2  # drawn a prompt and policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """What an ML engineer may set. Defaults are the paper's where a tiny policy can bear them."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    policy: str = ""  # folder or model name to start from; "" = the tiny policy of `init`
    method: Method = "drift"  # how pairs are made
    guided: bool = True  # drift: the chosen answer is sampled with the user's feedback in view
    max_feedback_gain: Annotated[float, Ge(0)] = 0  # drift: nats a token of a chosen answer; 0: any
    draw_from: Literal["policy", "base"] = "policy"  # base: where the line began, to compare with
    draws: Annotated[int, Ge(2)] = 4  # iterdpo: answers of which the best and the worst make a pair
    scorer: Literal["feedback", "reward", "judge"] = "feedback"  # iterdpo: what ranks them
    reward_model: str = ""  # folder or name; with one, the win rate over the champion is measured
    replay_share: Annotated[float, Interval(ge=0, lt=1)] = 0.0  # of the batch, from `replay`
    replay: Literal["seed", "sat"] = "seed"  # accepted revisions, or answers that satisfied
    stream: str = "default"  # no DSAT turn trains a model twice in one stream
    min_turns: Annotated[int, Ge(1)] = 32  # fewer fresh trainable turns: no update tonight
    max_turns: Annotated[int, Ge(1)] = 256  # of one batch
    holdout: Annotated[float, Interval(ge=0, lt=1)] = 0.1  # of conversations, never trained on
    lease_hours: Annotated[float, Gt(0)] = 1
    seed: int = 0
    trust_remote_code: tuple[str, ...] = ()  # policies, by exact name, whose own code may run

    temperature: Annotated[float, Gt(0)] = 0.7
    top_p: Annotated[float, Interval(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Ge(1)] = 512
    resample: Annotated[int, Ge(0)] = 2  # more draws where a sample makes no pair
    keep_cut_off: bool = False  # train on answers that max_new_tokens cut, as if they ended there
    max_prompt_tokens: Annotated[int, Ge(16)] = 1024  # cut from the left, counted
    sample_batch: Annotated[int, Ge(1)] = 32  # prompts sampled at once
    sampler: Literal["transformers", "endpoint"] = "transformers"  # what draws chosen answers

    max_length: Annotated[int, Ge(32)] = 2048  # prompt + answer, tokens
    max_pass_tokens: Annotated[int, Ge(64)] = 16384  # of one forward pass, padding and both answers
    beta: Annotated[float, Gt(0)] = 0.1
    sft_weight: Annotated[float, Ge(0)] = 0.001  # of the NLL term on the chosen answer
    learning_rate: Annotated[float, Gt(0)] = 5e-7
    warmup_ratio: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    epochs: Annotated[int, Ge(1)] = 1
    optimizer: Literal["rmsprop", "adamw"] = "rmsprop"
    batch_size: Annotated[int, Ge(1)] = 4  # pairs a step and device
    processes: Annotated[int, Ge(1)] = 1  # devices that the update is spread over
    launch_config: str = ""  # accelerate's YAML file for them; "" = plain data parallelism
    checkpoint_steps: Annotated[int, Ge(0)] = 100  # between two checkpoints; 0 = none
    tensorboard: bool = False  # write the update's curves to runs/ in the home

    lora: LoraOptions = field(default_factory=LoraOptions)
    stop: StopOptions = field(default_factory=StopOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    gate: GateOptions = field(default_factory=GateOptions)
    judge: JudgeOptions = field(default_factory=JudgeOptions)
    endpoint: SamplerOptions = field(default_factory=SamplerOptions)
    selection: SelectionOptions = field(default_factory=SelectionOptions)

    @property
    def needed_turns(self) -> int:
        """Fresh trainable turns from which an update is due: a smaller batch needs fewer."""
        return min(self.min_turns, self.max_turns - self._replayed)

    @property
    def _replayed(self) -> int:
        """Of a batch; one turn at least is of the method's own kind."""
        return min(round(self.replay_share * self.max_turns), self.max_turns - 1)

    @property
    def main(self) -> ItemKind:
        """What an update must have enough of."""
        return _MAIN.get(self.method, ItemKind.DSAT)

    @property
    def wanted(self) -> Wanted:
        """What one update leases: by its method, and by how much is replayed beside that."""
        replayed = self._replayed
        main = self.max_turns - replayed
        kinds = {"turns": 0, "satisfied": 0, "seeds": 0}
        kinds["satisfied" if self.replay == "sat" else "seeds"] += replayed
        kinds[{"spin": "satisfied", "seed": "seeds"}.get(self.method, "turns")] += main
        return Wanted(**kinds, minimum=self.needed_turns, main=self.main)
