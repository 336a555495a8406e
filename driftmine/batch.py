"""The batch that `driftmine train` would take: how much is fresh, and what is in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Group, RenderableType

from driftmine import render
from training.options import TrainingOptions
from warehouse import preview, streams
from warehouse.catalog import Catalog
from warehouse.preview import Preview
from warehouse.records import ItemKind

_NAMED = 10  # values of a column that the table shows; the rest are a number


class NextBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What the next update would lease."""

    fresh_trainable_turns: int  # as many as one batch could hold
    needed_turns: int
    batch_size: int  # turns of the method's kind; 0: too few are fresh, and nothing is leased
    stream: str
    batch: Preview


def waiting_turns(catalog: Catalog, options: TrainingOptions, now: dt.datetime) -> int:
    """How many turns of the method's kind one batch could hold: from `needed_turns` on one is due.

    DSAT turns, but for SPIN, which trains on answers that satisfied, and the seed's pairs.
    """
    return streams.fresh(
        catalog,
        stream=options.stream,
        holdout=options.holdout,
        now=now,
        seed=options.seed,
        selection=options.selection,
        kind=options.main,
    )


def waiting(catalog: Catalog, options: TrainingOptions, now: dt.datetime) -> dict[str, Any]:
    """What is fresh, in a few words."""
    count = waiting_turns(catalog, options, now)
    most = options.wanted.most[options.main]
    return {
        "fresh_trainable_turns": count,
        "needed_turns": options.needed_turns,
        "batch_size": min(count, most) if count >= options.needed_turns else 0,
        "stream": options.stream,
    }


def next_batch(catalog: Catalog, options: TrainingOptions, now: dt.datetime) -> NextBatch:
    """The batch that an update would lease now. Leases nothing."""
    batch = preview.preview(
        catalog,
        options.wanted,
        stream=options.stream,
        holdout=options.holdout,
        now=now,
        seed=options.seed,
        selection=options.selection,
    )
    facts = waiting(catalog, options, now) | {"batch_size": _main(batch, options)}
    return NextBatch(**facts, batch=batch)


def _main(batch: Preview, options: TrainingOptions) -> int:
    kinds = {ItemKind.DSAT: batch.turns, ItemKind.SAT: batch.satisfied, ItemKind.SEED: batch.seeds}
    return len(kinds[options.main])


def shown(found: NextBatch) -> RenderableType:
    """The table of `driftmine train --dry-run`."""
    batch = found.batch
    facts = [
        (
            "fresh trainable turns",
            f"{found.fresh_trainable_turns:,}, {found.needed_turns:,} needed",
        ),
        ("DSAT turns", len(batch.turns)),
        ("SAT turns", len(batch.satisfied)),
        ("seed pairs", len(batch.seeds)),
        ("stream", found.stream),
    ]
    if batch.turns or not (batch.satisfied or batch.seeds):
        facts += [("users", batch.users), ("clusters", batch.clusters)]
        return Group(render.facts("The next batch", facts), *_grids(found))
    return render.facts("The next batch", facts)


def _grids(found: NextBatch) -> Iterator[RenderableType]:
    batch = found.batch
    made_of: dict[str, Mapping[Any, int]] = {
        "category": batch.categories,
        "model": batch.models,
        "language": batch.languages,
        "night": batch.nights,
        "user (most turns)": batch.top_users,
        "cluster (most turns)": batch.top_clusters,
    }
    title = "DSAT turns of it" if batch.is_enough else "DSAT turns that wait, too few yet"
    rows = [
        (name, str(value), count)
        for name, counts in made_of.items()
        for value, count in _longest(counts)
    ]
    if rows:
        yield render.grid(title, ("by", "value", "turns"), rows)
    left = [(limit, count) for limit, count in batch.left_out.items() if count]
    if left:
        yield render.grid("Fresh turns left out", ("by", "turns"), left)


def _longest(counts: Mapping[Any, int]) -> Iterator[tuple[Any, int]]:
    listed = list(counts.items())
    yield from listed[:_NAMED]
    if rest := listed[_NAMED:]:
        yield f"{len(rest)} more", sum(count for _, count in rest)
