"""The draw of a whole batch: what `leases.acquire` leases and `preview` shows."""

from __future__ import annotations

from typing import NamedTuple

from warehouse.candidates import Candidates
from warehouse.limits import Dated
from warehouse.records import ItemKind
from warehouse.selection import Terms, Wanted


class Choice(NamedTuple):
    """What a batch would hold, by kind, the main one first."""

    items: dict[ItemKind, Dated]
    is_enough: bool  # or it is of the main kind alone, and is not leased


def choose(found: Candidates, wanted: Wanted, terms: Terms) -> Choice:
    """Draw each kind that is wanted.

    A seed pair and the DSAT turn that it began with have one id, and a batch holds one of them.
    """
    chosen: dict[ItemKind, Dated] = {}
    for kind, number in wanted.most.items():
        taken = [id for held in chosen.values() for id in held]
        chosen[kind] = found.draw(kind, terms, n=number, without=taken)
        if len(chosen) == 1 and len(chosen[kind]) < max(wanted.minimum, 1):
            return Choice(chosen, is_enough=False)
    return Choice(chosen, is_enough=True)
