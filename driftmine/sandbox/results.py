"""What a sandbox run reports. `null` where a night has no such figure: no update, no DSAT."""

from __future__ import annotations

import datetime as dt

import msgspec


class NightResult(msgspec.Struct, frozen=True, kw_only=True):
    """One night: how the day went, what was mined of it, what became of the update."""

    night: int  # from 1
    log_date: dt.date
    served_by: str  # "base", or the version that answered this day's users
    # The champion after the night, on requests that nobody asks.
    true_reward: float  # share of right answers, sampled as they are served
    reward_error: float  # its standard error, over tasks
    drawn_reward: float  # at the temperature that training draws by
    greedy_reward: float
    # Drawn again where a user has said what was wrong: what DRIFT's chosen answers are worth.
    told_reward: float | None
    distinct_correct: float  # different right answers among four samples
    tokens: float  # of a sampled answer
    candidate_reward: float | None  # of the version that was trained, held or not; sampled
    candidate_error: float | None
    # The day's users. A rate of follow-ups says nothing of those who leave without a word.
    answers: int
    follow_ups: int
    dsat_true: float  # answers that users were dissatisfied with, of all answers
    dsat_said: float  # follow-ups of dissatisfied users, of all follow-ups
    dsat_mined: float  # follow-ups that were mined as DSAT, of all follow-ups
    detector_precision: float | None  # against what users thought
    detector_recall: float | None
    # The update.
    pairs: int
    # Of the batch: the logged answer is what it was leased as: wrong, or (SPIN's) right.
    clean_turns: float | None
    hostile_turns: float | None  # of the batch: from hostile users
    kl: float | None  # nats an answer, candidate to champion
    kl_base: float | None
    length_ratio: float | None
    gradient_norm: float | None  # of the DPO term, before the update
    gradient_norm_after: float | None
    margin: float | None  # of the trained pairs, after it
    chosen_change: float | None  # nats a token of held-out chosen answers
    version: str | None
    promoted: bool
    gate: tuple[str, ...]  # why the candidate was held
    note: str  # of logs that were held back, or why there was no update; ""
    seconds: dict[str, float]  # serve, ingest, mine, train, report, examine


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One method with one seed."""

    name: str
    method: str
    seed: int
    learning_rate: float
    ablations: tuple[str, ...]
    base_reward: float
    base_error: float
    base_drawn: float
    base_greedy: float
    base_told: float | None
    base_distinct: float
    nights: tuple[NightResult, ...]

    @property
    def gain(self) -> float:
        """True reward at the end over the base's."""
        return self.nights[-1].true_reward - self.base_reward
