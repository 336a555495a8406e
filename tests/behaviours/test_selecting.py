"""What a batch is drawn from: limits of a batch, what counts as fresh, and the preview of it."""

import datetime as dt
import random
from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conversations import content, publish, revised, seed
from warehouse import candidates
from warehouse.leases import Lease, acquire, release
from warehouse.preview import preview
from warehouse.records import Category
from warehouse.selection import UNLIMITED, SelectionOptions, Wanted
from warehouse.streams import fresh, held

HOUR = dt.timedelta(hours=1)
NIGHTS = [dt.date(2026, 11, day) for day in (10, 14, 17, 18, 19, 20)]
OPEN = {"per_user": None, "per_cluster": None}


@pytest.fixture(scope="module")
def filled(new_store, tmp_path_factory):
    """90 turns of 6 nights, of a few users, models, categories, clusters and languages."""
    store = new_store(tmp_path_factory.mktemp("filled"))
    rng = random.Random(1)
    for at, night in enumerate(NIGHTS):
        rows = [
            store.dsat(
                i, user_key=rng.choice([None, *("ann", "bob", "cy") * 2]),
                model=rng.choice([None, "large", "large", "small"]),
                category=rng.choice((Category.COMPLAINT, Category.COMPLAINT, Category.CHALLENGE)),
                cluster=rng.choice([None, None, "k", "l"]),
                language=rng.choice([None, "en", "en", "de"]),
            )
            for i in range(15 * at, 15 * at + 15)
        ]  # fmt: skip
        store.publish(f"{night}", store.stage("dsat_turns", "rules@1", rows, night), night=night)
    yield store
    store.catalog.close()


def take(store, n: int = 999, *, minimum: int = 1, **options) -> Lease | None:
    """A lease that is given back at once."""
    words = {"stream": "s", "holdout": 0.1, "now": store.now, "seed": 0} | options
    lease = acquire(store.catalog, Wanted(turns=n, minimum=minimum), ttl=HOUR, **words)
    if lease is not None:
        release(store.catalog, lease)
    return lease


def show(store, n: int = 999, *, minimum: int = 1, **options):
    words = {"stream": "s", "holdout": 0.1, "now": store.now, "seed": 0} | options
    return preview(store.catalog, Wanted(turns=n, minimum=minimum), **words)


