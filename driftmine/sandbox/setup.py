"""What a run of the sandbox is: its method, its users, its settings. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, get_args

from driftmine.sandbox.users import Behaviour

Method = Literal["drift", "iterdpo", "spin"]
METHODS: tuple[str, ...] = get_args(Method)
Ablation = Literal[
    "unguided", "from-base", "off-request", "perfect-detector", "no-gate", "no-threshold", "no-caps"
]
ABLATIONS: tuple[str, ...] = get_args(Ablation)

# Of each method the best at which no night moved too far, on a seed apart (docs/sandbox.md).
LEARNING_RATES = {"drift": 2e-4, "iterdpo": 3e-4, "spin": 2e-4}
_NONE = 1e9  # a limit that nothing reaches
_NO_GATE: dict[str, object] = {
    "max_kl": _NONE, "max_length_ratio": _NONE, "max_kl_base": _NONE, "max_chosen_drop": _NONE,
    "max_truncated_rise": _NONE, "max_canary_drop": _NONE, "max_satisfied_drop": _NONE,
    "min_heldout": 1, "max_dropped_share": 1.0, "max_cut_share": 1.0,
}  # fmt: skip
# What a run has where nothing else is asked for.
USERS = 800
LEASE_HOURS = 0.05  # kept up by heartbeats; for a run that was killed it is waited so long
PAIRS = 384


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One run: a method, a seed, and what else is asked for."""

    method: Method
    seed: int
    nights: int
    users: int  # a night
    pairs: int  # wanted a night: turns of a batch
    behaviour: Behaviour
    learning_rate: float
    ablations: tuple[Ablation, ...] = ()
    reward_noise: float | None = None  # of a simulated reward model, in faults; None: there is none
    policy: str  # folder
    prompts: int = 300  # held-out ones that the true reward is measured on

    @property
    def name(self) -> str:
        """Of the run's folder: its method and seed, and whatever is not as usual."""
        is_, usual = self.behaviour, Behaviour()
        told = (
            ("", self.learning_rate, LEARNING_RATES[self.method]),
            ("users-", self.users, USERS),
            ("pairs-", self.pairs, PAIRS),
            ("noise-", is_.false_complaints, usual.false_complaints),
            ("hostile-", is_.hostile, usual.hostile),
        )
        own = [f"{word}{value:g}" for word, value, default in told if value != default]
        if self.reward_noise is not None:
            own.append(f"reward-noise-{self.reward_noise:g}")
        return "-".join((self.method, *self.ablations, *own, f"seed{self.seed}"))


def settings_of(setup: Setup) -> str:
    """driftmine.toml of the run's home: what a product of this size sets, and what is taken away.

    Everything that is left out has its default.
    """
    off = setup.ablations
    caps = "no-caps" not in off
    mining: dict[str, object] = {
        "max_per_user": 20 if caps else 10**6,
        "max_per_prompt": 1 if caps else 10**6,
    }
    if "no-threshold" in off:
        mining["trainable_threshold"] = 0.0
    sections: dict[str, dict[str, object]] = {
        "mining": mining,
        "training": _training(setup),
        "training.selection": {"per_user": 1 if caps else 0, "per_cluster": 2 if caps else 0},
        "training.evaluation": {"heldout_turns": 64, "canaries": 64, "answers": 4},
    }
    if "no-gate" in off:
        sections["training.stop"] = {"looks": 0}
        sections["training.gate"] = _NO_GATE
    else:  # a third of a batch may be of users who asked for something else
        sections["training.gate"] = {"max_dropped_share": 0.5}
    return "\n".join(
        "\n".join([f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in some.items()), ""])
        for section, some in sections.items()
    )


def _training(setup: Setup) -> dict[str, object]:
    off = setup.ablations
    return {
        "policy": setup.policy,
        "method": setup.method,
        "guided": "unguided" not in off,
        "max_feedback_gain": 0.0 if "off-request" in off else 1.0,
        "draw_from": "base" if "from-base" in off else "policy",
        "min_turns": min(32, setup.pairs),
        "max_turns": setup.pairs,
        "learning_rate": setup.learning_rate,
        # Above the paper's: so small a policy falls apart at steps that a large one bears.
        "beta": 0.3,
        "sft_weight": 1.0,
        "seed": setup.seed,
        "max_new_tokens": 48,
        "max_prompt_tokens": 384,
        "max_length": 512,
        "sample_batch": 256,
        "batch_size": 16,
        "checkpoint_steps": 0,
        "lease_hours": LEASE_HOURS,
    }


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
