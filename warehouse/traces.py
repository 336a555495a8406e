"""Where users' rows are: looked for in the narrow columns of all files, each file once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import Connection, select

from warehouse import reading
from warehouse.errors import SourceUnavailable
from warehouse.live import COLUMNS, LiveFile
from warehouse.schema import TABLES
from warehouse.store import data_files, parquet_file, show_store
from warehouse.tables import files

# Every row of a record carries the key of the record's user, and so does what is mined from it.
OF_USERS = tuple(name for name, schema in TABLES.items() if "user_key" in schema.names)
# The tables whose rows a batch can hold, and what it knows them by.
_HELD = {
    "dsat_turns": "turn_id",
    "signals": "turn_id",
    "seed_pairs": "pair_id",
    "lineage": "turn_id",
}
# Where messages stand that may name a system prompt, beside the turns.
_MESSAGES = {"dsat_turns": "context", "seed_pairs": "prompt"}

_OF_USER = "user_key IN (SELECT unnest($keys))"
_OF_OTHERS = f"(user_key IS NULL OR NOT {_OF_USER})"
_UNUSED = f"""
SELECT DISTINCT prompt_hash FROM ({{}}) ANTI JOIN (
    SELECT prompt_hash FROM ({{}}) WHERE prompt_hash IS NOT NULL AND {_OF_OTHERS}
) USING (prompt_hash)"""
_NAMED = f"""
SELECT DISTINCT message.prompt_hash
FROM (SELECT unnest({{}}) AS message FROM ({{}}) WHERE {_OF_OTHERS})"""


def kept(connection: Connection) -> tuple[list[LiveFile], set[str]]:
    """All files that a snapshot shows and whose bytes are there, and the paths of the live ones."""
    shown = files.c.removed_commit.is_(None) | (files.c.removed_commit != files.c.added_commit)
    rows = select(*COLUMNS, files.c.removed_commit).where(shown, files.c.deleted_at.is_(None))
    found: list[LiveFile] = []
    live: set[str] = set()
    for row in connection.execute(rows.order_by(files.c.path)).mappings():
        fields: dict[str, Any] = dict(row)
        if fields.pop("removed_commit") is None:
            live.add(row["path"])
        found.append(LiveFile(**fields))
    return found, live


class Traces:
    """What is known of some users' rows. It grows with each `look`."""

    def __init__(self, store: Path, user_keys: Collection[str]) -> None:
        self.store = store
        self.keys = sorted(user_keys)
        self.rows: dict[str, int] = {}  # path -> their rows, of every file that was looked at
        self.turn_ids: set[str] = set()  # what of theirs a batch may hold

    def look(self, table: str, paths: Iterable[str]) -> None:
        """Look into those files that were not looked at. Raises SourceUnavailable."""
        new = set(paths) - self.rows.keys()
        if not new or table not in OF_USERS:
            return
        counted = f"SELECT filename, count(*) FROM ({{}}) WHERE {_OF_USER} GROUP BY ALL"
        rows = self._ask(table, new, ["user_key"], counted)
        names = {str(self.store / path): path for path in new}
        found = {names[name]: count for name, count in rows}
        self.rows |= dict.fromkeys(new, 0) | found
        if name := _HELD.get(table):
            ids = f"SELECT DISTINCT {name} FROM ({{}}) WHERE {_OF_USER}"
            rows = self._ask(table, found, [name, "user_key"], ids)
            self.turn_ids.update(turn_id for (turn_id,) in rows)

    def look_at_all(self, found: Collection[LiveFile]) -> list[LiveFile]:
        """`look` into all that are new; those that hold any of the rows.

        One that is missing on the disk holds none.
        """
        if any(file.path not in self.rows for file in found):
            there = data_files(self.store)
            for table in OF_USERS:
                own = {file.path for file in found if file.table == table}
                self.look(table, own & there)
                self.rows |= dict.fromkeys(own - there, 0)
            for file in found:
                self.rows.setdefault(file.path, 0)
        return [file for file in found if self.rows[file.path]]

    def models(self, lineage: Iterable[LiveFile]) -> dict[str, int]:
        """Model version -> how many of the users' turns it was trained on."""
        counted = f"SELECT model_version, count(*) FROM ({{}}) WHERE {_OF_USER} GROUP BY ALL"
        paths = [file.path for file in lineage]
        return dict(self._ask("lineage", paths, ["model_version", "user_key"], counted))

    def conversations(self, found: Iterable[str]) -> set[str]:
        """The ids of their conversations that are in files of DSAT turns."""
        ids = f"SELECT DISTINCT conversation_id FROM ({{}}) WHERE {_OF_USER}"
        rows = self._ask("dsat_turns", found, ["conversation_id", "user_key"], ids)
        return {conversation_id for (conversation_id,) in rows}

    def prompts(self, found: Collection[LiveFile]) -> dict[str, list[str]]:
        """Path -> the hashes of system prompts in it that nothing refers to but the users' rows.

        Nor anything else: of what was left out as a duplicate the prompt may have stayed.
        """
        there = data_files(self.store)
        of = {t: [f.path for f in found if f.table == t and f.path in there] for t in TABLES}
        if not of["system_prompts"]:
            return {}
        prompts = self._rel("system_prompts", of["system_prompts"], ["prompt_hash"])
        turns = self._rel("turns", of["turns"], ["prompt_hash", "user_key"])
        unused = {p for (p,) in self._run(_UNUSED.format(prompts, turns), of["turns"])}
        for table, column in _MESSAGES.items():
            if unused:
                said = _NAMED.format(column, "{}")
                unused -= {p for (p,) in self._ask(table, of[table], [column, "user_key"], said)}
        if not unused:
            return {}
        return self.holding(of["system_prompts"], unused)

    def holding(self, paths: Iterable[str], prompts: Collection[str]) -> dict[str, list[str]]:
        """Path -> which of these prompts a file of system prompts holds, of those that do."""
        listed = ", ".join(map(reading.literal, sorted(prompts)))
        held = f"""
            SELECT filename, list(prompt_hash ORDER BY prompt_hash) FROM ({{}})
            WHERE prompt_hash IN (SELECT unnest([{listed}]::VARCHAR[])) GROUP BY ALL"""
        names = {str(self.store / path): path for path in paths}
        rows = self._ask("system_prompts", names.values(), ["prompt_hash"], held)
        return {names[name]: hashes for name, hashes in rows}

    def _ask(
        self, table: str, paths: Iterable[str], names: Sequence[str], query: str
    ) -> list[tuple[Any, ...]]:
        """The rows of a query whose {} stands for columns of files; none where there are none."""
        paths = sorted(paths)
        return self._run(query.format(self._rel(table, paths, names)), paths) if paths else []

    def _rel(self, table: str, paths: Sequence[str], names: Sequence[str]) -> str:
        if not paths:
            return reading.empty({n: reading.sql_type(TABLES[table].field(n).type) for n in names})
        return reading.by_file([str(self.store / path) for path in paths], table, names)

    def _run(self, query: str, paths: Iterable[str]) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            show_store(connection, self.store)
            given: Mapping[str, Any] = {"keys": self.keys} if "$keys" in query else {}
            try:
                return connection.execute(query, given).fetchall()
            except duckdb.Error as error:
                raise SourceUnavailable(
                    f"{self.store}: {self._damaged(paths) or 'a data file'} cannot be read "
                    f"({type(error).__name__}), so nobody can say whose rows it holds. Nothing "
                    "was erased now; restore it from your backup, then erase again."
                ) from error

    def _damaged(self, paths: Iterable[str]) -> str | None:
        return next((path for path in paths if not is_whole(self.store / path)), None)


def is_whole(path: Path) -> bool:
    """Whether a Parquet file was written to its end."""
    try:
        with parquet_file(path):
            return True
    except (OSError, pa.ArrowException):
        return False
