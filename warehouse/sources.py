"""Where the items of a batch come from: of each kind its tables, its candidates and their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa

from warehouse import rows, satisfied, seeds
from warehouse.records import DsatTurn, ItemKind, SatTurn, SeedPair

Item = DsatTurn | SatTurn | SeedPair

# A night's newest verdict on a turn counts.
_DSAT = """
SELECT turn_id, max(log_date) AS log_date, any_value(conversation_id) AS conversation_id,
    arg_max_null(user_key, log_date) AS user_key, arg_max_null(model, log_date) AS model,
    arg_max_null(category, log_date) AS category, arg_max_null(cluster, log_date) AS cluster,
    arg_max_null(language, log_date) AS language
FROM dsat_turns ANTI JOIN barred USING (user_key) WHERE {nights}
GROUP BY turn_id HAVING arg_max(trainable, log_date)"""
_READ_DSAT = """
SELECT dsat_turns.* FROM dsat_turns JOIN picked USING (turn_id, log_date)
ANTI JOIN barred USING (user_key) WHERE {nights}"""


class Source(NamedTuple):
    """One kind of item. Both texts of SQL take a condition on log_date."""

    tables: tuple[str, ...]
    pool: Callable[[str], str]  # of the candidates, one row each
    read: Callable[[str], str]  # of the items that the table `picked` names
    rows: Callable[[pa.Table], Sequence[Item]]
    prompt: str  # the field that holds messages


def _seeds(nights: str) -> str:
    complaints = _DSAT.format(nights=nights)
    return seeds.pool(nights, complaints=complaints, contents=satisfied.pool(nights))


SOURCES = {
    ItemKind.DSAT: Source(
        tables=("dsat_turns",),
        pool=lambda nights: _DSAT.format(nights=nights),
        read=lambda nights: _READ_DSAT.format(nights=nights),
        rows=rows.dsat_turns,
        prompt="context",
    ),
    ItemKind.SAT: Source(
        tables=satisfied.TABLES,
        pool=satisfied.pool,
        read=satisfied.read,
        rows=rows.sat_turns,
        prompt="context",
    ),
    ItemKind.SEED: Source(
        tables=seeds.TABLES,
        pool=_seeds,
        read=seeds.read,
        rows=rows.seed_pairs,
        prompt="prompt",
    ),
}


def id_of(item: Item) -> str:
    """What leases and lineage know an item by."""
    return item.pair_id if isinstance(item, SeedPair) else item.turn_id
