"""Runs that differ by their seed alone, and what may be said of them in a sentence. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from driftmine.sandbox.results import NightResult, RunResult

Figure = Callable[[NightResult], float | None]

METHODS = {"drift": "DRIFT", "iterdpo": "IterDPO", "spin": "SPIN"}
_SEED = re.compile(r"-seed\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs of one method with one set of settings; at least one, each of at least one night."""

    name: str  # of its runs, without the seed
    method: str
    runs: tuple[RunResult, ...]

    @property
    def label(self) -> str:
        """The name as people write it: `DRIFT no-gate`."""
        method, rest = METHODS.get(self.method, self.method), self.name.removeprefix(self.method)
        return f"{method} {rest.lstrip('-')}".strip()

    @property
    def plain(self) -> bool:
        """Whether this is a method as it is, nothing taken away and nothing added."""
        return self.name == self.method

    @property
    def nights(self) -> int:
        """Nights of its longest run."""
        return max(len(run.nights) for run in self.runs)

    @property
    def base(self) -> float:
        """Mean true reward of the policies that its runs began with."""
        return fmean(run.base_reward for run in self.runs)

    @property
    def end(self) -> float:
        """Mean true reward after the last night."""
        return fmean(run.nights[-1].true_reward for run in self.runs)

    @property
    def best(self) -> tuple[int, float]:
        """The night with the highest mean true reward after it, and that."""
        means = self.means(lambda night: night.true_reward)
        return max(enumerate(means, 1), key=lambda pair: pair[1])

    @property
    def chance(self) -> float:
        """By how much the gain could differ from 0 by chance: two standard errors.

        Over tasks, as if base and end were asked different ones, which errs on the safe side.
        Several runs make it no smaller: they are all asked the same.
        """
        ends = fmean(run.nights[-1].reward_error for run in self.runs)
        return 2 * math.hypot(self.runs[0].base_error, ends)

    @property
    def verdict(self) -> str:
        """`gained`, `lost`, or `not told from chance`."""
        gains = [run.gain for run in self.runs]
        if abs(fmean(gains)) <= self.chance or min(gains) * max(gains) < 0:
            return "not told from chance"
        return "gained" if gains[0] > 0 else "lost"

    def means(self, figure: Figure) -> list[float]:
        """A figure's mean over the runs, night by night; NaN where no run has it."""
        return [self._mean(figure, number) for number in range(self.nights)]

    def _mean(self, figure: Figure, number: int) -> float:
        nights = (run.nights[number] for run in self.runs if number < len(run.nights))
        found = [value for value in map(figure, nights) if value is not None]
        return fmean(found) if found else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What became of the updates of some runs, beside the truth that no gate sees."""

    promoted: int = 0
    promoted_worse: int = 0  # clearly: by more than two standard errors
    held: int = 0
    held_worse: int = 0
    held_better: int = 0
    without: int = 0  # nights without an update


def grouped(done: Sequence[RunResult]) -> tuple[Group, ...]:
    """The groups of runs: methods as they are first, then the others, each as they come."""
    found: dict[str, list[RunResult]] = {}
    for run in done:
        found.setdefault(_SEED.sub("", run.name), []).append(run)
    groups = [
        Group(name=name, method=runs[0].method, runs=tuple(runs)) for name, runs in found.items()
    ]
    return tuple(sorted(groups, key=lambda group: not group.plain))


def gate_of(runs: Sequence[RunResult]) -> Gate:
    """How often the gate of these runs was right."""
    found = list(_updates(runs))
    promoted = [change for change, through in found if through]
    held = [change for change, through in found if not through]
    return Gate(
        promoted=len(promoted),
        promoted_worse=sum(change == -1 for change in promoted),
        held=len(held),
        held_worse=sum(change == -1 for change in held),
        held_better=sum(change == 1 for change in held),
        without=sum(night.version is None for run in runs for night in run.nights),
    )


def _updates(runs: Sequence[RunResult]) -> Iterator[tuple[int, bool]]:
    """Clearly better (1), clearly worse (-1) or neither (0), and whether it was promoted."""
    for run in runs:
        before, error = run.base_reward, run.base_error
        for night in run.nights:
            if night.version is not None:
                assert night.candidate_reward is not None, "every version is examined"
                assert night.candidate_error is not None
                change = night.candidate_reward - before
                clear = abs(change) > 2 * math.hypot(error, night.candidate_error)
                yield (0 if not clear else 1 if change > 0 else -1), night.promoted
            before, error = night.true_reward, night.reward_error


def headline(groups: Sequence[Group]) -> list[str]:
    """What came of the runs, in sentences for somebody who knows none of the terms.

    Methods as they are, where there are any, and what they do without a gate; the rest is in the
    tables.
    """
    chosen = [group for group in groups if group.plain] or list(groups)
    nights = max(group.nights for group in chosen)
    during = f"{nights} nights" if nights > 1 else "one night"
    told = [f"After {during} of learning from its users, {_change(chosen[0])}."]
    told += [f"{_change(group)}." for group in chosen[1:]]
    guarded = [run for group in groups for run in group.runs if not _free(group)]
    told += _gate(gate_of(guarded))
    return told + [f"{_change(group)}." for group in groups if _free(group) and group not in chosen]


def _free(group: Group) -> bool:
    return "no-gate" in group.runs[0].ablations


def _change(group: Group) -> str:
    ends = [run.nights[-1].true_reward for run in group.runs]
    of = "one run" if len(ends) == 1 else f"{len(ends)} runs: {min(ends):.1%} to {max(ends):.1%}"
    between = f"from {group.base:.1%} to {group.end:.1%}"
    verdict = group.verdict
    if verdict == "gained":
        return f"{group.label} raised the share of right answers {between} ({of})"
    if verdict == "lost":
        return f"{group.label} made the policy worse: right answers fell {between} ({of})"
    return f"{group.label} changed nothing that stands out from chance: {between} ({of})"


def _gate(gate: Gate) -> Iterator[str]:
    updates = gate.promoted + gate.held
    if not updates:
        return
    yield (
        f"Of {updates} {'update' if updates == 1 else 'updates'} the gate let {gate.promoted} "
        f"through ({gate.promoted_worse} clearly worse than what had served) and held {gate.held}"
        + (f" ({gate.held_worse} clearly worse, {gate.held_better} clearly better)." if gate.held
           else ".")
    )  # fmt: skip
