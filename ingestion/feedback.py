"""Feedback that reaches a turn by another record than the one that shows it.

Logs that repeat the history hold a turn many times, and a user may rate it after it was first
logged. Of each of `FEEDBACK` the row that shows a turn gets what was said last, in the order of
night, log and position: by the conversation's records that are kept, the row's own included, and
by those that are left out as states of it. Clashes, and copies under another id, say nothing. A
row that is carried and says otherwise is corrected, so that what is superseded is never said
again. What nobody says stays as the row has it; in a log that is read again, as its former row of
the same text had it.

A row does not keep who said what it was given: it counts as said by the row's own record. So of
runs that contradict each other on one turn, the order in which they come can matter; of what is
said without contradiction it never does.
"""

from __future__ import annotations

import duckdb

from ingestion.scene import FEEDBACK, RECORD

_COLUMNS = ", ".join(FEEDBACK)
_ANY = " OR ".join(f"{name} IS NOT NULL" for name in FEEDBACK)

# Most turns are never rated: only those that are go further.
_SAID = f"""
CREATE TABLE said AS
SELECT {RECORD}, source, turn_index, {_COLUMNS} FROM staged_turns
SEMI JOIN shared USING (source, conversation_id)
ANTI JOIN (FROM left_out WHERE rival_file IS NOT NULL) USING ({RECORD}) WHERE {_ANY}
UNION ALL SELECT {RECORD}, source, turn_index, {_COLUMNS} FROM kin_turns WHERE {_ANY};

CREATE TABLE formerly_said AS
SELECT log_date, origin_file, source, conversation_id, turn_index, chain, {_COLUMNS}
FROM replaced_turns WHERE {_ANY};
"""

_LATEST = ", ".join(f"arg_max({name}, place) AS {name}" for name in FEEDBACK)
_VALUES = ", ".join(
    f"""if(rank = 1 OR ranked.{name} IS NOT NULL,
        coalesce(latest.{name}, ranked.{name}, formerly_said.{name}), NULL) AS {name}"""
    for name in FEEDBACK
)
_DIFFERS = " OR ".join(f"{name} IS DISTINCT FROM was.{name}" for name in FEEDBACK)

# The first record that is kept and holds a turn shows it: see `carry`.
_GIVEN = f"""
INSERT INTO feedback
WITH latest AS (
    SELECT source, conversation_id, turn_index, {_LATEST}
    FROM (SELECT *, row(log_date, origin_file, origin_offset) AS place FROM said) GROUP BY ALL
), kept AS (
    SELECT {RECORD}, source, turn_index, chain, {_COLUMNS} FROM staged_turns
    ANTI JOIN left_out USING ({RECORD})
    UNION ALL SELECT {RECORD}, source, turn_index, chain, {_COLUMNS} FROM kin_turns
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY source, conversation_id, turn_index
        ORDER BY log_date, origin_file, origin_offset
    ) AS rank
    FROM kept SEMI JOIN (
        SELECT source, conversation_id, turn_index FROM said
        UNION ALL SELECT source, conversation_id, turn_index FROM formerly_said
    ) USING (source, conversation_id, turn_index)
), given AS (
    SELECT {RECORD}, turn_index, {_VALUES}, ranked AS was FROM ranked
    LEFT JOIN latest USING (source, conversation_id, turn_index)
    LEFT JOIN formerly_said
        USING (log_date, origin_file, source, conversation_id, turn_index, chain)
)
SELECT {RECORD}, turn_index, {_COLUMNS} FROM given WHERE {_DIFFERS}
"""


def gather(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `feedback`, after `left_out`: staged and live turns, with what they have from now on."""
    connection.execute(_SAID)
    connection.execute(_GIVEN)
