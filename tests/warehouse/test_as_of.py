"""Which commit `--as-of` means, and what is said where none can be read."""

import datetime as dt

import pytest
from sqlalchemy import update

from warehouse.errors import SettingsError, SnapshotGone
from warehouse.query import commit_at, snapshot
from warehouse.tables import commits, files

AT = {
    "a commit": ("2", 2),
    "a commit that there never was": ("7", 7),
    "a date, up to its end": ("2026-11-21", 2),
    "a date between two commits": ("2026-11-22", 2),
    "the date of the newest": ("2026-11-23", 3),
    "a date to come": ("2030-01-01", 3),
    "a time": ("2026-11-21T12:59", 1),
    "a time, to the second": ("2026-11-21 13:00:00", 2),
    "a time of another zone": ("2026-11-21T15:00+02:00", 2),
    "a time just before, in another zone": ("2026-11-21T14:59:59+02:00", 1),
}
NEITHER = {
    "empty": "",
    "a word": "yesterday",
    "a month": "2026-11",
    "a day that is none": "2026-02-30",
    "a negative number": "-1",
    "more digits than there are commits": "9" * 30,
    "no end of digits": "9" * 5000,
    "before all time": "0001-01-01T00:00+14:00",
}


@pytest.fixture
def three(store):
    """Commits at 3:00 and 13:00 on 21 November, and at 3:00 on the 23rd."""
    times = (store.now, store.now.replace(hour=13), store.now.replace(day=23))
    for commit, at in enumerate(times, start=1):
        store.publish(str(commit), store.stage("turns", "a", [store.turn(commit)]))
        mine = update(commits).where(commits.c.commit_id == commit)
        with store.catalog.write() as connection:
            connection.execute(mine.values(committed_at=at))
    return store


@pytest.mark.parametrize("said, commit", AT.values(), ids=AT)
def test_as_of_means(three, said: str, commit: int) -> None:
    assert commit_at(three.catalog, said) == commit


@pytest.mark.parametrize("said", NEITHER.values(), ids=NEITHER)
def test_what_is_neither_a_commit_nor_a_time_is_refused(three, said: str) -> None:
    with pytest.raises(SettingsError, match="neither a commit nor a time. Write"):
        commit_at(three.catalog, said)


@pytest.mark.parametrize("said", ["2026-11-20", "2026-11-21T02:59", "1970-01-01"])
def test_before_the_first_commit_there_is_nothing(three, said: str) -> None:
    with pytest.raises(SnapshotGone, match=f"nothing was published by {said}. Name a later"):
        commit_at(three.catalog, said)


@pytest.mark.parametrize("commit", [0, 4, 10**17])
def test_a_commit_that_there_never_was(three, commit: int) -> None:
    with pytest.raises(SnapshotGone, match=f"no commit {commit}; the newest is 3"):
        snapshot(three.catalog, commit)


def test_a_commit_whose_files_are_gone(three) -> None:
    superseded = files.c.removed_commit == 2
    with three.catalog.write() as connection:
        gone = update(files).where(superseded).values(deleted_at=dt.datetime.now(dt.UTC))
        connection.execute(gone)
    with pytest.raises(SnapshotGone, match="commit 1 cannot be read any more: .*retention_days"):
        snapshot(three.catalog, 1)
    for commit in (2, 3):
        with snapshot(three.catalog, commit) as connection:
            found = connection.execute("SELECT turn_id FROM turns").fetchall()
        assert found == [(f"turn-{commit}",)]
