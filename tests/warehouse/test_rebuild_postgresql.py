"""A catalog that a server had, made again: into an empty database, and no other."""

import datetime as dt

import pytest

from warehouse.catalog import Catalog
from warehouse.errors import CatalogMismatch, SourceUnavailable
from warehouse.query import live_files
from warehouse.rebuild import rebuild

LATER = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)


@pytest.fixture
def lost(tmp_path, store, postgres):
    """A warehouse of two commits, whose database nobody can reach any more."""
    lost = type(store)(tmp_path / "root", postgres.new())
    for run in "12":
        lost.publish(run, lost.stage("turns", run, [lost.turn(int(run))]))
    lost.catalog.close()
    yield lost
    postgres.close()


def test_an_empty_database_is_filled(lost, postgres) -> None:
    url = postgres.empty()
    found = rebuild(lost.root, url, now=LATER)
    assert (found.commits, found.live_files, found.aside) == (2, 2, "")
    assert rebuild(lost.root, url, now=LATER) is None, "it is whole"
    again = Catalog.open(lost.root, url)
    assert [file.part for file in live_files(again, "turns")] == ["1", "2"]
    again.close()


def test_a_database_that_holds_our_tables_is_refused(lost, postgres) -> None:
    with pytest.raises(CatalogMismatch, match="make an empty database"):
        rebuild(lost.root, postgres.new(), now=LATER)


def test_of_a_refused_rebuild_nothing_is_left_in_the_database(lost, postgres) -> None:
    opened = Catalog.open(lost.root, lost.url)
    (first, _) = live_files(opened, "turns")
    opened.close()
    (lost.root / first.path).unlink()
    url = postgres.empty()
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match="1 live files are missing"):
            rebuild(lost.root, url, now=LATER)


def test_a_database_that_does_not_answer_is_said_to(lost) -> None:
    nobody = "postgresql+psycopg://driftmine@127.0.0.1:1/none"
    with pytest.raises(SourceUnavailable, match="does not answer"):
        rebuild(lost.root, nobody, now=LATER)
