"""What a batch is drawn from: how many of which kind, and how much of anything it may hold."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Len

from warehouse.records import ItemKind


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionOptions:
    """Limits of one batch: section [training.selection] of driftmine.toml.

    Each kind of item is limited by itself. No limit: None or 0. What an item does not tell (its
    user, its model) does not limit it.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    fresh_days: Annotated[int, Ge(0)] | None = None  # only nights of the last so many days
    per_user: Annotated[int, Ge(0)] | None = 8  # most turns of one batch from one user
    per_model: Annotated[int, Ge(0)] | None = None  # that answered
    per_category: Annotated[int, Ge(0)] | None = None  # of DSAT
    per_cluster: Annotated[int, Ge(0)] | None = 2  # of near-duplicate conversations
    stratify: Literal["", "category", "language", "model"] = ""  # strata take turns
    languages: tuple[Annotated[str, Len(2, 2)], ...] = ()  # ISO 639-1; empty: any

    @property
    def caps(self) -> dict[str, int]:
        """Column -> how many of one batch may have the same value there."""
        found = {
            "user_key": self.per_user,
            "model": self.per_model,
            "category": self.per_category,
            "cluster": self.per_cluster,
        }
        return {column: most for column, most in found.items() if most}

    def since(self, now: dt.datetime) -> dt.date:
        """The oldest night that counts as fresh at `now` (UTC)."""
        if not self.fresh_days:
            return dt.date.min
        return now.date() - dt.timedelta(days=min(self.fresh_days, now.date().toordinal() - 1))


UNLIMITED = SelectionOptions(per_user=None, per_cluster=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How much one lease shall hold.

    Raises ValueError where nothing is wanted, or nothing of the main kind.
    """

    turns: int = 0  # DSAT turns
    satisfied: int = 0  # SAT turns
    seeds: int = 0  # seed pairs
    minimum: int = 1  # of the main kind: where fewer are left nothing is leased
    main: ItemKind | None = None  # None: the first of DSAT, SAT and seeds of which any is wanted

    def __post_init__(self) -> None:
        if not self.most:
            raise ValueError("a lease of nothing: turns, satisfied and seeds are all 0")
        if self.main is not None and self.main not in self.most:
            raise ValueError(f"{self.main.value} is the main kind, and none is wanted")

    @property
    def most(self) -> dict[ItemKind, int]:
        """The kinds that are wanted, each with its number; the main one first."""
        numbers = zip(ItemKind, (self.turns, self.satisfied, self.seeds), strict=True)
        found = {kind: number for kind, number in numbers if number > 0}
        return dict(sorted(found.items(), key=lambda kind: kind[0] is not self.main))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For whom a batch is drawn, and of what."""

    stream: str
    holdout: float  # share of conversations that no stream is ever given
    seed: int  # of the draw within a night
    now: dt.datetime
    selection: SelectionOptions = UNLIMITED

    @property
    def since(self) -> dt.date:
        """The oldest night that turns may be of."""
        return self.selection.since(self.now)
