"""Which logs are published, and for which nights."""

import datetime as dt

import pytest

from warehouse.ledger import SourceFile, published

pytestmark = pytest.mark.databases
EARLY, LATE = dt.date(2026, 11, 1), dt.date(2026, 11, 20)


def source(name: str, sha256: str, log_date: dt.date) -> SourceFile:
    return SourceFile(
        name=name, log_date=log_date, size=1, stamp="7", sha256=sha256,
        lines=3, duplicates=1, suppressed=0,
    )  # fmt: skip


def test_logs_are_known_by_night_and_name(store) -> None:
    early = [source("b", "bb", EARLY), source("a", "aa", EARLY)]
    late = [source("a", "a2", LATE)]
    store.publish("2", sources=late, night=LATE)
    store.publish("1", sources=early, night=EARLY)
    assert published(store.catalog) == [early[1], early[0], late[0]]


def test_a_run_may_fill_several_nights(store) -> None:
    both = [source("a", "aa", EARLY), source("a", "aa", LATE)]
    store.publish("1", sources=both, night=LATE)
    assert published(store.catalog) == both


def test_a_corrected_log_takes_the_place_of_the_one_before_it(store) -> None:
    store.publish("1", sources=[source("a", "wrong", EARLY)])
    store.publish("2", sources=[source("a", "right", EARLY)])
    assert published(store.catalog) == [source("a", "right", EARLY)]
