"""The views that join or count others, on rows made by hand."""

import datetime as dt
import re

import pytest
from sqlalchemy import update

from warehouse.leases import acquire, finish, heartbeat, release, reuse
from warehouse.manifest import ModelVersion
from warehouse.query import refresh_if_stale
from warehouse.records import Category, SignalKind
from warehouse.selection import Wanted
from warehouse.tables import models

BEFORE, LATER = dt.date(2026, 11, 19), dt.date(2026, 11, 21)
HOUR = dt.timedelta(hours=1)
SAT = {"signal": SignalKind.SAT, "category": Category.SAT}
NEUTRAL = {"signal": SignalKind.NEUTRAL, "category": Category.NEUTRAL}


def about(store, i: int, **fields):
    """The verdict on turn `i`, which speaks about the turn before it."""
    return store.signal(i, conversation_id="c", answer_turn_id=f"turn-{i - 1}", **fields)


def said(store, numbers, **fields) -> list:
    return [store.turn(i, conversation_id="c", origin_offset=0, **fields) for i in numbers]


def test_a_follow_up_stands_beside_the_answer_that_it_speaks_about(store) -> None:
    turns = said(store, range(3))
    turns[1] = store.turn(
        1, conversation_id="c", origin_offset=0, thumb=-1, rating=2.5, regenerated=True
    )
    store.publish(
        "1", store.stage("turns", "a", turns), store.stage("signals", "rules@1", [about(store, 2)])
    )
    columns = "turn_id, follow_up, answer_turn_id, answer, signal, thumb, rating, regenerated"
    assert store.sql(f"SELECT {columns} FROM follow_ups") == [
        ("turn-2", "text 2", "turn-1", "text 1", "dsat", -1, 2.5, True)
    ]


def test_an_answer_that_an_earlier_night_shows_is_there_and_no_row_comes_twice(store) -> None:
    """The conversation goes on in a second log of its night, and in one of the next night."""
    first = said(store, range(2), origin_file="a")
    carried = [
        [store.turn(i, conversation_id="c", origin_file=log, origin_offset=0, carried=i < new)
         for i in range(count)]
        for log, new, count in (("b", 2, 3), ("c", 3, 5))
    ]  # fmt: skip
    store.publish(
        "1",
        store.stage("turns", "a", first),
        store.stage("turns", "b", carried[0]),
        store.stage("signals", "rules@1", [about(store, 2)]),
    )
    store.publish(
        "2",
        store.stage("turns", "c", carried[1], LATER),
        store.stage("signals", "rules@1", [about(store, 4)], LATER),
        night=LATER,
    )
    assert store.sql("SELECT log_date, follow_up, answer FROM follow_ups ORDER BY 1") == [
        (store.night, "text 2", "text 1"), (LATER, "text 4", "text 3"),
    ]  # fmt: skip
    assert store.sql("SELECT count(*) FROM turns_all") == [(10,)]
    assert store.sql("SELECT count(*) FROM turns") == [(5,)]


def test_an_answer_from_before_midnight_is_read_from_the_record_that_went_on(store) -> None:
    store.publish("1", store.stage("turns", "a", said(store, range(2)), BEFORE), night=BEFORE)
    went_on = [store.turn(i, conversation_id="c", origin_offset=0, carried=i < 2) for i in range(3)]
    verdicts = store.stage("signals", "rules@1", [about(store, 2, **SAT)])
    store.publish("2", store.stage("turns", "b", went_on), verdicts)
    assert store.sql("SELECT turn_id, answer, feedback FROM sat_turns") == [
        ("turn-2", "text 1", "text 2")
    ]
    assert store.sql("SELECT answer FROM follow_ups") == [("text 1",)]


def test_sat_turns_are_the_answers_that_users_were_content_with(store) -> None:
    verdicts = [about(store, 2, **SAT), about(store, 4), about(store, 6, **NEUTRAL)]
    store.publish(
        "1",
        store.stage("turns", "a", said(store, range(8))),
        store.stage("signals", "rules@1", verdicts),
    )
    columns = "turn_id, answer_turn_id, answer, feedback, detector, detector_version, model"
    assert store.sql(f"SELECT {columns} FROM sat_turns") == [
        ("turn-2", "turn-1", "text 1", "text 2", "rules", "1", "small")
    ]


def two_detectors(store) -> None:
    """Two nights by rules@1; the second one once more, and otherwise, by small@7."""
    small = {"detector": "small", "detector_version": "7"}
    for run, night in (("1", BEFORE), ("2", store.night)):
        rows = [about(store, 2), about(store, 4, **NEUTRAL)]
        store.publish(run, store.stage("signals", "rules@1", rows, night), night=night)
    rows = [about(store, 2, **NEUTRAL, **small), about(store, 4, **NEUTRAL, **small)]
    store.publish("3", store.stage("signals", "small@7", rows))


def test_signals_all_has_every_detector_and_signals_the_current_one(store) -> None:
    two_detectors(store)
    counted = "SELECT detector, count(*), count_if(signal = 'dsat') FROM {} GROUP BY 1 ORDER BY 1"
    assert store.sql(counted.format("signals_all")) == [("rules", 4, 2), ("small", 2, 0)]
    assert store.sql(counted.format("signals")) == [("rules", 2, 1), ("small", 2, 0)]


def test_detector_versions_say_which_nights_each_has_judged(store) -> None:
    two_detectors(store)
    assert store.sql("FROM detector_versions") == [
        ("rules", "1", BEFORE, store.night, 2, 1, 4, 2),
        ("small", "7", store.night, store.night, 1, 1, 2, 0),
    ]


