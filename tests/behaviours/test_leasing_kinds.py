"""A lease of DSAT turns, SAT turns and seed pairs: each once in a stream, and none held out."""

import datetime as dt

import pytest
from sqlalchemy import select

from tests.conversations import content, publish, revised, seed
from warehouse.erase import erase
from warehouse.leases import Lease, acquire, finish, release, reuse
from warehouse.manifest import ModelVersion
from warehouse.query import snapshot
from warehouse.rebuild import rebuild
from warehouse.records import ItemKind
from warehouse.selection import Wanted
from warehouse.sources import id_of
from warehouse.streams import fresh, held, heldout, heldout_satisfied, lineage
from warehouse.tables import batch_items
from warehouse.upkeep.collect import collect, due

pytestmark = pytest.mark.databases
HOUR = dt.timedelta(hours=1)
DSAT, SAT, SEED = ItemKind


@pytest.fixture
def filled(store):
    """Of three conversations each: a complaint and an accepted revision; praise; a pair."""
    turns, signals, dsat = [], [], []
    for i in range(3):
        own, (said, rows) = revised(store, f"r{i}-")
        turns, signals, dsat = turns + own, signals + said, dsat + rows
        own, fine = content(store, f"s{i}-", chain=50 + i)
        turns, signals = turns + own, [*signals, fine]
    pairs = [seed(store, f"p{i}", user_key=f"user-p{i}") for i in range(3)]
    publish(store, turns, signals, dsat=dsat, pairs=pairs)
    return store


def take(store, stream: str = "s", *, now=None, holdout: float = 0.0, **wanted) -> Lease | None:
    return acquire(
        store.catalog, Wanted(**wanted), stream=stream, holdout=holdout, ttl=HOUR,
        now=now or store.now, seed=0,
    )  # fmt: skip


def ids(lease: Lease) -> dict[ItemKind, set[str]]:
    return {kind: {id_of(item) for item in held} for kind, held in lease.items.items()}


def done(store, lease: Lease, version: str = "v1") -> None:
    model = ModelVersion(
        version=version, parent=None, batch_id=lease.batch_id, created_at=store.now, promoted=True,
        manifest_sha256="ab",
    )  # fmt: skip
    finish(store.catalog, lease, model, store.now)


ALL = {"turns": 1, "satisfied": 2, "seeds": 2}


def test_one_lease_holds_all_three_kinds_and_the_next_gets_others(filled) -> None:
    first, second = (ids(take(filled, **ALL)) for _ in range(2))
    for kind, number in zip(ItemKind, (1, 2, 2), strict=True):
        assert len(first[kind]) == number
    taken = [set().union(*some.values()) for some in (first, second)]
    assert not taken[0] & taken[1]
    with filled.catalog.read() as connection:
        held = connection.execute(select(batch_items.c.turn_id, batch_items.c.kind)).all()
    assert sorted(held) == sorted(
        (id, kind) for lease in (first, second) for kind, of in lease.items() for id in of
    )


def test_a_complaint_and_the_pair_that_it_began_are_one_item(filled) -> None:
    pairs = ids(take(filled, seeds=99))[SEED]
    assert pairs == {"r0-2", "r1-2", "r2-2", "p0", "p1", "p2"}
    assert fresh(filled.catalog, stream="s", holdout=0, now=filled.now) == 0
    whole = ids(take(filled, "t", turns=99, seeds=99))
    assert whole == {DSAT: {"r0-2", "r1-2", "r2-2"}, SAT: set(), SEED: {"p0", "p1", "p2"}}
    other = ids(take(filled, "u", turns=99, seeds=99, main=SEED))
    assert other == {DSAT: set(), SAT: set(), SEED: pairs}


MAIN = {
    "of three the first": ({"turns": 9, "satisfied": 9, "minimum": 3}, (3, 6, 0)),
    "and too few of it": ({"turns": 9, "satisfied": 9, "minimum": 4}, None),
    "of no DSAT turns the SAT turns": ({"satisfied": 9, "seeds": 1, "minimum": 6}, (0, 6, 1)),
    "the one that is named": ({"turns": 1, "satisfied": 9, "main": SAT, "minimum": 6}, (1, 6, 0)),
    "named, and too few": ({"turns": 9, "seeds": 9, "main": SEED, "minimum": 7}, None),
    "little of the others": ({"satisfied": 3, "turns": 99, "minimum": 2}, (3, 3, 0)),
}


@pytest.mark.parametrize("wanted, counts", MAIN.values(), ids=MAIN)
def test_the_minimum_is_of_the_main_kind(filled, wanted, counts) -> None:
    lease = take(filled, **wanted)
    assert (lease and tuple(map(len, lease.items.values()))) == counts
    if lease is None:
        assert ids(take(filled, turns=99))[DSAT], "nothing is held"


@pytest.mark.parametrize("words", [{}, {"turns": 1, "main": SAT}], ids=["nothing", "no main"])
def test_a_lease_of_nothing_is_a_defect(words) -> None:
    with pytest.raises(ValueError):
        Wanted(**words)


def test_given_back_all_kinds_are_fresh_again(filled) -> None:
    first = take(filled, turns=9, satisfied=9, seeds=9)
    assert take(filled, satisfied=1) is None
    assert held(filled.catalog, stream="s", now=filled.now) == (3, filled.now + HOUR)
    release(filled.catalog, first)
    again = take(filled, turns=9, satisfied=9, seeds=9)
    assert ids(again) == ids(first)
    late = take(filled, turns=9, satisfied=9, seeds=9, now=filled.now + HOUR)
    assert ids(late) == ids(first), "that lease ran out"


