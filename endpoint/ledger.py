"""Answers that were paid for, what they cost, and the budget: one SQLite file.

Several processes may use it at once. Answers are stored under a hash of the question, reduced to
their known fields, and the cost log counts: no text, apart from drawn answers until `forget`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from endpoint.options import EndpointOptions
from endpoint.outcome import Outcome
from endpoint.timing import Timing

SAMPLES = "sample-"  # how the keys of drawn answers begin, which are texts and to be forgotten
_BUSY_SECONDS = 30
# Three writes a question: with a write-ahead log none of them waits for the disk. A power cut may
# cost the last of them, never the file.
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, at TEXT NOT NULL, model TEXT NOT NULL,
    prompt TEXT NOT NULL, outcome TEXT NOT NULL, tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL, cost REAL NOT NULL);
CREATE INDEX IF NOT EXISTS requests_of_account ON requests (account);
"""
_SPENT = (
    "SELECT count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0), "
    "coalesce(sum(cost), 0.0) FROM requests WHERE account = ?"
)


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has spent."""

    requests: int
    by_outcome: dict[str, int]
    tokens_in: int
    tokens_out: int
    cost: float


class Ledger:
    """The file, as one account sees it: opened at its first use.

    Every call may raise sqlite3.Error.
    """

    def __init__(
        self, options: EndpointOptions, *, account: str, prompt: str, timing: Timing
    ) -> None:
        self._options = options
        self._account = account  # whose budget it is: a run, or a command
        self._prompt = prompt
        self._timing = timing
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def answer(self, key: str) -> str | None:
        """What was kept under the key."""
        with self._lock:
            found = self._db().execute("SELECT answer FROM answers WHERE key = ?", (key,))
            row = found.fetchone()
        return None if row is None else str(row[0])

    def keep(self, key: str, answer: str) -> None:
        """Store an answer; of two at once, either."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer))

    def reserve(self, tokens_in: int, tokens_out: int) -> int | None:
        """Book a request at its worst case before it is sent; None where the budget lacks it.

        A request whose process dies stays booked so: it may have been billed.
        """
        limits, cost = self._options, self.cost(tokens_in, tokens_out)
        with self._write() as db:
            calls, read, written, paid = db.execute(_SPENT, (self._account,)).fetchone()
            tokens = read + written + tokens_in + tokens_out
            if (
                calls >= limits.max_calls
                or (limits.max_tokens is not None and tokens > limits.max_tokens)
                or (limits.max_cost is not None and paid + cost > limits.max_cost)
            ):
                return None
            done = db.execute(
                "INSERT INTO requests (account, at, model, prompt, outcome, tokens_in, tokens_out,"
                " cost) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(self._account, self._timing.now().isoformat(timespec="milliseconds")),
                    *(limits.model, self._prompt, Outcome.OPEN, tokens_in, tokens_out, cost),
                ),
            )
            return done.lastrowid

    def settle(self, row: int, outcome: Outcome, tokens_in: int, tokens_out: int) -> None:
        """Put what a request came to in place of what was booked."""
        with self._write() as db:
            db.execute(
                "UPDATE requests SET outcome = ?, tokens_in = ?, tokens_out = ?, cost = ? "
                "WHERE id = ?",
                (outcome, tokens_in, tokens_out, self.cost(tokens_in, tokens_out), row),
            )

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """By the prices of the options; 0 where there are none."""
        return (
            tokens_in * self._options.price_in + tokens_out * self._options.price_out
        ) / 1_000_000

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._db()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = _open(Path(self._options.store))
        return self._opened

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def spent(store: Path, account: str) -> Spending | None:
    """What an account has spent; None where the file is not there or cannot be read."""
    if not store.exists():
        return None
    try:
        with closing(_open(store)) as db:
            calls, tokens_in, tokens_out, cost = db.execute(_SPENT, (account,)).fetchone()
            outcomes = db.execute(
                "SELECT outcome, count(*) FROM requests WHERE account = ? GROUP BY outcome"
                " ORDER BY count(*) DESC, outcome",
                (account,),
            ).fetchall()
    except sqlite3.Error:
        return None
    return Spending(
        requests=calls,
        by_outcome=dict(outcomes),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=cost,
    )


def forget(store: Path, prefix: str) -> int:
    """Remove the answers whose keys begin so, bytes and all; how many there were.

    Raises sqlite3.Error.
    """
    if not store.exists():
        return 0
    with closing(_open(store)) as db:
        db.execute("PRAGMA secure_delete = ON")
        gone = db.execute("DELETE FROM answers WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone.rowcount


def kept(store: Path, prefix: str) -> int:
    """How many answers have keys that begin so. Raises sqlite3.Error."""
    if not store.exists():
        return 0
    with closing(_open(store)) as db:
        like = "SELECT count(*) FROM answers WHERE substr(key, 1, ?) = ?"
        return int(db.execute(like, (len(prefix), prefix)).fetchone()[0])
