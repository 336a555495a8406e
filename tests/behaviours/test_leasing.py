"""What leases promise: every turn once in a stream, and none that is held out."""

import datetime as dt
from hashlib import md5

import msgspec
import pytest

from warehouse import candidates
from warehouse.barred import Bar, bar, barred, set_opted_out
from warehouse.errors import LeaseLost
from warehouse.leases import Lease, acquire, finish, release
from warehouse.manifest import ModelVersion
from warehouse.records import Message, Role, SystemPrompt
from warehouse.selection import Wanted
from warehouse.streams import alive, fresh, held, heldout, last_snapshot, lineage, registered

pytestmark = pytest.mark.databases
HOUR = dt.timedelta(hours=1)
EARLIER = dt.date(2026, 11, 19)


def take(store, n: int = 100, *, minimum: int = 1, **options) -> Lease | None:
    defaults = {
        "stream": "default", "holdout": 0.0, "ttl": HOUR, "now": store.now, "seed": 0,
    }  # fmt: skip
    return acquire(store.catalog, Wanted(turns=n, minimum=minimum), **defaults | options)


def ids(lease: Lease | None) -> list[str]:
    assert lease is not None
    return [turn.turn_id for turn in lease.turns]


def model(lease: Lease, version: str = "v1") -> ModelVersion:
    return ModelVersion(
        version=version, parent=None, batch_id=lease.batch_id, created_at=lease.expires_at,
        promoted=True, manifest_sha256="ab",
    )  # fmt: skip


def fill(store, count: int, night: dt.date | None = None, run: str = "fill", **fields) -> None:
    night = night or store.night
    rows = [store.dsat(i, **fields) for i in range(count)]
    store.publish(run, store.stage("dsat_turns", "rules@1", rows, night), night=night)


def test_a_leased_turn_comes_back_as_it_was_published(store) -> None:
    fill(store, 1)
    lease = take(store)
    assert lease.turns == (store.dsat(0),)
    assert (lease.snapshot, lease.expires_at) == (1, store.now + HOUR)


def test_no_turn_is_leased_twice_in_a_stream(store) -> None:
    fill(store, 5)
    first, second = ids(take(store, 3)), ids(take(store, 3))
    assert (len(first), len(second)) == (3, 2)
    assert not set(first) & set(second)
    assert take(store) is None


def test_streams_do_not_share_their_turns(store) -> None:
    fill(store, 3)
    assert ids(take(store)) == ids(take(store, stream="other"))


def test_fewer_than_the_minimum_lease_nothing(store) -> None:
    fill(store, 3)
    assert take(store, minimum=4) is None
    assert fresh(store.catalog, stream="default", holdout=0, now=store.now) == 3
    assert len(ids(take(store, minimum=3))) == 3


@pytest.mark.parametrize("minimum", [0, 1])
def test_an_empty_warehouse_has_nothing_to_lease(store, minimum: int) -> None:
    assert take(store, minimum=minimum) is None
    assert heldout(store.catalog, holdout=0.5, n=3) == []


def test_untrainable_turns_are_not_leased(store) -> None:
    fill(store, 3, trainable=False, untrainable_reason="too_unsure")
    assert take(store) is None


@pytest.mark.parametrize("kind", Bar)
def test_the_turns_of_barred_users_are_neither_leased_nor_held_out(store, kind: Bar) -> None:
    rows = [store.dsat(0, user_key="ann"), store.dsat(1, user_key="bob"), store.dsat(2)]
    store.publish("fill", store.stage("dsat_turns", "rules@1", rows))
    with store.catalog.write() as connection:
        bar(connection, kind, ["ann"])
    assert set(ids(take(store))) == {"turn-1", "turn-2"}
    kept = heldout(store.catalog, holdout=1.0, n=9)
    assert {turn.turn_id for turn in kept} == {"turn-1", "turn-2"}


def test_the_list_of_who_opted_out_decides(store) -> None:
    set_opted_out(store.catalog, ["ann", "bob"])
    set_opted_out(store.catalog, ["bob", "cy"])
    assert barred(store.catalog, Bar.OPTED_OUT) == {"bob", "cy"}
    assert barred(store.catalog, Bar.ERASED) == frozenset()


