"""A lease that is killed anywhere and taken up again ends as if it had never been killed."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from tests.chaos.fuse import killed_everywhere
from warehouse.errors import LeaseLost
from warehouse.leases import Lease, acquire, finish, release, reuse
from warehouse.manifest import ModelVersion
from warehouse.query import refresh_if_stale
from warehouse.selection import Wanted
from warehouse.streams import lineage, registered
from warehouse.tables import batch_items, batches, commits, files, generations, models
from warehouse.upkeep.check import wrong_books

pytestmark = pytest.mark.chaos

HOUR = dt.timedelta(hours=1)
WORDS = {"stream": "default", "holdout": 0, "ttl": HOUR, "seed": 0}


class Place:
    """A warehouse of six turns, two of which were trained on, and a trainer with two more."""

    def __init__(self, store: Any) -> None:
        self.store = store
        store.publish(
            "fill", store.stage("dsat_turns", "rules@1", [store.dsat(i) for i in range(6)])
        )
        self.register(self.acquire(), "first")
        self.lease = self.acquire()

    @property
    def catalog(self) -> Any:
        return self.store.catalog

    def acquire(self, after: dt.timedelta = dt.timedelta()) -> Lease:
        lease = acquire(self.catalog, Wanted(turns=2), now=self.store.now + after, **WORDS)
        assert lease is not None
        return lease

    def register(self, lease: Lease, version: str) -> None:
        model = ModelVersion(
            version=version, parent=None, batch_id=lease.batch_id, created_at=self.store.now,
            promoted=True, manifest_sha256="ab",
        )  # fmt: skip
        finish(self.catalog, lease, model, self.store.now)

    # What is killed, each by the name of its test.

    def finishes(self) -> None:
        """A trainer that comes back asks first whether its model is there."""
        if "second" not in {model.version for model in registered(self.catalog)}:
            self.register(self.lease, "second")

    def acquires(self) -> None:
        """By the time that somebody comes back the lease of the killed one has run out."""
        self.third = self.acquire()

    def releases(self) -> None:
        release(self.catalog, self.lease)

    def reuses(self) -> None:
        self.third = reuse(self.catalog, "default-000001", ttl=HOUR, now=self.store.now)

    def recorded(self) -> list[Any]:
        """What the catalog holds, but for tokens and the names of files."""
        of_files = ("table_name", "part", "rows", "generation", "added_commit", "removed_commit")
        of_batches = ("batch_id", "state", "snapshot", "reuses")
        queries = [
            select(commits),
            select(generations),
            select(models),
            select(batch_items),
            select(*(batches.c[name] for name in of_batches)),
            select(*(files.c[name] for name in of_files)),
        ]
        with self.catalog.read() as connection:
            return [sorted(map(str, connection.execute(query))) for query in queries]

    def shown(self) -> list[Any]:
        """What the views show of batches, models and lineage, made anew: a lease is no commit."""
        refresh_if_stale(self.catalog)
        return [
            self.store.sql("SELECT batch_id, state, turns, reuses FROM batches ORDER BY ALL"),
            self.store.sql("FROM models ORDER BY ALL"),
            self.store.sql("FROM lineage ORDER BY ALL"),
            self.store.sql("SELECT commit_id FROM warehouse_info"),
        ]

    def agrees_with_itself(self) -> None:
        """Models have their lineage whole, and nothing that was trained on is given away again."""
        trained: set[str] = set()
        for model in registered(self.catalog):
            turns = set(lineage(self.catalog, model.version))
            shown = self.store.sql(
                f"SELECT turn_id FROM lineage WHERE model_version = '{model.version}'"
            )
            assert len(turns) == 2 and not turns & trained
            assert sorted(turn for (turn,) in shown) == sorted(turns)
            trained |= turns
        with self.catalog.read() as connection:
            finished = select(batches.c.batch_id).where(batches.c.state == "finished")
            done = set(connection.execute(finished).scalars())
        assert done == {model.batch_id for model in registered(self.catalog)}
        assert wrong_books(self.catalog) == []


@pytest.fixture
def prepared(tmp_path, store, databases, monkeypatch) -> Iterator[Callable[[int], Place]]:
    """Makes places; their views are as old as their catalogs' first state, which costs less."""
    made: list[Place] = []

    def make(number: int) -> Place:
        with monkeypatch.context() as patched:
            for module in ("publish", "leases"):
                patched.setattr(f"warehouse.{module}.refresh_if_stale", lambda catalog: None)
            made.append(Place(type(store)(tmp_path / f"{number}", databases.new())))
        return made[-1]

    yield make
    for place in made:
        place.catalog.close()


def killed_and_repeated(prepared, monkeypatch, work: Callable[[Place], None]) -> int:
    """At each of its steps; how many there are."""
    reference = prepared(0)
    before = reference.recorded()
    work(reference)
    after, shown = reference.recorded(), reference.shown()
    kills = 0
    for step, place in killed_everywhere(prepared, lambda p: p.catalog, work, monkeypatch):
        kills += 1
        assert (found := place.recorded()) in (before, after), f"half a state at step {step}"
        place.store.reopen()
        place.agrees_with_itself()
        if found == before or work is not Place.acquires:
            work(place)
        assert (place.recorded(), place.shown()) == (after, shown), f"killed at step {step}"
        place.agrees_with_itself()
        place.catalog.close()
    return kills


@pytest.mark.databases
def test_a_finish_that_is_killed_at_any_step_can_be_repeated(prepared, monkeypatch) -> None:
    assert killed_and_repeated(prepared, monkeypatch, Place.finishes) > 10


@pytest.mark.parametrize("work", [Place.acquires, Place.releases])
def test_what_changes_only_the_catalog_is_all_or_nothing(prepared, monkeypatch, work) -> None:
    assert killed_and_repeated(prepared, monkeypatch, work) > 2


def test_turns_of_a_finish_that_was_killed_are_never_leased_again(prepared, monkeypatch) -> None:
    kills = 0
    for _, place in killed_everywhere(prepared, lambda p: p.catalog, Place.finishes, monkeypatch):
        kills += 1
        place.store.reopen()
        versions = {model.version for model in registered(place.catalog)}
        used = {turn for version in versions for turn in lineage(place.catalog, version)}
        later = acquire(place.catalog, Wanted(turns=9), now=place.store.now + 2 * HOUR, **WORDS)
        given = {turn.turn_id for turn in later.turns}
        assert given | used == {f"turn-{i}" for i in range(6)} and not given & used
        with pytest.raises(LeaseLost):
            place.register(place.lease, "too late")
        assert {model.version for model in registered(place.catalog)} == versions
        place.catalog.close()
    assert kills > 10, "the fuse was never lit"


def test_a_reuse_that_is_killed_at_any_step_can_be_repeated(prepared, monkeypatch) -> None:
    kills = 0
    for _, place in killed_everywhere(prepared, lambda p: p.catalog, Place.reuses, monkeypatch):
        kills += 1
        place.store.reopen()
        place.agrees_with_itself()
        place.reuses()
        assert {turn.turn_id for turn in place.third.turns} == set(lineage(place.catalog, "first"))
        place.agrees_with_itself()
        place.catalog.close()
    assert kills > 2, "the fuse was never lit"
