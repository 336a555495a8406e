"""The next batch, without leasing it: what is in it, and what its selection leaves out."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa

from warehouse import batch_rows
from warehouse.candidates import Candidates, candidates, caps, unused
from warehouse.catalog import Catalog
from warehouse.drawing import choose
from warehouse.limits import Dated
from warehouse.reading import literal
from warehouse.records import ItemKind
from warehouse.selection import UNLIMITED, SelectionOptions, Terms, Wanted

_TOP = 10  # users and clusters that are named

_MAKE_UP = """
SELECT category, model, language, log_date, user_key, cluster
FROM ({pool}) SEMI JOIN batch USING (turn_id)"""
# Each unused turn beside the batch, with whether each limit alone would keep it out.
_LEFT_OUT = """
WITH unused AS (FROM ({pool})), {full}
SELECT {columns}, count_if(NOT ({barred})) FROM unused ANTI JOIN batch USING (turn_id)"""
_FULL = """full_{column} AS (
    SELECT {column} FROM unused SEMI JOIN batch USING (turn_id)
    WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) >= {most}
)"""
_NAMES = {
    "user_key": "per_user",
    "model": "per_model",
    "category": "per_category",
    "cluster": "per_cluster",
}


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The batch that `leases.acquire` would lease, in its order, and what it is made of."""

    is_enough: bool  # or nothing is leased: then all below but the ids is of what waits
    turns: tuple[str, ...]  # ids
    satisfied: tuple[str, ...]
    seeds: tuple[str, ...]
    waiting: int  # turns that the figures are of
    categories: dict[str, int]  # how many DSAT turns of each, most first
    models: dict[str, int]
    languages: dict[str, int]
    nights: dict[dt.date, int]  # newest first
    users: int  # how many there are, of turns that tell theirs
    top_users: dict[str, int]  # the first digits of the key -> turns
    clusters: int
    top_clusters: dict[str, int]
    # Unused turns that are not drawn, by the limits that keep them out; several may keep out one.
    # "max_turns": by none, they wait for the next batch.
    left_out: dict[str, int]


def preview(
    catalog: Catalog,
    wanted: Wanted,
    *,
    stream: str,
    holdout: float,
    now: dt.datetime,
    seed: int,
    selection: SelectionOptions = UNLIMITED,
) -> Preview:
    """What `acquire`, asked the same, would lease at `now`. Nothing is held or written."""
    terms = Terms(stream=stream, holdout=holdout, seed=seed, now=now, selection=selection)
    kinds = {ItemKind.DSAT, *wanted.most}
    with catalog.read() as connection:
        taken = batch_rows.held_ids(connection, stream, now)
        with candidates(connection, catalog, held=taken, kinds=kinds) as found:
            chosen = choose(found, wanted, terms)
            leased = chosen.items if chosen.is_enough else {}
            turns, satisfied, seeds = (tuple(leased.get(kind, ())) for kind in ItemKind)
            return Preview(
                is_enough=chosen.is_enough,
                turns=turns,
                satisfied=satisfied,
                seeds=seeds,
                **_make_up(found, chosen.items.get(ItemKind.DSAT, {}), terms),
            )


def _make_up(found: Candidates, batch: Dated, terms: Terms) -> dict[str, Any]:
    found.duckdb.register("batch", pa.table({"turn_id": pa.array(list(batch), pa.string())}))
    # What a batch was drawn from, whatever its night and language.
    pool = unused(ItemKind.DSAT, replace(terms, selection=UNLIMITED), dt.date.min)
    params = {"stream": terms.stream, "holdout": terms.holdout}
    rows = found.duckdb.execute(_MAKE_UP.format(pool=pool), params).fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * 6
    categories, models, languages, nights, users, clusters = columns
    return {
        "waiting": len(rows),
        "categories": _counted(categories),
        "models": _counted(models),
        "languages": _counted(languages),
        "nights": dict(sorted(Counter(nights).items(), reverse=True)),
        "users": len(set(users) - {None}),
        "top_users": _top(users),
        "clusters": len(set(clusters) - {None}),
        "top_clusters": _top(clusters),
        "left_out": _left_out(found, pool, params, terms),
    }


def _left_out(found: Candidates, pool: str, params: dict[str, Any], terms: Terms) -> dict[str, int]:
    most = caps(ItemKind.DSAT, terms)
    bars = {_NAMES[column]: f"coalesce({column} IN (FROM full_{column}), false)" for column in most}
    if terms.selection.fresh_days:
        bars["fresh_days"] = f"log_date < DATE '{terms.since}'"
    if languages := terms.selection.languages:
        listed = ", ".join(literal(language.lower()) for language in languages)
        bars["languages"] = f"coalesce(language NOT IN ({listed}), true)"
    full = [_FULL.format(column=column, most=number) for column, number in most.items()]
    sql = _LEFT_OUT.format(
        pool=pool,
        full=", ".join(full or ["nothing AS (SELECT 1)"]),
        columns=", ".join(f"count_if({bar})" for bar in bars.values()) or "0",
        barred=" OR ".join(bars.values()) or "false",
    )
    counts = found.duckdb.execute(sql, params).fetchall()[0]
    return dict(zip([*bars, "max_turns"], counts if bars else counts[1:], strict=True))


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    """Most first; what is not told is "unknown"."""
    counts = Counter(value or "unknown" for value in values)
    return dict(sorted(counts.items(), key=lambda count: (-count[1], count[0])))


def _top(keys: Iterable[str | None]) -> dict[str, int]:
    """Keys shortened: enough to find one, and no list of users."""
    counts = Counter(key for key in keys if key is not None)
    most = sorted(counts.items(), key=lambda count: (-count[1], count[0]))[:_TOP]
    shown: dict[str, int] = {}
    for key, count in most:
        shown[key[:8]] = max(count, shown.get(key[:8], 0))
    return shown
