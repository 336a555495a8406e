"""A batch is held while its trainer lives, and not much longer."""

import datetime as dt
from threading import Event

import pytest
from sqlalchemy.exc import OperationalError

from warehouse import heartbeat as module
from warehouse import leases
from warehouse.errors import CommitConflict, CommitUnknown, LeaseLost, SourceUnavailable
from warehouse.heartbeat import kept
from warehouse.leases import Lease, acquire, heartbeat, release
from warehouse.selection import Wanted
from warehouse.streams import alive

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def lease(store) -> Lease:
    store.publish("1", store.stage("dsat_turns", "rules@1", [store.dsat(1)]))
    return acquire(
        store.catalog, Wanted(turns=1), stream="s", holdout=0.0, ttl=HOUR, now=store.now, seed=0
    )


def test_a_heartbeat_moves_the_end_of_the_lease(store, lease) -> None:
    later = store.now + HOUR / 2
    longer = heartbeat(store.catalog, lease, ttl=HOUR, now=later)
    assert longer.expires_at == later + HOUR
    assert alive(store.catalog, now=store.now + HOUR) == {lease.batch_id}
    assert alive(store.catalog, now=longer.expires_at) == set()


LOST = {
    "ran out": lambda store, lease: (lease, lease.expires_at),
    "was released": lambda store, lease: (release(store.catalog, lease), (lease, store.now))[1],
    "is another's": lambda store, lease: (
        Lease(**{name: getattr(lease, name) for name in lease.__struct_fields__} | {"token": "x"}),
        store.now,
    ),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_lease_that_is_held_no_more_is_not_revived(store, lease, lose) -> None:
    told, now = lose(store, lease)
    with pytest.raises(LeaseLost, match="run again"):
        heartbeat(store.catalog, told, ttl=HOUR, now=now)


@pytest.fixture
def beats(monkeypatch):
    """Lets a test wait for heartbeats, which come every few milliseconds; each says its outcome."""
    monkeypatch.setattr(module, "_LEAST_S", 0.005)
    told: list[object] = []
    heard = Event()

    def play(*outcomes):
        left = list(outcomes)

        def fake(catalog, lease, *, ttl, now):
            if not left:  # before the block could end
                raise LeaseLost("over")
            outcome = left.pop(0)
            told.append((now, ttl))
            if not left:
                heard.set()
            if outcome is not None:
                raise outcome

        monkeypatch.setattr(leases, "heartbeat", fake)
        return told, heard

    return play


def test_the_lease_is_renewed_while_the_block_runs_and_not_after(store, lease, beats) -> None:
    told, heard = beats(None, None, None)
    with kept(store.catalog, lease, ttl=dt.timedelta(milliseconds=1), now=store.now):
        assert heard.wait(30)
    assert len(told) == 3
    assert all(now >= store.now for now, _ in told)
    assert [now for now, _ in told] == sorted(now for now, _ in told)


def test_a_beat_that_the_catalog_did_not_hear_is_followed_by_another(store, lease, beats) -> None:
    away = OperationalError("UPDATE", {}, Exception("away"))
    told, heard = beats(
        CommitConflict("busy"), away, SourceUnavailable("away"), CommitUnknown("cut"),
        LeaseLost("gone"),
    )  # fmt: skip
    with kept(store.catalog, lease, ttl=dt.timedelta(milliseconds=1), now=store.now):
        assert heard.wait(30)
    assert len(told) == 5, "after a lost lease nothing more is asked"


def test_a_catalog_that_was_away_for_a_while_loses_no_lease(store, lease, monkeypatch) -> None:
    """As the catalog itself says that it is away, not as its driver does."""
    monkeypatch.setattr(module, "_LEAST_S", 0.005)
    real, tries, heard = store.catalog._engine.connect, [], Event()

    def connect(*given, **named):
        tries.append(1)
        if len(tries) <= 3:
            raise OperationalError("connect", {}, Exception("away"))
        heard.set()
        return real(*given, **named)

    monkeypatch.setattr(store.catalog._engine, "connect", connect)
    with kept(store.catalog, lease, ttl=dt.timedelta(milliseconds=1) * 6, now=store.now):
        assert heard.wait(30)
    assert len(tries) > 3
