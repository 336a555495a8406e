"""Which DSAT turns a trainer may be given: by DuckDB, over the current files."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
import msgspec
import pyarrow as pa
from sqlalchemy import Connection

from warehouse import reading
from warehouse.barred import Bar, barred_by
from warehouse.catalog import Catalog
from warehouse.live import current_readable, readable
from warehouse.records import DsatTurn, Message
from warehouse.rows import dsat_turns
from warehouse.store import show_store

# A night's newest verdict on a turn counts. `place` spreads conversations over [0, 1), the same
# on every machine and for ever: those below the holdout share are never trained on, whatever the
# stream. By conversation, for its turns share most of their text.
_SETUP = f"""
CREATE MACRO place(conversation_id) AS ('0x' || left(md5(conversation_id), 13))::BIGINT / {2**52};
CREATE MACRO trainable(since) AS TABLE
    SELECT turn_id, max(log_date) AS log_date, any_value(conversation_id) AS conversation_id
    FROM dsat_turns ANTI JOIN barred USING (user_key)
    WHERE log_date >= since::DATE
    GROUP BY turn_id HAVING arg_max(trainable, log_date);
"""
_FRESH = """
SELECT turn_id, log_date FROM trainable($since) ANTI JOIN held USING (turn_id)
ANTI JOIN (FROM lineage WHERE stream = $stream) USING (turn_id)
WHERE place(conversation_id) >= $holdout"""
_COUNT = f"SELECT count(*) FROM ({_FRESH})"
_DRAW = f"""
SELECT turn_id, log_date FROM ({_FRESH})
ORDER BY log_date DESC, md5($seed || ':' || turn_id), turn_id LIMIT $n"""
_HELD_OUT = """
SELECT turn_id, log_date FROM trainable($since) WHERE place(conversation_id) < $holdout
ORDER BY md5(turn_id), turn_id LIMIT $n"""
_NEWEST = """
SELECT turn_id, max(log_date) FROM dsat_turns SEMI JOIN chosen USING (turn_id)
ANTI JOIN barred USING (user_key) GROUP BY turn_id"""
_READ = """
SELECT dsat_turns.* FROM dsat_turns JOIN chosen USING (turn_id, log_date)
ANTI JOIN barred USING (user_key) WHERE log_date IN ({})"""
_PROMPTS = """
SELECT DISTINCT ON (prompt_hash) prompt_hash, content
FROM system_prompts SEMI JOIN wanted USING (prompt_hash)"""


# A draw looks into the newest nights first, so many at a time, and seldom has to read the others.
_NEWEST_NIGHTS = (4, 32)
_EVER = dt.date.min

Dated = Mapping[str, dt.date]  # turn ids, in order, each with the night of its newest verdict


def place(conversation_id: str) -> float:
    """Where a conversation lies in [0, 1): below the holdout share it is never trained on."""
    digest = hashlib.md5(conversation_id.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:13], 16) / 2**52


class Candidates:
    """The DSAT turns of one state of the warehouse, without those of users who are barred."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, nights: Collection[dt.date]) -> None:
        self._duckdb = connection
        newest = sorted(nights, reverse=True)
        self._since = [newest[n - 1] for n in _NEWEST_NIGHTS if n < len(newest)]

    def count(self, stream: str, holdout: float) -> int:
        """How many turns are fresh: in no batch of the stream, and not held out."""
        asked = {"stream": stream, "holdout": holdout, "since": _EVER}
        (count,) = self._duckdb.execute(_COUNT, asked).fetchall()[0]
        return int(count)

    def draw(self, stream: str, holdout: float, *, n: int, seed: int) -> Dated:
        """Up to `n` fresh turns: the newest nights first, within one a draw by `seed`."""
        asked = {"stream": stream, "holdout": holdout, "n": n, "seed": str(seed)}
        for since in self._since:
            # A turn counts for its newest night: what earlier ones say of it too changes nothing.
            drawn = dict(self._duckdb.execute(_DRAW, asked | {"since": since}).fetchall())
            if len(drawn) == n:
                return drawn
        return dict(self._duckdb.execute(_DRAW, asked | {"since": _EVER}).fetchall())

    def held_out(self, holdout: float, *, n: int) -> Dated:
        """Up to `n` turns that no stream is ever given."""
        asked = {"holdout": holdout, "n": n, "since": _EVER}
        return dict(self._duckdb.execute(_HELD_OUT, asked).fetchall())

    def dated(self, turn_ids: Sequence[str]) -> Dated:
        """Turns by their ids; without those that are not shown."""
        self._duckdb.register("chosen", _column("turn_id", turn_ids))
        newest = dict(self._duckdb.sql(_NEWEST).fetchall())
        return {turn_id: newest[turn_id] for turn_id in turn_ids if turn_id in newest}

    def read(self, chosen: Dated) -> tuple[DsatTurn, ...]:
        """The turns themselves, in that order: texts are read for no others."""
        if not chosen:
            return ()
        ids, dates = pa.array(list(chosen), pa.string()), pa.array(list(chosen.values()))
        self._duckdb.register("chosen", pa.table({"turn_id": ids, "log_date": dates}))
        # Named, or the texts of every night are read to find these.
        nights = ", ".join(f"DATE '{night}'" for night in sorted(set(chosen.values())))
        found = dsat_turns(self._duckdb.sql(_READ.format(nights)).to_arrow_table())
        # Put in order here: DuckDB would move their texts once more to sort them.
        turns = {turn.turn_id: turn for turn in found}
        return tuple(self._with_prompts([turns[id] for id in chosen if id in turns]))

    def _with_prompts(self, turns: Sequence[DsatTurn]) -> Iterator[DsatTurn]:
        """The turns with the texts of their system prompts back in place."""
        hashes = {message.prompt_hash for turn in turns for message in turn.context} - {None}
        if not hashes:
            yield from turns
            return
        self._duckdb.register("wanted", _column("prompt_hash", filter(None, hashes)))
        texts = dict(self._duckdb.sql(_PROMPTS).fetchall())
        for turn in turns:
            context = [
                Message(role=message.role, content=texts[message.prompt_hash])
                if message.prompt_hash in texts
                else message
                for message in turn.context
            ]
            yield msgspec.structs.replace(turn, context=tuple(context))


@contextmanager
def candidates(
    connection: Connection,
    catalog: Catalog,
    *,
    held: Collection[str] = (),
    as_of: int | None = None,
) -> Iterator[Candidates]:
    """The candidates of now or of a commit. `held`: turns that open batches hold.

    Raises SnapshotGone where that commit's files are not kept any more.
    """
    barred = barred_by(connection, *Bar)
    with duckdb.connect() as found:
        found.execute("SET TimeZone = 'UTC'")
        show_store(found, catalog.store)
        found.register("held", _column("turn_id", held))
        found.register("barred", _column("user_key", barred))
        shown = {
            table: current_readable(connection, table, as_of=as_of)
            for table in ("dsat_turns", "system_prompts")
        }
        for table, files in shown.items():
            found.execute(f"CREATE VIEW {table} AS {reading.query(catalog.store, table, files)}")
        trained = reading.query(catalog.store, "lineage", readable(connection, "lineage"))
        found.execute(f"CREATE VIEW lineage AS {trained}")
        found.execute(_SETUP)
        yield Candidates(found, {file.log_date for file in shown["dsat_turns"]})


def _column(name: str, values: Collection[str] | Iterator[str]) -> pa.Table:
    return pa.table({name: pa.array(sorted(values), pa.string())})
