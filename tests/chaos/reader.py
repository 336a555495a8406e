"""Reads a warehouse until the file STOP is there: `python -m tests.chaos.reader ROOT STOP`.

Says each state that it sees: the commit, and a digest of what the views show.
"""

import hashlib
import sys
from pathlib import Path

import duckdb

from warehouse.errors import SourceUnavailable
from warehouse.query import connect

# Beside what changes without a commit: the batches and runs at work.
SHOWN = (
    "turn_id, log_date, user_key, content FROM turns",
    "conversation_id, log_date, user_key FROM conversations",
    "turn_id, log_date, user_key, model, detector FROM signals",
    "turn_id, log_date, user_key, model, detector FROM dsat_turns",
    "turn_id, model_version, user_key FROM lineage",
    "version, promoted, erased_turns FROM models",
    "run_id, counts, commit_id FROM runs WHERE state = 'committed'",
    "log_date, model, follow_ups, dsat FROM dsat_rate_daily",
    "turn_id, follow_up FROM follow_ups",
)


def state(connection: duckdb.DuckDBPyConnection) -> str:
    """A digest of all rows that are shown, sorted."""
    rows = [connection.execute(f"SELECT {query} ORDER BY ALL").fetchall() for query in SHOWN]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def look(root: Path) -> tuple[int, str] | None:
    """What a fresh connection shows; None where there is no warehouse, or its files just went."""
    try:
        with connect(root) as connection:
            ((commit,),) = connection.execute("SELECT commit_id FROM warehouse_info").fetchall()
            return commit, state(connection)
    except (SourceUnavailable, duckdb.IOException):
        return None


if __name__ == "__main__":
    root, stop = map(Path, sys.argv[1:])
    print("ready", flush=True)
    last = None
    while not stop.exists():
        if (seen := look(root)) and seen != last:
            last = seen
            print(*seen, flush=True)
