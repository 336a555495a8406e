"""What settling works on: what a run has staged and what is live beside it, as DuckDB tables.

    staged              records that the run has staged
    former              conversations that the logs which it replaces have shown, night by night
    kin                 live records of the conversations of `staged` and `former`
    shared              conversations of `staged` and `kin` that have more than one record there,
                        or a live one
    staged_turns        of `staged`
    replaced_turns      of what `former` was shown by
    kin_turns           of those of `kin`
    near_conversations  live records of the nights within the window
    left_out            staged records that are not published: filled by `duplicates`
    clustered           staged records that have near duplicates: filled by `clusters`
    carries             records whose first turns others show: filled by `carry`
    feedback            turns with what users said of them: filled by `feedback`
    withdrawn           records that others say may not be trained on: filled by `consent`

Only `staged`, and what is joined to it, is ever held; the rest is read once, column by column.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingestion.logs.lines import Line
from warehouse import reading
from warehouse.live import LiveFile
from warehouse.records import Reject
from warehouse.staging import StagedFile
from warehouse.store import show_store

# Each takes its share of the memory.
_THREADS = 4

# What tells records apart. Not the place alone: one line of a log may envelop several.
RECORD = "log_date, origin_file, origin_offset, conversation_id"

# What a user may say of a turn.
FEEDBACK = ("thumb", "rating", "regenerated", "edited")

_RECORDS = f"""
CREATE TABLE staged AS
SELECT {RECORD}, source, messages, opted_out, content_hash, sketch FROM staged_conversations;
CREATE TABLE former AS
SELECT DISTINCT log_date, source, conversation_id FROM replaced_conversations;
CREATE TABLE kin AS
SELECT {RECORD}, source, messages, opted_out FROM live_conversations SEMI JOIN (
    SELECT source, conversation_id FROM staged UNION ALL SELECT source, conversation_id FROM former
) USING (source, conversation_id);
CREATE TABLE shared AS
SELECT source, conversation_id FROM staged GROUP BY ALL HAVING count(*) > 1
UNION SELECT source, conversation_id FROM kin;
"""
_KIN_TURNS = f"""
CREATE TABLE kin_turns AS
SELECT {RECORD}, source, turn_index, chain, carried, {", ".join(FEEDBACK)} FROM live_turns
SEMI JOIN shared USING (source, conversation_id)
"""
_FINDINGS = """
CREATE TABLE left_out (
    log_date DATE, origin_file VARCHAR, origin_offset BIGINT, conversation_id VARCHAR,
    rival_file VARCHAR, rival_offset BIGINT  -- of a clash: whose id it is; else null
);
CREATE TABLE clustered (
    log_date DATE, origin_file VARCHAR, origin_offset BIGINT, conversation_id VARCHAR,
    cluster VARCHAR
);
CREATE TABLE carries (
    log_date DATE, origin_file VARCHAR, origin_offset BIGINT, conversation_id VARCHAR,
    carried INTEGER  -- so many turns from its start
);
CREATE TABLE feedback (
    log_date DATE, origin_file VARCHAR, origin_offset BIGINT, conversation_id VARCHAR,
    turn_index INTEGER, thumb TINYINT, rating DOUBLE, regenerated BOOLEAN, edited BOOLEAN
);
CREATE TABLE withdrawn (
    log_date DATE, origin_file VARCHAR, origin_offset BIGINT, conversation_id VARCHAR,
    opted_out BOOLEAN  -- always true
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that a run's records are compared with, and what is needed to do so.

    `live` and `replaced` are the published files of turns and conversations, of all nights:
    those that stay, and those that the run's own take the place of.
    """

    store: Path  # of the warehouse's files
    spill: Path  # a folder for what does not fit in memory
    staged: Sequence[StagedFile]
    live: Sequence[LiveFile]
    replaced: Sequence[LiveFile]
    window: dt.timedelta  # how far apart the nights of copies may be
    memory_mb: int  # of DuckDB
    note: Callable[[str], object]  # is told the path of each new file before there is one
    lines: Callable[[str], Iterable[Line | Reject]]  # the records of a log, as they were staged
    erased: Collection[str] = ()  # keys of users whose records are not staged


@contextmanager
def tables(scene: Scene) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on the tables of the scene."""
    with duckdb.connect(
        config={
            "memory_limit": f"{scene.memory_mb}MiB",
            "temp_directory": str(scene.spill),
            "threads": _THREADS,
            "preserve_insertion_order": False,
        }
    ) as connection:
        show_store(connection, scene.store)
        _show(connection, scene, "staged_conversations", scene.staged)
        _show(connection, scene, "staged_turns", scene.staged)
        _show(connection, scene, "replaced_turns", scene.replaced)
        _show(connection, scene, "replaced_conversations", scene.replaced)
        _show(connection, scene, "live_conversations", scene.live)
        _show(connection, scene, "near_conversations", _near(scene))
        connection.execute(_RECORDS)
        places = "SELECT DISTINCT log_date, origin_file FROM kin"
        held = set(connection.execute(places).fetchall())
        beside = [file for file in scene.live if (file.log_date, file.part) in held]
        _show(connection, scene, "live_turns", beside)
        connection.execute(_KIN_TURNS)
        connection.execute(_FINDINGS)
        yield connection


def _near(scene: Scene) -> list[LiveFile]:
    nights = {file.log_date for file in scene.staged}
    return [
        file
        for file in scene.live
        if any(abs(file.log_date - night) <= scene.window for night in nights)
    ]


def _show(
    connection: duckdb.DuckDBPyConnection, scene: Scene, view: str, files: Iterable[StagedFile]
) -> None:
    """A view of the rows of those of the files that are of its table: the last word of its name."""
    table = view.rpartition("_")[2]
    rows = reading.query(scene.store, table, [file for file in files if file.table == table])
    connection.execute(f"CREATE VIEW {view} AS {rows}")
