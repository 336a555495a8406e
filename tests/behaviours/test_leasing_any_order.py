"""Leases in any order, by any number of trainers: checked against a dictionary."""

import datetime as dt
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.errors import LeaseLost
from warehouse.leases import Lease, acquire, finish, release
from warehouse.manifest import ModelVersion
from warehouse.selection import Wanted
from warehouse.streams import lineage

pytestmark = pytest.mark.databases
HOUR = dt.timedelta(hours=1)


def fill(store, count: int) -> None:
    store.publish(
        "fill", store.stage("dsat_turns", "rules@1", [store.dsat(i) for i in range(count)])
    )


def ids(lease: Lease) -> list[str]:
    return [turn.turn_id for turn in lease.turns]


def model(lease: Lease, version: str) -> ModelVersion:
    return ModelVersion(
        version=version, parent=None, batch_id=lease.batch_id, created_at=lease.expires_at,
        promoted=True, manifest_sha256="ab",
    )  # fmt: skip


LEASER = textwrap.dedent(
    """
    import datetime as dt, sys
    from pathlib import Path
    from warehouse.catalog import Catalog
    from warehouse.leases import acquire
    from warehouse.selection import Wanted

    catalog = Catalog.open(Path(sys.argv[1]), sys.argv[2])
    now = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)
    print("ready", flush=True)
    sys.stdin.readline()
    while lease := acquire(catalog, Wanted(turns=7), stream="default", holdout=0.0,
                           ttl=dt.timedelta(hours=1), now=now, seed=0):
        print(*(turn.turn_id for turn in lease.turns))
    """
)


def test_two_trainers_in_two_processes_share_no_turn_and_leave_none(store) -> None:
    fill(store, 100)
    leasers = [
        subprocess.Popen(
            [sys.executable, "-c", LEASER, str(store.root), store.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for leaser in leasers:
        assert leaser.stdout.readline() == "ready\n"
    for leaser in leasers:
        leaser.stdin.write("go\n")
        leaser.stdin.flush()
    taken = [turn for leaser in leasers for turn in leaser.communicate(timeout=60)[0].split()]
    assert [leaser.returncode for leaser in leasers] == [0, 0]
    assert sorted(taken) == sorted(f"turn-{i}" for i in range(100))


class Book:
    """What the leases must come to: which turns are held or used, by lease number."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.leases: list[Lease] = []
        self.owner: dict[str, int] = {}
        self.open: set[int] = set()

    def free(self, number: int) -> None:
        if number in self.open:
            self.open.remove(number)
            self.owner = {turn: i for turn, i in self.owner.items() if i != number}

    def acquire(self, store, n: int, now: dt.datetime) -> None:
        for i in [i for i in self.open if self.leases[i].expires_at <= now]:
            self.free(i)
        lease = acquire(
            store.catalog, Wanted(turns=n), stream="default", holdout=0, ttl=2 * HOUR, now=now,
            seed=len(self.leases),
        )  # fmt: skip
        taken = ids(lease) if lease else []
        assert len(taken) == min(n, self.turns - len(self.owner))
        assert not self.owner.keys() & set(taken)
        if lease:
            self.open.add(len(self.leases))
            self.owner |= dict.fromkeys(taken, len(self.leases))
            self.leases.append(lease)

    def release(self, store, number: int, now: dt.datetime) -> None:
        release(store.catalog, self.leases[number])
        self.free(number)

    def finish(self, store, number: int, now: dt.datetime) -> None:
        lease, version = self.leases[number], now.isoformat()
        wins = number in self.open and lease.expires_at > now
        try:
            finish(store.catalog, lease, model(lease, version), now)
        except LeaseLost:
            assert not wins
        else:
            assert wins
            assert lineage(store.catalog, version) == sorted(ids(lease))
            self.open.remove(number)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["acquire", "release", "finish"]), st.integers(0, 3)), max_size=10
)


@pytest.mark.chaos
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=ACTIONS, turns=st.integers(0, 6))
def test_any_order_of_actions_agrees_with_the_book(store, databases, actions, turns) -> None:
    """An hour passes with each action, and a lease holds for two."""
    with tempfile.TemporaryDirectory() as folder:
        store = type(store)(Path(folder) / "root", databases.new())
        fill(store, turns)
        book = Book(turns)
        for hour, (action, number) in enumerate(actions):
            now = store.now + hour * HOUR
            if action == "acquire":
                book.acquire(store, number + 1, now)
            elif number < len(book.leases):
                getattr(book, action)(store, number, now)
        store.catalog.close()
