"""Conversations that a run would take away: of logs that another log has taken the place of.

A log that is read again replaces all that came of it. Of one that was mended, or has grown, most
comes again; of one that was overwritten by the next, nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import duckdb

from warehouse.errors import QualityLimit

# Logs that a message names; the rest are a number.
_NAMED = 5

# By id or, where ids were made anew, by all that is said. What an erased user said is meant to go.
_LOST = """
WITH held AS (
    SELECT origin_file, conversation_id, bool_or(
        conversation_id IN (SELECT conversation_id FROM staged)
        OR coalesce(content_hash IN (
            SELECT content_hash FROM staged WHERE content_hash IS NOT NULL
        ), false)
    ) AS comes_again
    FROM replaced_conversations
    WHERE user_key IS NULL OR NOT list_contains($erased, user_key) GROUP BY ALL
)
SELECT origin_file, count(*) FILTER (NOT comes_again) AS lost, count(*)
FROM held GROUP BY origin_file HAVING lost > 0 ORDER BY origin_file
"""


class Lost(NamedTuple):
    """Of the conversations that a run replaces of a log, those that no record of it holds."""

    log: str
    lost: int
    held: int  # before, those of erased users not counted


def find(connection: duckdb.DuckDBPyConnection, erased: Collection[str]) -> list[Lost]:
    """From the tables of a scene; only logs of which something is lost. `erased`: users' keys."""
    found = connection.execute(_LOST, {"erased": list(erased)}).fetchall()
    return [Lost(*row) for row in found]


def check(found: Sequence[Lost], max_lost_share: float) -> None:
    """Raise QualityLimit where a log loses more than that share of its conversations."""
    over = [log for log in found if log.lost > max_lost_share * log.held]
    if not over:
        return
    named = "\n".join(
        f"  {log.log}: {log.lost} of the {log.held} conversations that came of it"
        for log in over[:_NAMED]
    )
    more = f"\n  and of {len(over) - _NAMED} more logs" if len(over) > _NAMED else ""
    raise QualityLimit(
        f"Logs hold something else by now, and so many conversations would be gone, over the limit "
        f"of {max_lost_share:.0%} ([ingestion] max_lost_share):\n{named}{more}\n"
        "Nothing was published. Where the next log was written over the former, give each a name "
        "of its own, with {date} in its path say; where a log was corrected on purpose, set the "
        "limit to 1 for one run: DRIFTMINE_INGESTION__MAX_LOST_SHARE=1."
    )
