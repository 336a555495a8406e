"""An erasure that is killed anywhere and done again ends as if it had never been killed."""

import shutil
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from driftmine import erase as work
from driftmine.home import Home
from tests.chaos.fuse import killed_everywhere
from warehouse.ledger import SourceFile
from warehouse.query import connect
from warehouse.tables import barred_users, batch_items, commits, files, generations, models, sources

pytestmark = [pytest.mark.chaos, pytest.mark.databases]

PAGE = "<div>conversation <code>conversation-{}</code></div>"


class Place:
    """A home, and short words for what the test does to it."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.home = Home(store.root.parent)

    def fill(self) -> None:
        """The warehouse knows ann and bob, in a live and in a superseded file each."""
        store = self.store
        for run in ("first", "second"):
            rows = [store.turn(i, user_key=("ann", "bob")[i // 4]) for i in range(8)]
            said = [store.dsat(i, user_key=user) for i, user in enumerate(("ann", "bob"))]
            facts = [store.facts(i, user_key=user) for i, user in enumerate(("ann", "bob"))]
            log = SourceFile(
                name="a", log_date=store.night, size=1, stamp="", sha256="aa", lines=2,
                duplicates=0, suppressed=0,
            )  # fmt: skip
            store.publish(
                run, store.stage("turns", "a", rows), store.stage("dsat_turns", "rules@1", said),
                store.stage("conversations", "a", facts), sources=[log],
            )  # fmt: skip
        store.stage("turns", "late", [store.turn(9, user_key="ann")])  # of a run that was killed
        self.home.reports.mkdir(parents=True)
        for i in (0, 1):
            (self.home.reports / f"{i}.html").write_text(PAGE.format(i))

    def erase(self) -> None:
        work.erase(self.home, self.store.catalog, ["ann"], self.store.now)

    def shown(self) -> list[Any]:
        with connect(self.store.root) as connection:
            return [
                connection.execute(f"FROM {view} ORDER BY ALL").fetchall()
                for view in ("turns", "conversations", "dsat_turns", "runs")
            ] + connection.execute("SELECT commit_id FROM warehouse_info").fetchall()

    def recorded(self) -> list[Any]:
        """What the catalog holds, but for the names of files."""
        queries = [
            select(table).order_by(*table.c)
            for table in (commits, barred_users, batch_items, models, generations, sources)
        ]
        columns = ("table_name", "rows", "added_commit", "removed_commit", "deleted_at")
        queries.append(select(*(files.c[name] for name in columns)))
        with self.store.catalog.read() as connection:
            return [sorted(map(str, connection.execute(query))) for query in queries]

    def left(self) -> list[Any]:
        """Of the disk: what all data files hold, the pages, and what runs have left behind."""
        paths = self.store.root.rglob("*.parquet")
        rows = sorted(str(pq.read_table(path).to_pylist()) for path in paths)
        pages = sorted(path.name for path in self.home.reports.iterdir())
        runs = [path for path in (self.store.root / "staging").iterdir() if path.is_dir()]
        return [rows, pages, runs]


@pytest.mark.timeout(900)  # some seventy erasures, each done twice
def test_an_erasure_that_is_killed_at_any_step_can_be_repeated(
    tmp_path: Path, store, databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Place(type(store)(tmp_path / "first" / "warehouse", databases.new()))
    first.fill()
    first.store.catalog.close()

    def copy(name: object) -> Place:
        shutil.copytree(first.home.root, tmp_path / str(name))
        root = tmp_path / str(name) / "warehouse"
        return Place(type(store)(root, databases.copy(first.store.url)))

    reference = copy("undisturbed")
    before = reference.shown()
    reference.erase()
    after, record, left = reference.shown(), reference.recorded(), reference.left()
    assert "ann" not in str(left) and left[1:] == [["1.html"], []]
    reference.store.catalog.close()
    steps = 0
    catalog = attrgetter("store.catalog")
    for steps, place in killed_everywhere(copy, catalog, Place.erase, monkeypatch):
        assert place.shown()[:3] in (before[:3], after[:3]), f"half a state at step {steps}"
        place.store.reopen()
        place.erase()
        found = (place.shown(), place.recorded(), place.left())
        assert found == (after, record, left), f"killed at step {steps}"
        place.store.catalog.close()
        databases.drop(place.store.url)
    assert steps > 30, "the fuse was never lit"
