"""What a trainer may be given: by DuckDB, over the current files."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from sqlalchemy import Connection

from warehouse import limits, reading
from warehouse.barred import Bar, barred_by
from warehouse.catalog import Catalog
from warehouse.derived import DERIVED
from warehouse.limits import Dated
from warehouse.live import Readable, current_readable, readable
from warehouse.records import ItemKind, Message
from warehouse.selection import Terms
from warehouse.sources import SOURCES, Item, Source, id_of
from warehouse.store import show_store

# `place` spreads conversations over [0, 1), the same on every machine and for ever: those below the
# holdout share are never trained on, whatever the stream. By conversation, for its turns share most
# of their text.
_SETUP = f"""
CREATE MACRO place(conversation_id) AS ('0x' || left(md5(conversation_id), 13))::BIGINT / {2**52};
"""
_UNUSED = """
SELECT * FROM ({}) ANTI JOIN held USING (turn_id) ANTI JOIN drawn USING (turn_id)
ANTI JOIN (FROM lineage WHERE stream = $stream) USING (turn_id)
WHERE (conversation_id IS NULL OR place(conversation_id) >= $holdout)"""
_OF_LANGUAGES = " AND language IN ({})"
_OR_NONE = " AND (language IS NULL OR language IN ({}))"  # imported pairs do not tell theirs
_HELD_OUT = "SELECT * FROM ({}) WHERE place(conversation_id) < $holdout"
_PICKED = "SELECT turn_id, log_date FROM ({}) SEMI JOIN picked USING (turn_id)"
_PROMPTS = """
SELECT DISTINCT ON (prompt_hash) prompt_hash, content
FROM system_prompts SEMI JOIN wanted USING (prompt_hash)"""

_NEWEST_FIRST = "log_date DESC, md5($seed || ':' || turn_id), turn_id"
_BY_HASH = "md5(turn_id), turn_id"

# A draw looks into the newest nights first, so many at a time, and seldom has to read the others.
_NEWEST_NIGHTS = (4, 32)
_EVER = dt.date.min
_ALL = 2**62

# Of prompts that are the same one SAT turn of a batch; of DSAT turns mining has seen to it.
_OF_PROMPT = {ItemKind.SAT: {"prompt": 1}}
# Canaries are few, and none should be another's near-duplicate.
_CANARIES = {"prompt": 1, "cluster": 1}


def place(conversation_id: str) -> float:
    """Where a conversation lies in [0, 1): below the holdout share it is never trained on."""
    digest = hashlib.md5(conversation_id.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:13], 16) / 2**52


class Candidates:
    """The items of one state of the warehouse, without those of users who are barred."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, nights: Collection[dt.date]) -> None:
        self.duckdb = connection
        newest = sorted(nights, reverse=True)
        self._since = [newest[n - 1] for n in _NEWEST_NIGHTS if n < len(newest)]

    def draw(
        self, kind: ItemKind, terms: Terms, *, n: int = _ALL, without: Collection[str] = ()
    ) -> Dated:
        """Up to `n` unused items: the newest nights first, within one a draw by the seed.

        Under the caps of the terms' selection. `without`: ids that are drawn already.
        """
        self.duckdb.register("drawn", _column("turn_id", without))
        oldest = _EVER if kind is ItemKind.SEED else terms.since
        stratum = _stratum(kind, terms)
        # A turn counts for its newest night: what earlier ones say of it too changes nothing. Nor
        # do they for what is drawn, unless strata that only they can fill have their turn.
        looks = [night for night in self._since if night > oldest and not stratum and n < _ALL]
        drawn: Dated = {}
        for since in (*looks, oldest):
            drawn = limits.draw(
                self.duckdb,
                unused(kind, terms, since),
                {"stream": terms.stream, "holdout": terms.holdout, "seed": str(terms.seed)},
                n=n,
                order=_NEWEST_FIRST,
                caps=caps(kind, terms),
                stratum=stratum,
            )
            if len(drawn) == n:
                break
        return drawn

    def held_out(self, kind: ItemKind, holdout: float, *, n: int) -> Dated:
        """Up to `n` items that no stream is ever given."""
        return limits.draw(
            self.duckdb,
            _HELD_OUT.format(SOURCES[kind].pool(_from(_EVER))),
            {"holdout": holdout},
            n=n,
            order=_BY_HASH,
            caps=_CANARIES if kind is ItemKind.SAT else {},
        )

    def dated(self, kind: ItemKind, ids: Sequence[str]) -> Dated:
        """Items by their ids; without those that are not shown."""
        self.duckdb.register("picked", _column("turn_id", ids))
        found = self.duckdb.sql(_PICKED.format(SOURCES[kind].pool(_from(_EVER)))).fetchall()
        newest = dict(found)
        return {id: newest[id] for id in ids if id in newest}

    def read(self, kind: ItemKind, picked: Dated) -> tuple[Any, ...]:
        """The items themselves, in that order: texts are read for no others."""
        if not picked:
            return ()
        ids, dates = pa.array(list(picked), pa.string()), pa.array(list(picked.values()))
        self.duckdb.register("picked", pa.table({"turn_id": ids, "log_date": dates}))
        # Named, or the texts of every night are read to find these.
        nights = ", ".join(f"DATE '{night}'" for night in sorted(set(picked.values())))
        source = SOURCES[kind]
        found = source.rows(
            self.duckdb.sql(source.read(f"log_date IN ({nights})")).to_arrow_table()
        )
        # Put in order here: DuckDB would move their texts once more to sort them.
        items = {id_of(item): item for item in found}
        return tuple(self._with_prompts(source, [items[id] for id in picked if id in items]))

    def _with_prompts(self, source: Source, items: Sequence[Item]) -> Iterator[Item]:
        """The items with the texts of their system prompts back in place."""
        hashes = {m.prompt_hash for item in items for m in getattr(item, source.prompt)} - {None}
        if not hashes:
            yield from items
            return
        self.duckdb.register("wanted", _column("prompt_hash", filter(None, hashes)))
        texts = dict(self.duckdb.sql(_PROMPTS).fetchall())
        for item in items:
            messages = tuple(
                Message(role=message.role, content=texts[message.prompt_hash])
                if message.prompt_hash in texts
                else message
                for message in getattr(item, source.prompt)
            )
            yield msgspec.structs.replace(item, **{source.prompt: messages})


