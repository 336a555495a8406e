"""A user's no to training that reaches a conversation by another record than those that are kept.

A conversation once opted out stays so, in all of its records, on whichever night and in whichever
order they come: also where the record that says so is left out, be it as a clash or as a copy under
another id, and where a log is read again that says so no more. The smaller of two errors is to
train on less.
"""

from __future__ import annotations

import duckdb

from ingestion.scene import RECORD

_WITHDRAWN = f"""
INSERT INTO withdrawn
WITH said AS (
    SELECT source, conversation_id FROM staged WHERE opted_out
    UNION SELECT source, conversation_id FROM kin WHERE opted_out
    UNION SELECT source, conversation_id FROM replaced_conversations WHERE opted_out
    UNION SELECT source, conversation_id FROM (
        SELECT source, conversation_id, content_hash FROM staged
        UNION ALL SELECT source, conversation_id, content_hash FROM near_conversations
    ) SEMI JOIN (FROM staged WHERE opted_out) USING (source, content_hash)
), records AS (
    SELECT {RECORD}, source, opted_out FROM staged ANTI JOIN left_out USING ({RECORD})
    UNION ALL SELECT {RECORD}, source, opted_out FROM kin
    UNION ALL SELECT {RECORD}, source, opted_out FROM near_conversations
)
SELECT DISTINCT {RECORD}, true FROM records
SEMI JOIN said USING (source, conversation_id) WHERE NOT opted_out
"""


def withdraw(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `withdrawn`, after `left_out`: staged and live records that are opted out from now."""
    connection.execute(_WITHDRAWN)