def test_the_rate_is_of_the_commit_that_the_signals_are_of(store) -> None:
    two_detectors(store)
    daily = "SELECT log_date, sum(follow_ups), sum(dsat) FROM dsat_rate_daily GROUP BY 1 ORDER BY 1"
    assert store.sql(daily) == [(BEFORE, 2, 1), (store.night, 2, 0)]


def lease(store, stream: str, **options):
    defaults = {"holdout": 0, "ttl": HOUR, "now": store.now, "seed": 0}
    return acquire(store.catalog, Wanted(turns=2), stream=stream, **defaults | options)


def model(batch: str, version: str, parent: str | None = None) -> ModelVersion:
    at = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    return ModelVersion(
        version=version, parent=parent, batch_id=batch, created_at=at, promoted=True,
        manifest_sha256="ab",
    )  # fmt: skip


@pytest.fixture
def trained(store):
    """A batch in every state: stream "done" was finished and then used once more."""
    rows = [store.dsat(i, user_key=f"user-{i}") for i in range(3)]
    store.publish("1", store.stage("dsat_turns", "rules@1", rows))
    done = lease(store, "done")
    finish(store.catalog, done, model(done.batch_id, "v1"), store.now)
    again = reuse(store.catalog, done.batch_id, ttl=HOUR, now=store.now)
    finish(store.catalog, again, model(again.batch_id, "v2", "v1"), store.now)
    lease(store, "held")
    release(store.catalog, lease(store, "given-back"))
    lease(store, "lost")
    lease(store, "lost", now=store.now + 2 * HOUR)
    refresh_if_stale(store.catalog)  # which a lease does not: it is no commit
    return store


def test_batches_are_shown_in_every_state(trained) -> None:
    rows = trained.sql("SELECT batch_id, state, turns, reuses FROM batches ORDER BY ALL")
    assert rows == [
        ("done-000001", "finished", 2, None),
        ("done-000002", "finished", 0, "done-000001"),
        ("given-back-000001", "released", 0, None),
        ("held-000001", "leased", 2, None),
        ("lost-000001", "expired", 0, None),
        ("lost-000002", "leased", 2, None),
    ]
    assert trained.sql("SELECT DISTINCT expires_at - created_at FROM batches") == [(HOUR,)]


def test_no_token_is_shown(trained) -> None:
    token = lease(trained, "more").token
    refresh_if_stale(trained.catalog)
    for file in ("views.sql", "warehouse.duckdb"):
        assert token.encode() not in (trained.root / file).read_bytes()


def test_a_longer_lease_is_shown_once_the_views_are_made_anew(trained) -> None:
    held = lease(trained, "more")
    heartbeat(trained.catalog, held, ttl=3 * HOUR, now=trained.now)
    refresh_if_stale(trained.catalog)
    ends = "SELECT expires_at FROM batches WHERE batch_id = 'more-000001'"
    assert trained.sql(ends) == [(trained.now + 3 * HOUR,)]


def test_lineage_says_which_turns_a_model_has_learned_from(trained) -> None:
    rows = trained.sql(
        "SELECT model_version, parent, batch_id, stream, promoted, list(turn_id ORDER BY turn_id), "
        "bool_and(user_key = replace(turn_id, 'turn', 'user')) FROM lineage GROUP BY ALL ORDER BY 1"
    )
    ((turns,),) = trained.sql(
        "SELECT list(turn_id ORDER BY turn_id) FROM lineage WHERE model_version = 'v1'"
    )
    assert len(turns) == 2 and set(turns) < {"turn-0", "turn-1", "turn-2"}
    assert rows == [
        ("v1", None, "done-000001", "done", True, turns, True),
        ("v2", "v1", "done-000002", "done", True, turns, True),
    ]


def test_a_model_says_how_many_of_its_turns_are_erased(trained) -> None:
    with trained.catalog.write() as connection:
        v1 = update(models).where(models.c.version == "v1")
        connection.execute(v1.values(erased_turns=2))
    refresh_if_stale(trained.catalog)
    rows = trained.sql("SELECT version, stream, batch_id, erased_turns FROM models ORDER BY 1")
    assert rows == [("v1", "done", "done-000001", 2), ("v2", "done", "done-000002", 0)]


VIEWS = ("turns", "turns_all", "signals", "signals_all", "follow_ups", "sat_turns",
         "dsat_rate_daily", "dsat_turns", "dsat_turns_all", "revised_pairs")  # fmt: skip
NIGHTS = {
    "one night": "log_date = DATE '2026-11-18'",
    "from a night on": "log_date >= DATE '2026-11-20'",
    "some nights": "log_date BETWEEN DATE '2026-11-18' AND DATE '2026-11-18'",
}


@pytest.fixture(scope="module")
def four_nights(new_store, tmp_path_factory):
    """17 to 20 November, each with rows of every table that the views above are made of."""
    store = new_store(tmp_path_factory.mktemp("nights"))
    staged = []
    for night in (dt.date(2026, 11, day) for day in range(17, 21)):
        staged += [
            store.stage("turns", "a", said(store, range(4)), night),
            store.stage("signals", "rules@1", [about(store, 2, **SAT)], night),
            store.stage("dsat_turns", "rules@1", [store.dsat(2)], night),
        ]
    store.publish("1", *staged)
    yield store
    store.catalog.close()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("where", NIGHTS.values(), ids=NIGHTS)
def test_a_filter_on_the_night_opens_the_files_of_no_other(four_nights, view, where) -> None:
    ((_, plan),) = four_nights.sql(f"EXPLAIN ANALYZE FROM {view} WHERE {where}")
    opened = re.findall(r"Total Files Read: (\d+)", plan)
    assert opened and set(opened) == {"1"}