def unused(kind: ItemKind, terms: Terms, since: dt.date) -> str:
    """SQL for what no batch of the stream has or had, and is not held out, of all users."""
    found = _UNUSED.format(SOURCES[kind].pool(_from(since)))
    languages = ", ".join(reading.literal(name.lower()) for name in terms.selection.languages)
    only = _OR_NONE if kind is ItemKind.SEED else _OF_LANGUAGES
    return found + (only.format(languages) if languages else "")


def caps(kind: ItemKind, terms: Terms) -> dict[str, int]:
    """Those of one kind's draw."""
    return terms.selection.caps | _OF_PROMPT.get(kind, {})


def _stratum(kind: ItemKind, terms: Terms) -> str:
    stratify = terms.selection.stratify
    return "" if kind is ItemKind.SAT and stratify == "category" else stratify


def _from(since: dt.date) -> str:
    return f"log_date >= DATE '{since}'"


@contextmanager
def candidates(
    connection: Connection,
    catalog: Catalog,
    *,
    held: Collection[str] = (),
    as_of: int | None = None,
    kinds: Collection[ItemKind] = (ItemKind.DSAT,),
) -> Iterator[Candidates]:
    """The candidates of now or of a commit. `held`: items that open batches hold.

    Of these `kinds`. Raises SnapshotGone where that commit's files are not kept any more.
    """
    barred = barred_by(connection, *Bar)
    with duckdb.connect() as found:
        found.execute("SET TimeZone = 'UTC'")
        show_store(found, catalog.store)
        found.register("held", _column("turn_id", held))
        found.register("barred", _column("user_key", barred))
        tables = {table for kind in kinds for table in SOURCES[kind].tables}
        shown = {
            table: current_readable(connection, table, as_of=as_of)
            for table in sorted({*tables, "system_prompts"})
        }
        _show(found, catalog, shown)
        trained = reading.query(catalog.store, "lineage", readable(connection, "lineage"))
        found.execute(f"CREATE VIEW lineage AS {trained}")
        found.execute(_SETUP)
        yield Candidates(found, {f.log_date for table in tables for f in shown[table]})


def _show(
    found: duckdb.DuckDBPyConnection, catalog: Catalog, shown: dict[str, list[Readable]]
) -> None:
    """Views of the tables, and what is derived of them, under the names that analysts know."""
    for table, files in shown.items():
        name = "turns_all" if table == "turns" else table
        found.execute(f"CREATE VIEW {name} AS {reading.query(catalog.store, table, files)}")
    if "turns" in shown:
        found.execute(f"CREATE VIEW turns AS {DERIVED['turns']}")
    if "seed_pairs" in shown:
        found.execute(f"CREATE VIEW revised_pairs AS {DERIVED['revised_pairs']}")


def _column(name: str, values: Collection[str] | Iterator[str]) -> pa.Table:
    return pa.table({name: pa.array(sorted(values), pa.string())})