def test_what_was_trained_on_is_used_up_and_its_lineage_says_as_what(filled) -> None:
    lease = take(filled, **ALL)
    done(filled, lease)
    told = filled.sql("SELECT kind, turn_id, user_key FROM lineage")
    assert sorted(told) == sorted(
        (kind, id_of(item), item.user_key) for kind, of in lease.items.items() for item in of
    )
    used = set().union(*ids(lease).values())
    assert lineage(filled.catalog, "v1") == sorted(used)
    rest = ids(take(filled, turns=99, satisfied=99, seeds=99, now=filled.now + 99 * HOUR))
    assert not set().union(*rest.values()) & used
    assert ids(take(filled, "t", **ALL)) == ids(lease), "another stream begins anew"


def test_a_finished_batch_comes_back_whole_and_uses_up_nothing(filled) -> None:
    lease = take(filled, **ALL)
    done(filled, lease)
    again = reuse(filled.catalog, lease.batch_id, ttl=HOUR, now=filled.now)
    assert {kind: set(held) for kind, held in again.items.items()} == {
        kind: set(held) for kind, held in lease.items.items()
    }
    done(filled, again, "v2")
    assert lineage(filled.catalog, "v2") == lineage(filled.catalog, "v1")
    assert filled.sql("SELECT version, erased_turns FROM models ORDER BY 1") == [
        ("v1", 0), ("v2", 0)
    ]  # fmt: skip
    third = reuse(filled.catalog, again.batch_id, ttl=HOUR, now=filled.now)
    assert ids(third) == ids(lease)


def test_what_a_promoted_batch_was_drawn_from_is_kept(filled) -> None:
    """Superseded, it is collected where no such batch held SAT turns or seed pairs."""
    lease = take(filled, **ALL)
    done(filled, lease)
    for number in (1, 2):
        own, fine = content(filled, f"later{number}", chain=number)
        publish(filled, own, [fine], run=f"later {number}")
    late = filled.now + 99 * HOUR
    garbage = due(filled.catalog, retention=HOUR, now=late)
    collect(filled.catalog, garbage, now=late)
    assert garbage.pinned and {path.split("/")[1] for path in garbage.paths} == {
        "turns", "signals", "system_prompts"
    }, "those of the night between"  # fmt: skip
    again = reuse(filled.catalog, lease.batch_id, ttl=HOUR, now=late)
    assert ids(again) == ids(lease)
    snapshot(filled.catalog, lease.snapshot).close()


def test_without_them_a_promoted_batch_keeps_no_logs(filled) -> None:
    done(filled, take(filled, turns=2))
    own, fine = content(filled, "later")
    publish(filled, own, [fine], run="later")
    late = filled.now + 99 * HOUR
    paths = due(filled.catalog, retention=HOUR, now=late).paths
    assert {path.split("/")[1] for path in paths} == {"turns", "signals"}


@pytest.mark.parametrize("when", ["while it is trained on", "after"])
def test_versions_are_flagged_by_every_kind_of_item_of_an_erased_user(filled, when) -> None:
    lease = take(filled, turns=99, satisfied=99, seeds=99)
    if when == "after":
        done(filled, lease)
    gone = ["user-s0-", "user-p1", "user-r2-"]  # praise, a pair, a complaint
    report = erase(filled.catalog, gone, filled.now)
    assert report.batch_turns == 4, "one who accepted a revision is content with it too"
    if when != "after":
        done(filled, lease)
    assert filled.sql("SELECT erased_turns FROM models") == [(4,)]
    users = {user for (user,) in filled.sql("SELECT user_key FROM lineage")}
    assert users and not users & set(gone)
    again = reuse(filled.catalog, lease.batch_id, ttl=HOUR, now=filled.now)
    left = {item.user_key for held in again.items.values() for item in held}
    assert left == users


def test_a_catalog_that_is_made_again_knows_what_was_what(filled, databases) -> None:
    lease = take(filled, **ALL)
    done(filled, lease)
    filled.catalog.close()
    for file in filled.root.glob("catalog.db*"):
        file.unlink()
    filled.url = databases.empty()
    assert rebuild(filled.root, filled.url, now=filled.now) is not None
    filled.reopen()
    again = reuse(filled.catalog, lease.batch_id, ttl=HOUR, now=filled.now)
    assert ids(again) == ids(lease)


def test_held_out_conversations_are_leased_as_nothing(store) -> None:
    turns, signals, dsat = [], [], []
    for i in range(40):
        own, (said, rows) = revised(store, f"r{i}-")
        turns, signals, dsat = turns + own, signals + said, dsat + rows
    pairs = [seed(store, f"p{i}", conversation_id=f"p{i}") for i in range(40)]
    publish(store, turns, signals, dsat=dsat, pairs=pairs)
    kept = {turn.conversation_id for turn in heldout(store.catalog, holdout=0.5, n=99)}
    calm = {turn.conversation_id for turn in heldout_satisfied(store.catalog, holdout=0.5, n=99)}
    assert 5 < len(kept) < 35 and calm <= kept
    for number, wanted in enumerate(({"turns": 99}, {"satisfied": 99}, {"seeds": 99})):
        lease = take(store, f"{number}", holdout=0.5, **wanted)
        (items,) = [held for held in lease.items.values() if held]
        free = {item.conversation_id for item in items}
        assert not free & kept
        if "seeds" in wanted:
            assert 5 < len({name for name in free if name.startswith("p")}) < 35
