"""What one pair is made of: a conversation to answer, and what is known of answers to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from training.prompts import Prompt, well_formed, without_system
from warehouse.records import DsatTurn, SatTurn, SeedPair


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A conversation that ends with a user's message."""

    turn_id: str  # of the follow-up that it comes from, or of the seed pair
    prompt: Prompt
    accepted: str | None = None  # an answer that its user was satisfied with
    rejected: str | None = None  # an answer that its user was dissatisfied with
    feedback: str | None = None  # what the user said of `rejected`
    user_key: str | None = None

    @property
    def user(self) -> str:
        """Whose it is, for intervals that draw users; nobody else's where that is unknown."""
        return self.user_key or self.turn_id

    @property
    def answers(self) -> tuple[str, ...]:
        """The logged answers that there are."""
        return tuple(answer for answer in (self.accepted, self.rejected) if answer is not None)


def of_dsat(turn: DsatTurn) -> Example:
    """From a real answer and the follow-up that was dissatisfied with it."""
    return Example(
        turn_id=turn.turn_id,
        prompt=turn.context,
        rejected=turn.answer,
        feedback=turn.feedback,
        user_key=turn.user_key,
    )


def of_sat(turn: SatTurn) -> Example:
    """From a real answer that its user was satisfied with."""
    return Example(
        turn_id=turn.turn_id, prompt=turn.context, accepted=turn.answer, user_key=turn.user_key
    )


def of_seed(pair: SeedPair) -> Example:
    """From an answer and a better one to the same prompt."""
    return Example(
        turn_id=pair.pair_id,
        prompt=pair.prompt,
        accepted=pair.chosen,
        rejected=pair.rejected,
        user_key=pair.user_key,
    )


def formed(example: Example, *, takes_system: bool) -> Example:
    """With its prompt in the order of roles that chat templates take."""
    prompt = well_formed(example.prompt)
    return replace(example, prompt=prompt if takes_system else without_system(prompt))
