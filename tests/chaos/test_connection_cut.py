"""PostgreSQL cut off at COMMIT: nobody was told whether it did, and everyone finds out."""

import datetime as dt
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy.engine import make_url

from warehouse.errors import CommitConflict, CommitUnknown, SourceUnavailable
from warehouse.leases import Lease, acquire, finish, heartbeat, release
from warehouse.manifest import ModelVersion
from warehouse.query import refresh_if_stale
from warehouse.selection import Wanted

HOUR = dt.timedelta(hours=1)
READY = b"Z\x00\x00\x00\x05I"  # the server's last word: ready for a query, in no transaction


class Proxy:
    """Between clients and PostgreSQL. It reads what the clients say, and cuts some of them off.

    `plan`: what it does at the next COMMITs, one each: pass it on, cut the line before the server
    has it, or after the server has answered and before the client hears.
    """

    def __init__(self, url: str) -> None:
        self.plan: list[str] = []
        self.gone_after_cut = False
        self.gone = False
        made = make_url(url)
        self._server = (made.host, made.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = made.set(port=port).render_as_string(hide_password=False)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                if self.gone:
                    client.close()
                    continue
                line = Line(client, socket.create_connection(self._server), self)
                for way in (line.up, line.down):
                    self._threads.append(threading.Thread(target=way))
                    self._threads[-1].start()

    def next_step(self) -> str:
        """What to do at the COMMIT that is just seen."""
        step = self.plan.pop(0) if self.plan else "pass"
        self.gone = self.gone or (step != "pass" and self.gone_after_cut)
        return step


class Line:
    """One client's connection, both ways."""

    def __init__(self, client: socket.socket, server: socket.socket, proxy: Proxy) -> None:
        for end in (client, server):  # a message waits for no other: 40 ms each
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client, self._server, self._proxy = client, server, proxy
        self._swallow = False

    def up(self) -> None:
        """Pass on what the client says, message by message."""
        with suppress(OSError), self._client.makefile("rb") as said:
            kind = b""  # the first message has none
            while length := said.read(4):
                message = said.read(struct.unpack("!I", length)[0] - 4)
                if is_commit(kind, message):
                    step = self._proxy.next_step()
                    if step == "before":
                        break
                    self._swallow = step == "after"
                self._server.sendall(kind + length + message)
                kind = said.read(1)
        if not self._swallow:
            self._cut()

    def down(self) -> None:
        """Pass on what the server answers; to a COMMIT that is swallowed, nothing."""
        answer = b""
        with suppress(OSError):
            while heard := self._server.recv(65536):
                if self._swallow:
                    answer += heard
                    if answer.endswith(READY):
                        break
                else:
                    self._client.sendall(heard)
        self._cut()

    def _cut(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def is_commit(kind: bytes, message: bytes) -> bool:
    """Whether a message, of the simple or of the extended protocol, asks to commit."""
    return (kind == b"Q" and message == b"COMMIT\0") or (
        kind == b"P" and message.split(b"\0")[1] == b"COMMIT"
    )


@pytest.fixture
def proxy(store, postgres) -> Iterator[Proxy]:
    """The store's database is reached through it."""
    store.catalog.close()
    made = Proxy(postgres.new())
    store.url = made.url
    store.reopen()
    yield made
    store.catalog.close()
    made.close()
    postgres.close()


# At which COMMIT, and how -> what a publish says, and whether it is in.
CUTS = {
    "before the run begins": (["before"], 1),
    "once the run has begun": (["after"], 1),
    "before it is published": (["pass", "before"], "Nothing was published; run again"),
    "once it is published": (["pass", "after"], 1),
    "before it is shown": (["pass", "pass", "before"], "went away"),
    "once it is shown": (["pass", "pass", "after"], "went away"),
}


@pytest.mark.parametrize("plan, said", CUTS.values(), ids=CUTS)
def test_a_publish_that_is_cut_off_finds_out(store, proxy, plan, said) -> None:
    staged = store.stage("turns", "a", [store.turn(1)])
    proxy.plan = list(plan)
    if isinstance(said, int):
        assert store.publish("1", staged) == said
        assert len(store.sql("FROM turns")) == 1
    else:
        with pytest.raises((CommitConflict, CommitUnknown), match=said):
            store.publish("1", staged)
    assert proxy.plan == [], "it was never cut"
    again = store.publish("1", staged)
    assert again == (1 if "published" in str(said) else None)
    assert store.sql("SELECT turn_id FROM turns") == [("turn-1",)]
    assert store.sql("SELECT commit_id FROM warehouse_info") == [(1,)]


GONE = {"before it is published": ("before", 1), "once it is published": ("after", None)}


@pytest.mark.parametrize("step, again", GONE.values(), ids=GONE)
def test_a_publish_whose_database_stays_away_says_that_nobody_knows(
    store, proxy, step, again
) -> None:
    staged = store.stage("turns", "a", [store.turn(1)])
    proxy.plan, proxy.gone_after_cut = ["pass", step], True
    with pytest.raises(CommitUnknown, match="whether it did is not known.*run again"):
        store.publish("1", staged)
    with pytest.raises(SourceUnavailable, match="does not answer"):
        store.publish("1", staged)
    proxy.gone = False
    assert store.publish("1", staged) == again
    assert store.sql("SELECT turn_id FROM turns") == [("turn-1",)]


def lease_of(store) -> Lease:
    store.publish("fill", store.stage("dsat_turns", "rules@1", [store.dsat(i) for i in range(3)]))
    return take(store)


def take(store) -> Lease | None:
    return acquire(
        store.catalog, Wanted(turns=9), stream="default", holdout=0, ttl=HOUR, now=store.now, seed=0
    )


def finished(store, lease: Lease) -> None:
    model = ModelVersion(
        version="v1", parent=None, batch_id=lease.batch_id, created_at=store.now, promoted=True,
        manifest_sha256="ab",
    )  # fmt: skip
    finish(store.catalog, lease, model, store.now)


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_trainer_that_is_cut_off_registers_its_model_once(store, proxy, step) -> None:
    lease = lease_of(store)
    proxy.plan = [step]
    finished(store, lease)
    assert proxy.plan == []
    assert store.sql("SELECT version, batch_id FROM models") == [("v1", lease.batch_id)]
    assert len(store.sql("FROM lineage")) == 3


@pytest.mark.parametrize("step, models", {"before": 0, "after": 1}.items())
def test_a_trainer_whose_database_stays_away_does_not_claim_to_have_lost(
    store, proxy, step, models
) -> None:
    lease = lease_of(store)
    proxy.plan, proxy.gone_after_cut = [step], True
    with pytest.raises(CommitUnknown, match="whether it did is not known"):
        finished(store, lease)
    proxy.gone = False
    store.reopen()
    assert len(store.sql("FROM models")) == models
    assert store.sql("SELECT state FROM batches") == [("finished" if models else "leased",)]


@pytest.mark.parametrize("step", ["before", "after"])
def test_what_may_be_done_twice_is_done(store, proxy, step) -> None:
    lease = lease_of(store)
    proxy.plan = [step]
    longer = heartbeat(store.catalog, lease, ttl=2 * HOUR, now=store.now)
    assert longer.expires_at == store.now + 2 * HOUR
    proxy.plan = [step]
    release(store.catalog, lease)
    assert proxy.plan == []
    refresh_if_stale(store.catalog)
    assert store.sql("SELECT state FROM batches") == [("released",)]


def test_a_lease_that_nobody_confirmed_is_held_all_the_same(store, proxy) -> None:
    release(store.catalog, lease_of(store))
    proxy.plan = ["after"]
    lease = take(store)
    assert len(lease.turns) == 3
    finished(store, lease)
    assert store.sql("SELECT batch_id FROM models") == [(lease.batch_id,)]


def test_a_lease_that_was_cut_off_holds_nothing(store, proxy) -> None:
    release(store.catalog, lease_of(store))
    proxy.plan = ["before"]
    with pytest.raises(CommitUnknown):
        take(store)
    assert len(take(store).turns) == 3