def test_a_leased_turn_has_the_text_of_its_system_prompt(store) -> None:
    said = (
        Message(role=Role.SYSTEM, content="", prompt_hash="aa"),
        Message(role=Role.USER, content="hi"),
    )
    lost = (Message(role=Role.SYSTEM, content="", prompt_hash="no such prompt"), said[1])
    prompts = [SystemPrompt(prompt_hash=h, content=f"Be {h}.") for h in ("aa", "bb")]
    store.publish("prompts", store.stage("system_prompts", "a", prompts))
    rows = [store.dsat(0, context=said), store.dsat(1, context=lost)]
    store.publish("fill", store.stage("dsat_turns", "rules@1", rows))
    contexts = {turn.turn_id: turn.context for turn in take(store).turns}
    assert contexts["turn-0"] == (Message(role=Role.SYSTEM, content="Be aa."), said[1])
    assert contexts["turn-1"] == lost


def test_only_the_current_detectors_turns_are_leased(store) -> None:
    store.publish("1", store.stage("dsat_turns", "rules@1", [store.dsat(1), store.dsat(2)]))
    store.publish("2", store.stage("dsat_turns", "small@7", [store.dsat(2)]))
    assert ids(take(store)) == ["turn-2"]


def test_a_turn_of_two_nights_is_one_turn_with_the_newest_verdict(store) -> None:
    fill(store, 3, EARLIER, run="early", answer="old")
    later = [store.dsat(0, answer="new"), store.dsat(1, trainable=False)]
    store.publish("late", store.stage("dsat_turns", "rules@1", later))
    found = {turn.turn_id: turn.answer for turn in take(store).turns}
    assert found == {"turn-0": "new", "turn-2": "old"}


def test_the_newest_nights_come_first(store) -> None:
    early = [store.dsat(i) for i in range(5)]
    store.publish("1", store.stage("dsat_turns", "rules@1", early, EARLIER), night=EARLIER)
    late = [store.dsat(i) for i in range(10, 13)]
    store.publish("2", store.stage("dsat_turns", "rules@1", late))
    assert set(ids(take(store, 3))) == {"turn-10", "turn-11", "turn-12"}


def test_where_a_draw_looks_first_changes_nothing(store, monkeypatch) -> None:
    for age in range(6):  # three of four turns come again in the night before
        night = EARLIER - dt.timedelta(age)
        rows = [store.dsat(i, trainable=i % (age + 2) > 0) for i in range(age, age + 4)]
        store.publish(f"{age}", store.stage("dsat_turns", "rules@1", rows, night), night=night)
    draws = []
    for nights in ((), (1, 2, 4), (3,)):
        monkeypatch.setattr(candidates, "_NEWEST_NIGHTS", nights)
        leases = [take(store, n, stream=f"{nights} {n}") for n in (1, 2, 3, 4, 5, 9)]
        draws.append([ids(lease) for lease in leases])
    assert draws[0] == draws[1] == draws[2]


def test_the_draw_depends_on_the_seed_and_on_nothing_else(store) -> None:
    fill(store, 40)
    draws = [
        ids(take(store, 20, stream=name, seed=seed))
        for name, seed in zip("abc", (1, 1, 2), strict=True)
    ]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_held_out_conversations_are_never_leased(store) -> None:
    rows = [store.dsat(i, conversation_id=f"conversation-{i // 3}") for i in range(300)]
    store.publish("1", store.stage("dsat_turns", "rules@1", rows))
    kept = {turn.conversation_id for turn in heldout(store.catalog, holdout=0.3, n=300)}
    leased = {turn.conversation_id for turn in take(store, 300, holdout=0.3).turns}
    assert not kept & leased
    assert len(kept | leased) == 100
    assert 15 < len(kept) < 45, "three tenths of a hundred conversations, give or take"


def test_the_held_out_set_never_changes_its_mind(store) -> None:
    fill(store, 60)
    before = heldout(store.catalog, holdout=0.5, n=5)
    assert before == heldout(store.catalog, holdout=0.5, n=5)
    take(store, 10, holdout=0.5)
    assert before == heldout(store.catalog, holdout=0.5, n=5)


@pytest.mark.parametrize("holdout", [0.0, 0.1, 0.5, 0.9])
def test_a_conversation_is_held_out_by_its_hash_alone(store, holdout: float) -> None:
    """Frozen: one that changed sides after an upgrade would be trained on after all."""
    fill(store, 60)
    hashes = [md5(f"conversation-{i}".encode()).hexdigest() for i in range(60)]
    place = {i: int(found[:13], 16) / 2**52 for i, found in enumerate(hashes)}
    expected = {f"turn-{i}" for i in place if place[i] < holdout}
    assert {turn.turn_id for turn in heldout(store.catalog, holdout=holdout, n=60)} == expected
    assert len(ids(take(store, holdout=holdout))) == 60 - len(expected)


