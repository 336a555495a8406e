"""Which DSAT turns a trainer may be given: by DuckDB, over the current files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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
from warehouse.store import show_store

# A night's newest verdict on a turn counts. `place` spreads conversations over [0, 1), the same
# on every machine and for ever: those below the holdout share are never trained on, whatever the
# stream. By conversation, for its turns share most of their text.
_SETUP = f"""
CREATE MACRO place(conversation_id) AS ('0x' || left(md5(conversation_id), 13))::BIGINT / {2**52};
CREATE VIEW trainable AS
    SELECT turn_id, max(log_date) AS log_date, any_value(conversation_id) AS conversation_id
    FROM dsat_turns ANTI JOIN barred USING (user_key)
    GROUP BY turn_id HAVING arg_max(trainable, log_date);
"""
_FRESH = """
SELECT turn_id, log_date FROM trainable ANTI JOIN held USING (turn_id)
ANTI JOIN (FROM lineage WHERE stream = $stream) USING (turn_id)
WHERE place(conversation_id) >= $holdout"""
_COUNT = f"SELECT count(*) FROM ({_FRESH})"
_DRAW = f"""
SELECT turn_id FROM ({_FRESH})
ORDER BY log_date DESC, md5($seed || ':' || turn_id), turn_id LIMIT $n"""
_HELD_OUT = """
SELECT turn_id FROM trainable WHERE place(conversation_id) < $holdout
ORDER BY md5(turn_id), turn_id LIMIT $n"""
_NIGHTS = "SELECT DISTINCT log_date::VARCHAR FROM dsat_turns SEMI JOIN chosen USING (turn_id)"
_READ = """
SELECT DISTINCT ON (position) dsat_turns.*
FROM dsat_turns JOIN chosen USING (turn_id) ANTI JOIN barred USING (user_key)
WHERE log_date IN ({})
ORDER BY position, log_date DESC"""
_PROMPTS = """
SELECT DISTINCT ON (prompt_hash) prompt_hash, content
FROM system_prompts SEMI JOIN wanted USING (prompt_hash)"""


class Candidates:
    """The DSAT turns of one state of the warehouse, without those of users who are barred."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._duckdb = connection

    def count(self, stream: str, holdout: float) -> int:
        """How many turns are fresh: in no batch of the stream, and not held out."""
        asked = {"stream": stream, "holdout": holdout}
        (count,) = self._duckdb.execute(_COUNT, asked).fetchall()[0]
        return int(count)

    def draw(self, stream: str, holdout: float, *, n: int, seed: int) -> list[str]:
        """Ids of up to `n` fresh turns: the newest nights first, within one a draw by `seed`."""
        drawn = {"stream": stream, "holdout": holdout, "n": n, "seed": str(seed)}
        return [turn_id for (turn_id,) in self._duckdb.execute(_DRAW, drawn).fetchall()]

    def held_out(self, holdout: float, *, n: int) -> list[str]:
        """Ids of up to `n` turns that no stream is ever given."""
        asked = {"holdout": holdout, "n": n}
        return [turn_id for (turn_id,) in self._duckdb.execute(_HELD_OUT, asked).fetchall()]

    def read(self, turn_ids: Sequence[str]) -> tuple[DsatTurn, ...]:
        """The turns themselves, in that order: texts are read for no others."""
        ids = pa.array(turn_ids, pa.string())
        self._duckdb.register("chosen", pa.table({"turn_id": ids, "position": range(len(ids))}))
        # Named, or the texts of every night are read to find these.
        nights = [f"DATE '{night}'" for (night,) in self._duckdb.sql(_NIGHTS).fetchall()]
        if not nights:
            return ()
        rows = self._duckdb.sql(_READ.format(", ".join(nights))).to_arrow_table().to_pylist()
        turns = [msgspec.convert(row, DsatTurn) for row in rows]
        return tuple(self._with_prompts(turns))

    def _with_prompts(self, turns: Sequence[DsatTurn]) -> Iterator[DsatTurn]:
        """The turns with the texts of their system prompts back in place."""
        hashes = {message.prompt_hash for turn in turns for message in turn.context}
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
        for table in ("dsat_turns", "system_prompts"):
            files = current_readable(connection, table, as_of=as_of)
            found.execute(f"CREATE VIEW {table} AS {reading.query(catalog.store, table, files)}")
        trained = reading.query(catalog.store, "lineage", readable(connection, "lineage"))
        found.execute(f"CREATE VIEW lineage AS {trained}")
        found.execute(_SETUP)
        yield Candidates(found)


def _column(name: str, values: Collection[str] | Iterator[str]) -> pa.Table:
    return pa.table({name: pa.array(sorted(values), pa.string())})
