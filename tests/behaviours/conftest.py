"""A warehouse that knows two users, in every table."""

import datetime as dt
from typing import Any

import pyarrow.parquet as pq
import pytest

from warehouse.ledger import SourceFile
from warehouse.query import connect
from warehouse.records import Message, Role, SeedPair, SystemPrompt

PROMPTS = {"ann's": "only ann's", "shared": "of both", "bob's": "only bob's"}


class Users:
    """Publishes, of each night, one log with conversations of ann and of bob, and its signals."""

    tables = ("turns", "conversations", "seed_pairs", "signals", "dsat_turns", "system_prompts")

    def __init__(self, store: Any) -> None:
        self.store = store

    def night(self, night: dt.date, run: str, users: tuple[str, ...] = ("ann", "bob")) -> list[Any]:
        """The files that were published."""
        staged = [self.store.stage(table, part, rows, night)
                  for table, part, rows in self._tables(night, users)]  # fmt: skip
        lines = sum(f.rows for f in staged if f.table in ("conversations", "seed_pairs"))
        log = SourceFile(
            name="log", log_date=night, size=1, stamp="", sha256=run, lines=lines, duplicates=0,
            suppressed=0,
        )  # fmt: skip
        self.store.publish(run, *staged, night=night, sources=[log])
        return staged

    def _tables(self, night: dt.date, users: tuple[str, ...]) -> list[tuple[str, str, list[Any]]]:
        store, day = self.store, 100 * night.day
        number = {user: day + 10 * i for i, user in enumerate(("ann", "bob"))}
        turns, facts, pairs, signals, dsat = [], [], [], [], []
        for user in users:
            i = number[user]
            own = {"user_key": user, "conversation_id": f"{user}-{night.day}"}
            for at, prompt in enumerate((f"{user}'s", "shared", None)):
                turns.append(store.turn(i + at, content=f"{user} said", prompt_hash=prompt, **own))
            facts.append(store.facts(i, **own))
            pairs.append(self._pair(i, user))
            signals.append(store.signal(i + 2, **own))
            prompt = Message(role=Role.SYSTEM, content="", prompt_hash=f"{user}'s")
            asked = Message(role=Role.USER, content=f"{user} asked")
            dsat.append(
                store.dsat(i + 2, feedback=f"{user} frowned", context=(prompt, asked), **own)
            )
        prompts = [SystemPrompt(prompt_hash=h, content=t) for h, t in PROMPTS.items()
                   if h == "shared" or h.removesuffix("'s") in users]  # fmt: skip
        return [
            ("turns", "log", turns), ("conversations", "log", facts), ("seed_pairs", "log", pairs),
            ("system_prompts", "log", prompts), ("signals", "rules@1", signals),
            ("dsat_turns", "rules@1", dsat),
        ]  # fmt: skip

    def _pair(self, i: int, user: str) -> SeedPair:
        asked = Message(role=Role.USER, content=f"{user} asked")
        return SeedPair(
            pair_id=f"pair-{i}", prompt=(asked,), chosen="yes", rejected="no", user_key=user,
            source="chat", origin_file="log", origin_offset=i,
        )  # fmt: skip

    def of(self, user: str) -> dict[str, int]:
        """How many rows the views show of a user, table by table."""
        query = "SELECT count(*) FROM {} WHERE user_key = ?".format
        own = [table for table in self.tables if table != "system_prompts"]
        with connect(self.store.root) as connection:
            return {table: connection.execute(query(table), [user]).fetchone()[0] for table in own}

    def bytes_of(self, user: str) -> list[str]:
        """The data files on the disk, named or not, in which any value speaks of a user."""
        return [
            path.relative_to(self.store.root).as_posix()
            for path in self.store.root.rglob("*.parquet")
            if user in str(pq.read_table(path).to_pylist())
        ]


@pytest.fixture
def users(store) -> Users:
    return Users(store)
