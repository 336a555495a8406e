"""Damage is found, named, and said what to do about; nothing is changed."""

import re
import sqlite3
from contextlib import closing

import msgspec
import pytest
from sqlalchemy import update

from warehouse.discard import discard
from warehouse.ledger import SourceFile
from warehouse.manifest import path_of
from warehouse.tables import files
from warehouse.upkeep.check import damaged_files, wrong_books


def flip(path) -> None:
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)


def make_folder(path) -> None:
    size = path.stat().st_size
    path.unlink()
    path.mkdir()
    assert path.stat().st_size != size


# What happened to a file -> what is said of it.
DAMAGE = {
    "gone": (lambda path: path.unlink(), "is gone"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes, .* were written"),
    "one bit": (flip, "has other bytes than were written"),
    "no file": (make_folder, "bytes, .* were written"),
}


@pytest.mark.parametrize("harm, what", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_with_what_to_do(store, harm, what: str) -> None:
    bad, good = store.stage("turns", "a", [store.turn(1)]), store.stage("turns", "b", [])
    store.publish("1", bad, good)
    assert damaged_files(store.catalog) == []
    harm(store.root / bad.path)
    (found,) = damaged_files(store.catalog)
    assert found.where == bad.path
    assert re.search(what, found.what)
    assert found.lost == "live: 1 rows of turns of 2026-11-20, a"
    assert "`driftmine backfill --stage ingest --from 2026-11-20 --to 2026-11-21`" in found.remedy


REMEDIES = {
    "conversations": "--stage ingest",
    "signals": "--stage mine",
    "dsat_turns": "--stage mine",
    "lineage": "nothing can make it again",
}


@pytest.mark.parametrize("table, says", REMEDIES.items(), ids=REMEDIES)
def test_the_remedy_depends_on_who_wrote_it(store, table: str, says: str) -> None:
    file = store.stage(table, "a", [])
    store.publish("1", file)
    (store.root / file.path).unlink()
    (found,) = damaged_files(store.catalog)
    assert says in found.remedy


def test_a_superseded_file_is_said_to_be_that(store) -> None:
    old = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", old)
    store.publish("2", store.stage("turns", "a", []))
    (store.root / old.path).unlink()
    (found,) = damaged_files(store.catalog)
    assert found.lost == "superseded, no view shows it; commits 1 to 1 lack its rows"
    assert "it goes when its retention ends" in found.remedy
    assert damaged_files(store.catalog, given_up=[old.path]) == []


def test_a_file_that_is_collected_during_the_check_is_no_damage(store) -> None:
    old = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", old)
    store.publish("2", replaces={old.partition})

    def collected_meanwhile(done: int, _total: int, _what: str) -> None:
        if done == 0:
            discard(store.catalog, [old.path], now=store.now)

    assert damaged_files(store.catalog, progress=collected_meanwhile) == []


def test_rows_that_the_catalog_has_otherwise_are_damage(store) -> None:
    file = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", file)
    with store.catalog.write() as connection:
        connection.execute(update(files).values(rows=2))
    (found,) = damaged_files(store.catalog)
    assert found.what == "has 1 rows and shows 1, 2 were written"


def source(store, lines: int, **fields) -> SourceFile:
    words = {"duplicates": 0, "suppressed": 0} | fields
    return SourceFile(
        name="a", log_date=store.night, size=1, stamp="", sha256="aa", lines=lines, **words
    )


def filled(store) -> None:
    """Three lines of one log: a conversation, a duplicate, a record of somebody erased."""
    store.publish(
        "1",
        store.stage("conversations", "a", [store.facts(1)]),
        sources=[source(store, 3, duplicates=1, suppressed=1)],
    )
    store.publish("2", store.stage("signals", "rules@1", []))


def test_books_that_are_right(store) -> None:
    assert wrong_books(store.catalog) == []
    filled(store)
    assert wrong_books(store.catalog) == []


# SQL behind the back of the catalog's references -> where the damage is, and what.
BOOKS = {
    "a line nobody counted": (
        "UPDATE sources SET lines = 4",
        "ledger, 2026-11-20", "4 lines were read, 2 of them kept; 1 rows",
    ),
    "a commit is missing": (
        "DELETE FROM commits WHERE commit_id = 1", "catalog, commits", "lacks 1",
    ),
    "a run that no commit ended": (
        "UPDATE runs SET commit_id = 7 WHERE run_id = '1'", "catalog, commits", "lacks 7",
    ),
    "a live file of an older generation": (
        "UPDATE files SET generation = 0 WHERE table_name = 'signals'",
        "data/signals/", "not of its partition's newest generation",
    ),
    "a live file of no partition": (
        "DELETE FROM generations WHERE table_name = 'conversations'",
        "data/conversations/", "not of its partition's newest generation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("harm, where, what", BOOKS.values(), ids=BOOKS)
def test_a_catalog_that_contradicts_itself(store, harm: str, where: str, what: str) -> None:
    filled(store)
    with closing(sqlite3.connect(store.root / "catalog.db")) as behind:
        behind.execute(harm)
        behind.commit()
    (found,) = wrong_books(store.catalog)
    assert (where in found.where, what in found.what) == (True, True), found


def other_commits(path) -> None:
    path.write_bytes(path.with_name("0000000002.json").read_bytes())


MANIFESTS = {
    "gone": (lambda path: path.unlink(), "is gone"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-5]), "cannot be read (Decode"),
    "another one's": (other_commits, "is another commit's"),
}


@pytest.mark.parametrize("harm, what", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_lost(store, harm, what: str) -> None:
    filled(store)
    harm(path_of(store.root, 1))
    (found,) = wrong_books(store.catalog)
    assert (found.where, what in found.what) == ("manifests/0000000001.json", True)
    assert "back up the catalog" in found.remedy
    assert msgspec.to_builtins(found).keys() == {"where", "what", "lost", "remedy"}
