"""A warehouse whose every process is killed at random, by SIGKILL, ends as if none had been."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from sqlalchemy import select

from tests.chaos import life
from tests.chaos.reader import look, state
from warehouse.query import snapshot
from warehouse.rebuild import rebuild
from warehouse.tables import (
    barred_users,
    batch_items,
    batches,
    commits,
    files,
    generations,
    models,
    runs,
    sources,
    watermarks,
)
from warehouse.upkeep.check import wrong_books
from warehouse.upkeep.sweep import sweep

pytestmark = [pytest.mark.chaos, pytest.mark.databases, pytest.mark.timeout(900)]

KILLS = {"sqlite": 150, "postgresql": 50}
LANES = 2  # warehouses at a time
# Of the time that an undisturbed life takes: a life is that long at most, so that a warehouse is
# killed many times before it is done.
SPAN = 0.3


def recorded(store) -> dict[str, Any]:
    """What the catalog holds, but for names of files and batches, and times of training."""
    of_lineage = (generations.c.log_date, generations.c.generation, generations.c.commit_id)
    shown = ("table_name", "log_date", "rows", "generation", "added_commit", "removed_commit")
    queries = {
        "commits": select(commits.c.commit_id, commits.c.kind, commits.c.subject),
        "runs": select(runs).where(runs.c.state == "committed"),
        "generations": select(generations).where(generations.c.table_name != "lineage"),
        "of lineage": select(*of_lineage).where(generations.c.table_name == "lineage"),
        "files": select(*(files.c[name] for name in shown), files.c.deleted_at.is_(None)),
        "sources": select(sources),
        "barred": select(barred_users),
        "watermarks": select(watermarks),
        "batches": select(batches.c.stream, batches.c.snapshot).where(
            batches.c.state == "finished"
        ),
        "models": select(
            models.c.version, models.c.promoted, models.c.erased_turns, batches.c.snapshot
        ).join(batches),
        "items": select(batch_items.c.turn_id, models.c.version)
        .join_from(batch_items, batches)
        .join(models),
    }
    with store.catalog.read() as connection:
        return {
            name: sorted(map(str, connection.execute(query).all()))
            for name, query in queries.items()
        }


class Undisturbed:
    """A life that nobody kills: its states by commit, its end, and how long it took."""

    def __init__(self, store) -> None:
        self.states: dict[int, str] = {}
        self.store = store
        self.see()
        begun = time.monotonic()
        looked = 0.0

        def seen(number: int) -> None:
            nonlocal looked
            at = time.monotonic()
            self.see()
            looked += time.monotonic() - at

        life.live(store, 0, seen)
        self.seconds = time.monotonic() - begun - looked
        self.record = recorded(store)

    def see(self) -> None:
        commit, digest = look(self.store.root)
        # Of a step that makes several commits only the last is shown; one that is killed shows any.
        for between in range(max(self.states, default=commit) + 1, commit):
            with snapshot(self.store.catalog, between) as earlier:
                self.states[between] = state(earlier)
        self.states[commit] = digest


class Lane:
    """Warehouses one after another, until so many of their processes have been killed."""

    def __init__(self, folder: Path, expected: Undisturbed, kills: int, seed: int) -> None:
        self.folder = folder
        self.expected = expected
        self.left = kills
        self.random = random.Random(seed)
        self.seen = 0  # states, by readers

    def run(self, make: Callable[[Path], Any], empty: Callable[[], str]) -> None:
        number = 0
        while self.left:
            number += 1
            root, stop = self.folder / f"{number}" / "root", self.folder / f"{number}" / "stop"
            store = make(root)
            reader = start("reader", root, stop)
            try:
                self.live(store)
            finally:
                stop.touch()
            self.compare(store, reader.communicate(timeout=60)[0])
            self.lose_catalog(store, empty)
            store.catalog.close()

    def live(self, store) -> None:
        """Life after life, until one comes to its end."""
        lives = 0
        while True:
            process = start("life", store.root, store.url, str(lives))
            lives += 1
            if self.left:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(self.random.uniform(0, SPAN * self.expected.seconds))
                process.kill()
            _, said = process.communicate(timeout=120)
            assert process.returncode in (0, -9), said
            if process.returncode == 0:
                return
            self.left -= 1

    def compare(self, store, seen: str) -> None:
        states = [(int(commit), digest) for commit, digest in map(str.split, seen.splitlines())]
        assert [commit for commit, _ in states] == sorted({commit for commit, _ in states})
        assert {(c, d) for c, d in states} <= set(self.expected.states.items())
        self.seen += len(states)
        assert look(store.root) == max(self.expected.states.items())
        assert recorded(store) == self.expected.record
        assert wrong_books(store.catalog) == []
        sweep(life.strays(store))
        with store.catalog.read() as connection:
            there = select(files.c.path).where(files.c.deleted_at.is_(None))
            named = set(connection.execute(there).scalars())
        found = {p.relative_to(store.root).as_posix() for p in store.root.rglob("*.parquet")}
        assert found == named
        assert not list(store.root.rglob(".*.*"))

    def lose_catalog(self, store, empty: Callable[[], str]) -> None:
        store.catalog.close()
        for file in store.root.glob("catalog.db*"):
            file.unlink()
        store.url = empty()
        rebuild(store.root, store.url, now=store.now)
        store.reopen()
        assert recorded(store) == self.expected.record
        assert look(store.root) == max(self.expected.states.items())


def start(program: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """A process that has said that its imports are done."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.chaos.{program}", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def test_two_hundred_kills_leave_no_trace(tmp_path: Path, databases, new_store) -> None:
    kills = KILLS["postgresql" if databases.new() else "sqlite"]
    expected = Undisturbed(new_store(tmp_path / "undisturbed", databases.new()))
    lanes = [Lane(tmp_path / f"{n}", expected, kills // LANES, seed=n) for n in range(LANES)]
    one_by_one = Lock()  # a database that is copied may have no other use

    def new_database(make: Callable[[], str]) -> str:
        with one_by_one:
            return make()

    def make(root: Path):
        return new_store(root, new_database(databases.new))

    with ThreadPoolExecutor(LANES) as pool:
        running = [
            pool.submit(lane.run, make, lambda: new_database(databases.empty)) for lane in lanes
        ]
    for result in running:
        result.result()
    assert sum(lane.seen for lane in lanes) > len(expected.states), "the readers saw too little"
    expected.store.catalog.close()
