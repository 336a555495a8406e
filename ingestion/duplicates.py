"""Staged records that are not published: what others show already, and what clashes with them.

The records of a conversation are states of it: in a log that repeats the history, each begins
with the former. Equal hash chains tell equal states, so no text is ever compared.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from ingestion.scene import RECORD

# Rows that are held in memory at once.
_ROWS = 10_000

# The states that are compared: of each shared conversation the longest live record and every
# staged one, and of a record the chains at those lengths that any of them has. In the order in
# which records are kept: what is published, then night by night, the longest first.
#
# `held` is how many turns are shown without the record, by its night and earlier ones: what is
# published of later nights gives its turns up to it, so that the order of arrival does not matter.
# Where what the run replaces showed the conversation that night, only what comes earlier counts,
# so that a log that is read again shows what it showed.
_STATES = f"""
WITH records AS (
    SELECT {RECORD}, source, messages, false AS published FROM staged
    SEMI JOIN shared USING (source, conversation_id)
    UNION ALL SELECT {RECORD}, source, messages, true FROM kin
), measured AS (
    SELECT records.*,
        max(messages) FILTER (published) OVER (
            conversation ORDER BY log_date RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS by_night,
        max(messages) FILTER (published) OVER (
            conversation ORDER BY log_date, origin_file, origin_offset
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS earlier,
        row_number() OVER (
            conversation
            ORDER BY published DESC, messages DESC, log_date, origin_file, origin_offset
        ) AS rank
    FROM records WINDOW conversation AS (PARTITION BY source, conversation_id)
), compared AS (
    SELECT measured.*,
        coalesce(if(former.log_date IS NULL, by_night, earlier), 0) AS held
    FROM measured
    LEFT JOIN former USING (log_date, source, conversation_id)
    WHERE NOT published OR rank = 1
), turns AS (
    SELECT {RECORD}, turn_index + 1 AS length, chain FROM staged_turns
    SEMI JOIN shared USING (source, conversation_id)
    UNION ALL SELECT {RECORD}, turn_index + 1, chain FROM kin_turns
)
SELECT source, conversation_id, log_date, origin_file, origin_offset, published, messages, held,
    length, chain
FROM compared JOIN turns USING ({RECORD})
SEMI JOIN (SELECT source, conversation_id, messages AS length FROM compared)
    USING (source, conversation_id, length)
ORDER BY source, conversation_id, published DESC, log_date, messages DESC, origin_file,
    origin_offset
"""

# Another conversation that says the same, to the same user at the same time, is a log that was
# delivered again under new ids.
_COPIES = f"""
INSERT INTO left_out
WITH kept AS (
    FROM staged ANTI JOIN left_out USING ({RECORD})
), live AS (
    SELECT source, content_hash, min(conversation_id) AS one, max(conversation_id) AS other
    FROM near_conversations SEMI JOIN kept USING (source, content_hash) GROUP BY ALL
)
SELECT {RECORD}, NULL, NULL FROM kept LEFT JOIN live USING (source, content_hash)
QUALIFY one <> conversation_id OR other <> conversation_id OR row_number() OVER (
    PARTITION BY source, content_hash ORDER BY log_date, origin_file, origin_offset
) > 1
"""


class _State(NamedTuple):
    """A record, as far as it is compared."""

    log_date: dt.date
    file: str
    offset: int
    published: bool
    messages: int
    held: int


class _LeftOut(NamedTuple):
    """A staged record that is not published; one that clashes names its rival."""

    log_date: dt.date
    file: str
    offset: int
    conversation_id: str
    rival_file: str | None = None
    rival_offset: int | None = None


def find(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `left_out` from the tables of a scene.

    Of one night's staged records of a conversation the longest is kept, and of several nights'
    each that brings turns which no record of its night or of an earlier one shows. The others say
    the same as what is kept, as far as the shorter goes, and are duplicates; or they clash with it.
    """
    states = connection.execute(_STATES)
    left_out = compare(row for rows in iter(lambda: states.fetchmany(_ROWS), []) for row in rows)
    with connection.cursor() as writer:
        while found := list(islice(left_out, _ROWS)):
            columns = [pa.array(column) for column in zip(*found, strict=True)]
            writer.register("found", pa.table(columns, names=list(_LeftOut._fields)))
            writer.execute("INSERT INTO left_out FROM found")
    connection.execute(_COPIES)


def compare(rows: Iterable[tuple[Any, ...]]) -> Iterator[_LeftOut]:
    """Rows of `_STATES`, in its order -> the staged records that are not published."""
    for (_, conversation_id), conversation in groupby(rows, key=itemgetter(0, 1)):
        yield from _compare(conversation_id, conversation)


def _compare(conversation_id: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[_LeftOut]:
    longest: _State | None = None
    chains: dict[int, int] = {}
    shown = 0  # turns of the longest staged record that is kept
    for place, turns in groupby(rows, key=itemgetter(slice(2, 8))):
        state = _State(*place)
        own = {length: chain for *_, length, chain in turns}
        if longest is not None:
            shorter = min(state.messages, longest.messages)
            if own[shorter] != chains[shorter]:
                yield _LeftOut(*state[:3], conversation_id, longest.file, longest.offset)
                continue
            if state.messages <= max(state.held, shown):
                yield _LeftOut(*state[:3], conversation_id)
                continue
        if longest is None or state.messages > longest.messages:
            longest, chains = state, own
        if not state.published:
            shown = state.messages
