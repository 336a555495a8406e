"""Which turns of a record are context only, because an earlier record shows them.

After each publish, every turn of every live record is shown by exactly one of them: the first, by
night, log and position, that holds it.
"""

from __future__ import annotations

import duckdb

from ingestion.scene import RECORD

_CARRIES = f"""
INSERT INTO carries
WITH live AS (
    SELECT {RECORD}, count_if(carried)::INTEGER AS carried FROM kin_turns GROUP BY ALL
), records AS (
    SELECT {RECORD}, source, messages, 0 AS carried FROM staged
    SEMI JOIN shared USING (source, conversation_id) ANTI JOIN left_out USING ({RECORD})
    UNION ALL
    SELECT {RECORD}, source, messages, live.carried FROM kin JOIN live USING ({RECORD})
), due AS (
    SELECT {RECORD}, carried AS was, least(messages, coalesce(max(messages) OVER (
        PARTITION BY source, conversation_id ORDER BY log_date, origin_file, origin_offset
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0)) AS carried
    FROM records
)
SELECT {RECORD}, carried FROM due WHERE carried <> was
"""


def mark(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `carries`, after `left_out`: staged records, and live ones that show other turns now."""
    connection.execute(_CARRIES)