number = st.none() | st.integers(0, 9)
selections = st.builds(
    SelectionOptions,
    fresh_days=st.none() | st.integers(0, 12),
    per_user=number,
    per_model=number,
    per_category=number,
    per_cluster=number,
    stratify=st.sampled_from(["", "category", "language", "model"]),
    languages=st.sampled_from([(), ("en",), ("DE", "en"), ("fr",)]),
)
few = settings(
    deadline=None, max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@few
@given(selections, st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_preview_acquire_and_what_is_fresh_agree(filled, selection, n, minimum, number) -> None:
    """So a night that is told that enough is fresh gets its batch."""
    options = {"seed": number, "selection": selection}
    waiting = fresh(filled.catalog, stream="s", holdout=0.1, now=filled.now, **options)
    seen = show(filled, n, minimum=minimum, **options)
    lease = take(filled, n, minimum=minimum, **options)
    assert seen.is_enough == (lease is not None) == (min(waiting, n) >= minimum)
    if lease is None:
        assert (seen.turns, seen.waiting) == ((), min(waiting, n))
        return
    assert [turn.turn_id for turn in lease.turns] == list(seen.turns)
    assert len(seen.turns) == min(waiting, n)
    within(lease, selection, filled.now)
    assert seen.categories == Counter(turn.category for turn in lease.turns)
    assert sum(seen.nights.values()) == sum(seen.models.values()) == len(lease.turns)


def within(lease: Lease, selection: SelectionOptions, now: dt.datetime) -> None:
    for column, most in selection.caps.items():
        values = Counter(getattr(turn, column) for turn in lease.turns)
        assert max((n for value, n in values.items() if value is not None), default=0) <= most
    if selection.languages:
        told = {language.lower() for language in selection.languages}
        assert {turn.language for turn in lease.turns} <= told
    if selection.fresh_days:
        first = now.date() - dt.timedelta(selection.fresh_days)
        nights = {NIGHTS[int(turn.turn_id.removeprefix("turn-")) // 15] for turn in lease.turns}
        assert min(nights) >= first


@few
@given(selections, st.integers(1, 30))
def test_where_a_draw_looks_first_changes_nothing(filled, selection, n) -> None:
    draws = set()
    for nights in ((), (1, 2, 4), (3,)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(candidates, "_NEWEST_NIGHTS", nights)
            lease = take(filled, n, selection=selection)
            draws.add(lease and tuple(turn.turn_id for turn in lease.turns))
    assert len(draws) == 1


def test_without_limits_all_is_as_it_was(filled) -> None:
    assert SelectionOptions(per_user=0, per_cluster=0).caps == UNLIMITED.caps == {}
    every = take(filled, holdout=0)
    assert len(every.turns) == 90
    assert [turn.turn_id for turn in every.turns[:40]] == [
        turn.turn_id for turn in take(filled, 40, holdout=0).turns
    ]


def test_old_nights_are_not_fresh(filled) -> None:
    """At 3 in the morning of the 21st the last day's night is that of the 20th."""
    counts = [
        fresh(filled.catalog, stream="s", holdout=0, now=filled.now,
              selection=SelectionOptions(fresh_days=days, **OPEN))
        for days in (1, 2, 4, 7, 11, 10**6, 0)
    ]  # fmt: skip
    assert counts == [15, 30, 60, 75, 90, 90, 90]


def test_strata_have_equal_shares_as_far_as_they_go(filled) -> None:
    selection = SelectionOptions(stratify="language", **OPEN)
    told = show(filled, 33, holdout=0, selection=selection).languages
    assert sorted(told.values()) == [11, 11, 11]
    whole = show(filled, holdout=0, selection=UNLIMITED).languages
    most = min(whole.values())
    nearly = show(filled, 3 * most + 6, holdout=0, selection=selection).languages
    assert sorted(nearly.values()) == [most, most + 3, most + 3]


def test_the_preview_says_what_each_limit_left_out(filled) -> None:
    selection = SelectionOptions(fresh_days=4, per_user=5, per_cluster=None, languages=("en",))
    rows = take(filled, holdout=0).turns
    seen = show(filled, 10, holdout=0, selection=selection)
    batch = [turn for turn in rows if turn.turn_id in seen.turns]
    rest = [turn for turn in rows if turn.turn_id not in seen.turns]
    full = {user for user, n in Counter(t.user_key for t in batch).items() if user and n == 5}
    bars = {
        "per_user": lambda turn: turn.user_key in full,
        "fresh_days": lambda turn: int(turn.turn_id.removeprefix("turn-")) < 30,
        "languages": lambda turn: turn.language != "en",
    }
    assert seen.left_out == {name: sum(map(bar, rest)) for name, bar in bars.items()} | {
        "max_turns": sum(not any(bar(turn) for bar in bars.values()) for turn in rest)
    }
    assert all(seen.left_out.values())
    assert show(filled, 10, holdout=0).left_out == {"max_turns": 80}


def test_the_preview_names_users_by_the_first_of_their_key_alone(store) -> None:
    rows = [store.dsat(i, user_key=f"{i // 3:032x}"[::-1], cluster=None if i else "c" * 32)
            for i in range(7)]  # fmt: skip
    store.publish("1", store.stage("dsat_turns", "rules@1", rows))
    seen = show(store, holdout=0)
    assert seen.users == 3 and set(seen.top_users.values()) == {3, 1}
    assert {len(key) for key in (*seen.top_users, *seen.top_clusters)} == {8}
    assert (seen.clusters, seen.top_clusters) == (1, {"c" * 8: 1})
    assert (seen.languages, seen.models) == ({"unknown": 7}, {"small": 7})


@pytest.mark.databases
def test_a_preview_shows_all_kinds_and_holds_nothing(store) -> None:
    turns, (signals, dsat) = revised(store)
    own, fine = content(store, "s", chain=5)
    publish(store, turns + own, [*signals, fine], dsat=dsat, pairs=[seed(store, "p")])
    wanted = Wanted(turns=1, satisfied=9, seeds=9)
    words = {"stream": "s", "holdout": 0.0, "now": store.now, "seed": 0}
    first = preview(store.catalog, wanted, **words)
    assert preview(store.catalog, wanted, **words) == first
    assert held(store.catalog, stream="s", now=store.now) == (0, None)
    lease = acquire(store.catalog, wanted, ttl=HOUR, **words)
    assert first.turns == ("c2",) and first.seeds == ("p",)
    assert set(first.satisfied) == {turn.turn_id for turn in lease.satisfied} == {"c5", "s2"}
    again = preview(store.catalog, wanted, **words)
    assert (again.is_enough, again.turns, again.satisfied) == (False, (), ())
    later = preview(store.catalog, wanted, **words | {"now": lease.expires_at})
    assert later.turns == first.turns, "that lease has run out by then"


def test_limits_count_for_each_kind_by_itself(store) -> None:
    turns, signals, dsat = [], [], []
    for i in range(4):
        own, (said, rows) = revised(store, f"r{i}-")
        turns, signals, dsat = turns + own, signals + said, dsat + rows
    turns, signals, dsat = (
        [msgspec.structs.replace(row, user_key="ann") for row in of]
        for of in (turns, signals, dsat)
    )
    publish(store, turns, signals, dsat=dsat)
    lease = acquire(
        store.catalog, Wanted(turns=9, satisfied=9, seeds=9), stream="s", holdout=0.0, ttl=HOUR,
        now=store.now, seed=0, selection=SelectionOptions(per_user=2),
    )  # fmt: skip
    assert [len(held) for held in lease.items.values()] == [2, 2, 2]
