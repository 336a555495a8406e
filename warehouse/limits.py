"""The draw: the first candidates in line that break no cap, whatever the caps.

A candidate is taken unless one of its groups (its user, its cluster, ...) is full by then. That is
decided for many at once: one that would be taken even if all before it in its groups were is taken
now, one with a full group is left out, and the rest wait for the next round. The rounds end with
exactly what one look at each in turn would take. Of a line in random order they are few: Blelloch,
Fineman and Shun, Greedy sequential maximal independent set and matching are parallel on average,
SPAA 2012.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import duckdb

Dated = Mapping[str, dt.date]  # ids, in order, each with the night of its newest row

_FIRST = "SELECT turn_id, log_date FROM ({pool}) ORDER BY {order} LIMIT $n"
# Strata take turns by their own order, so that no user is used up by the first of them.
_LINE = """
CREATE OR REPLACE TEMP TABLE line AS
SELECT turn_id, log_date, {columns} row_number() OVER (ORDER BY turn, {order}) AS place,
    stratum, {unlimited} AS taken
FROM (SELECT *, {stratum} AS stratum, {turn} AS turn FROM ({pool}))"""
_ROUND = """
CREATE OR REPLACE TEMP TABLE line AS
SELECT * EXCLUDE (taken, {helpers}), taken OR ({sure}) AS taken
FROM (SELECT *, {windows} FROM line) WHERE taken OR ({open})"""
_WINDOWS = """count_if(taken) OVER (PARTITION BY {column}) AS used_{column},
    count_if(NOT taken) OVER (PARTITION BY {column} ORDER BY place ROWS UNBOUNDED PRECEDING)
        AS next_{column}"""
_TURN = "row_number() OVER (PARTITION BY {stratum} ORDER BY {order})"
_TAKEN = "SELECT turn_id, log_date FROM line ORDER BY {turn}, place LIMIT $n"


def draw(
    connection: duckdb.DuckDBPyConnection,
    pool: str,
    params: Mapping[str, Any],
    *,
    n: int,
    order: str,
    caps: Mapping[str, int],
    stratum: str = "",
) -> Dated:
    """The first `n` of a pool's rows, in `order`, that break no cap.

    `pool`: SQL with `params`, of columns turn_id (unique), log_date, each that is capped and the
    stratum's. `order`: total, or the draw depends on more than the rows. With a `stratum`, its
    values take turns among all that the caps let through. Fewer than `n` are all that fit: each
    that is left out would break a cap.
    """
    if not caps and not stratum:
        first = _FIRST.format(pool=pool, order=order)
        return dict(connection.execute(first, {**params, "n": n}).fetchall())
    line = _LINE.format(
        columns="".join(f"{column}, " for column in caps),
        order=order,
        stratum=stratum or "0",
        turn=_TURN.format(stratum=stratum, order=order) if stratum else "0",
        unlimited=not caps,
        pool=pool,
    )
    connection.execute(line, params)
    while caps and _is_open(connection):
        connection.execute(_round(caps))
    turn = _TURN.format(stratum="stratum", order="place") if stratum else "place"
    drawn = dict(connection.execute(_TAKEN.format(turn=turn), {"n": n}).fetchall())
    connection.execute("DROP TABLE line")
    return drawn


def _is_open(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT count_if(NOT taken) FROM line").fetchall()[0][0])


def _round(caps: Mapping[str, int]) -> str:
    """A cap of a column that is null does not count."""
    return _ROUND.format(
        helpers=", ".join(f"used_{column}, next_{column}" for column in caps),
        windows=", ".join(_WINDOWS.format(column=column) for column in caps),
        sure=" AND ".join(
            f"({column} IS NULL OR used_{column} + next_{column} <= {most})"
            for column, most in caps.items()
        ),
        open=" AND ".join(
            f"({column} IS NULL OR used_{column} < {most})" for column, most in caps.items()
        ),
    )
