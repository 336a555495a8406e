"""What the command was asked for, and the runs that it means. Pure."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import cast

from driftmine.sandbox.setup import ABLATIONS, LEARNING_RATES, METHODS, Ablation, Method, Setup
from driftmine.sandbox.users import Behaviour
from warehouse.errors import SettingsError

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The words of one command."""

    method: str  # one of METHODS, or ALL
    seeds: tuple[int, ...]
    nights: int
    users: int
    pairs: int
    noise: float
    poison: float
    learning_rate: float | None
    reward_noise: float | None
    ablations: tuple[str, ...]
    policy: str  # folder; "" = the shipped one

    @property
    def folder(self) -> str:
        """The policy's, whole."""
        return os.path.abspath(os.path.expanduser(self.policy)) if self.policy else ""

    def setups(self, shipped: str) -> list[Setup]:
        """One a method and seed; `shipped`: folder of the policy that comes along.

        Raises SettingsError where a name is not known.
        """
        methods = METHODS if self.method == ALL else (self.method,)
        for name in methods:
            _known("--method", name, (*METHODS, ALL))
        for name in self.ablations:
            _known("--ablation", name, ABLATIONS)
        if self.reward_noise is not None and "iterdpo" not in methods:
            raise SettingsError("--reward-noise: only iterdpo ranks answers; add --method iterdpo.")
        behaviour = Behaviour(
            false_complaints=self.noise, false_content=self.noise, hostile=self.poison
        )
        return [
            Setup(
                method=cast(Method, method),
                seed=seed,
                nights=self.nights,
                users=self.users,
                pairs=self.pairs,
                behaviour=behaviour,
                learning_rate=self.learning_rate or LEARNING_RATES[method],
                ablations=cast(tuple[Ablation, ...], tuple(sorted({*self.ablations}))),
                # Nothing else ranks answers.
                reward_noise=self.reward_noise if method == "iterdpo" else None,
                policy=self.folder or shipped,
            )
            for method in methods
            for seed in self.seeds
        ]


def _known(flag: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
        raise SettingsError(f"{flag} {name}: no such name; {hint}")
