"""A detector is shown once it is promoted, on both databases."""

import datetime as dt

import pytest

from warehouse.candidates import candidates
from warehouse.errors import SettingsError
from warehouse.promote import begin, promote
from warehouse.query import detectors, newest_commit, snapshot, stale_dates
from warehouse.rebuild import rebuild
from warehouse.records import ItemKind
from warehouse.schema import Partition
from warehouse.selection import Terms

pytestmark = pytest.mark.databases

OLD, NEW = "rules@1", "small@7"
NIGHTS = [dt.date(2026, 11, day) for day in (18, 19, 20)]


def mine(store, run: str, part: str, night: dt.date) -> None:
    """One verdict, and a DSAT turn, by the detector; the turn's number tells which."""
    name, version = part.split("@")
    by = {"detector": name, "detector_version": version}
    i = 10 * night.day + (part == NEW)
    store.publish(
        run,
        store.stage("signals", part, [store.signal(i, **by)], night),
        store.stage("dsat_turns", part, [store.dsat(i, **by)], night),
        night=night,
    )


@pytest.fixture
def mined(store):
    """Three nights of turns. The old detector has mined the first two, the new one the last two."""
    for night in NIGHTS:
        turns = store.stage("turns", "a", [store.turn(night.day)], night)
        store.publish(f"turns {night}", turns, night=night)
    begin(store.catalog, OLD, now=store.now)
    for n, (part, night) in enumerate(
        [(OLD, NIGHTS[0]), (OLD, NIGHTS[1]), (NEW, NIGHTS[1]), (NEW, NIGHTS[2])]
    ):
        mine(store, f"mine {n}", part, night)
    return store


def shown(store) -> list[str]:
    """By night, of signals; DSAT turns must be of the same detectors."""
    query = "SELECT detector || '@' || detector_version FROM {} ORDER BY log_date"
    by = [[part for (part,) in store.sql(query.format(t))] for t in ("signals", "dsat_turns")]
    assert by[0] == by[1] == list(detectors(store.catalog, "signals").values())
    return by[0]


def offered(store) -> set[str]:
    """What trainers could be given."""
    with store.catalog.read() as connection, candidates(connection, store.catalog) as found:
        terms = Terms(stream="s", holdout=0, seed=0, now=store.now)
        return set(found.draw(ItemKind.DSAT, terms))


def test_another_detector_stands_beside(mined) -> None:
    assert shown(mined) == [OLD, OLD, NEW]  # of the last night there is nothing else
    assert mined.sql("SELECT count(*) FROM signals_all") == [(4,)]
    assert offered(mined) == {"turn-180", "turn-190", "turn-201"}


def test_a_promoted_one_is_shown_where_it_has_mined(mined) -> None:
    found = promote(mined.catalog, NEW, now=mined.now)
    assert (found.changed_nights, found.other_nights) == (1, {OLD: 1})
    assert shown(mined) == [OLD, NEW, NEW]
    assert offered(mined) == {"turn-180", "turn-191", "turn-201"}
    mine(mined, "late", NEW, NIGHTS[0])
    assert shown(mined) == [NEW, NEW, NEW]


def test_going_back_is_promoting_the_former_one(mined) -> None:
    promote(mined.catalog, NEW, now=mined.now)
    assert promote(mined.catalog, OLD, now=mined.now).changed_nights == 1
    assert shown(mined) == [OLD, OLD, NEW]


def test_the_old_one_mined_again_does_not_come_back(mined) -> None:
    promote(mined.catalog, NEW, now=mined.now)
    mine(mined, "again", OLD, NIGHTS[1])
    assert shown(mined) == [OLD, NEW, NEW]


def test_twice_is_once(mined) -> None:
    first = promote(mined.catalog, NEW, now=mined.now)
    again = promote(mined.catalog, NEW, now=mined.now)
    assert (again.commit_id, again.changed_nights) == (None, 0)
    assert newest_commit(mined.catalog) == first.commit_id
    begin(mined.catalog, OLD, now=mined.now)
    assert newest_commit(mined.catalog, kind="detector") == first.commit_id


def test_what_has_mined_nothing_is_refused(mined) -> None:
    with pytest.raises(SettingsError, match=f"Known: {OLD}, {NEW}"):
        promote(mined.catalog, "other@1", now=mined.now)


def test_what_found_nothing_hides_the_others(mined) -> None:
    replaces = {Partition(table, NIGHTS[0], NEW) for table in ("signals", "dsat_turns")}
    mined.publish("nothing", night=NIGHTS[0], replaces=replaces)
    promote(mined.catalog, NEW, now=mined.now)
    assert mined.sql("SELECT DISTINCT log_date FROM signals ORDER BY 1") == [
        (night,) for night in NIGHTS[1:]
    ]


def test_where_nothing_was_promoted_the_last_one_is_shown(store) -> None:
    """As before there were promotions."""
    for n, part in enumerate((OLD, NEW)):
        mine(store, str(n), part, NIGHTS[0])
    assert shown(store) == [NEW]


def test_a_snapshot_shows_what_was_promoted_then(mined) -> None:
    before = newest_commit(mined.catalog)
    promote(mined.catalog, NEW, now=mined.now)
    with snapshot(mined.catalog, before) as connection:
        query = "SELECT detector FROM signals ORDER BY log_date"
        assert connection.execute(query).fetchall() == [("rules",), ("rules",), ("small",)]
    assert shown(mined) == [OLD, NEW, NEW]


def test_a_catalog_that_is_made_again_shows_the_same(mined, databases) -> None:
    promote(mined.catalog, NEW, now=mined.now)
    promote(mined.catalog, OLD, now=mined.now)
    promote(mined.catalog, NEW, now=mined.now)
    before = shown(mined)
    mined.catalog.close()
    if mined.url:
        mined.url = databases.empty()
    for file in mined.root.glob("catalog.db*"):
        file.unlink()
    assert rebuild(mined.root, mined.url, now=mined.now) is not None
    mined.reopen()
    assert shown(mined) == before


def test_which_nights_a_detector_has_yet_to_mine(mined) -> None:
    assert stale_dates(mined.catalog) == []
    assert stale_dates(mined.catalog, NEW) == []  # the old one's nights stand as they are
    assert stale_dates(mined.catalog, OLD) == [NIGHTS[2]]  # it shows what nobody promoted
    late = mined.stage("turns", "b", [mined.turn(5)], NIGHTS[1])
    mined.publish("late log", late, night=NIGHTS[1])
    assert stale_dates(mined.catalog, NEW) == [NIGHTS[1]]
    mine(mined, "again", NEW, NIGHTS[1])
    assert stale_dates(mined.catalog, NEW) == []
    assert stale_dates(mined.catalog, OLD) == NIGHTS[1:]