def test_a_lease_that_ran_out_frees_its_turns(store) -> None:
    fill(store, 3)
    lost = take(store)
    assert take(store, now=store.now + HOUR / 2) is None
    again = take(store, now=store.now + HOUR)
    assert ids(again) == ids(lost)
    assert again.token != lost.token


def test_who_comes_back_after_the_lease_ran_out_loses(store) -> None:
    fill(store, 3)
    late = take(store)
    with pytest.raises(LeaseLost, match="ran out or was closed before.*run again"):
        finish(store.catalog, late, model(late), store.now + HOUR)
    winner = take(store, now=store.now + HOUR)
    with pytest.raises(LeaseLost):
        finish(store.catalog, late, model(late), store.now)
    release(store.catalog, late)
    finish(store.catalog, winner, model(winner, "v2"), store.now + HOUR)
    assert store.sql("SELECT version, batch_id FROM models") == [("v2", winner.batch_id)]


def test_finished_turns_stay_used_and_their_lineage_is_known(store) -> None:
    fill(store, 3)
    lease = take(store, 2)
    assert last_snapshot(store.catalog, stream="default") is None
    finish(store.catalog, lease, model(lease), store.now)
    assert lineage(store.catalog, "v1") == sorted(ids(lease))
    assert lineage(store.catalog, "v2") == []
    assert last_snapshot(store.catalog, stream="default") == 1
    rest = take(store, now=store.now + 100 * HOUR)
    assert not set(ids(rest)) & set(ids(lease))
    assert store.sql("SELECT version, stream, promoted FROM models") == [("v1", "default", True)]


def test_a_batch_is_finished_once(store) -> None:
    fill(store, 3)
    lease = take(store)
    finish(store.catalog, lease, model(lease), store.now)
    with pytest.raises(LeaseLost):
        finish(store.catalog, lease, model(lease, "v2"), store.now)
    assert store.sql("SELECT version FROM models") == [("v1",)]


def test_a_wrong_token_finishes_and_releases_nothing(store) -> None:
    fill(store, 3)
    lease = take(store)
    forged = msgspec.structs.replace(lease, token="guessed")
    with pytest.raises(LeaseLost):
        finish(store.catalog, forged, model(forged), store.now)
    release(store.catalog, forged)
    assert take(store) is None


def test_a_model_of_another_batch_is_a_defect(store) -> None:
    fill(store, 3)
    lease = take(store)
    other = msgspec.structs.replace(model(lease), batch_id="default-000009")
    with pytest.raises(ValueError, match="default-000009"):
        finish(store.catalog, lease, other, store.now)


def test_released_turns_are_fresh_again(store) -> None:
    fill(store, 3)
    lease = take(store)
    release(store.catalog, lease)
    assert sorted(ids(take(store))) == sorted(ids(lease))


def test_a_batch_that_was_finished_cannot_be_released(store) -> None:
    fill(store, 3)
    lease = take(store)
    finish(store.catalog, lease, model(lease), store.now)
    release(store.catalog, lease)
    assert take(store) is None


def test_fresh_counts_what_can_be_leased(store) -> None:
    fill(store, 10)
    assert fresh(store.catalog, stream="default", holdout=0, now=store.now) == 10
    take(store, 4)
    assert fresh(store.catalog, stream="default", holdout=0, now=store.now) == 6
    assert fresh(store.catalog, stream="other", holdout=0, now=store.now) == 10


def test_turns_of_a_lease_that_ran_out_count_as_fresh_and_not_as_held(store) -> None:
    fill(store, 10)
    lease = take(store, 4)
    before, after = lease.expires_at - HOUR / 2, lease.expires_at
    assert fresh(store.catalog, stream="default", holdout=0, now=before) == 6
    assert held(store.catalog, stream="default", now=before) == (4, lease.expires_at)
    assert fresh(store.catalog, stream="default", holdout=0, now=after) == 10
    assert held(store.catalog, stream="default", now=after) == (0, None)


def test_registered_models_and_living_batches_are_known(store) -> None:
    fill(store, 4)
    done, open_ = take(store, 1), take(store, 1)
    release(store.catalog, take(store, 1))
    finish(store.catalog, done, model(done), store.now)
    assert registered(store.catalog) == [model(done)]
    assert alive(store.catalog, now=store.now) == {open_.batch_id}
    assert alive(store.catalog, now=store.now + HOUR) == set()
