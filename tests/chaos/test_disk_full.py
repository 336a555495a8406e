"""A disk that is full at any moment: an error, the old state or the new, and nothing is left."""

from typing import Any

import pytest
from sqlalchemy import select

from tests.chaos import life
from warehouse import views
from warehouse.erase import erase
from warehouse.errors import DriftmineError
from warehouse.tables import commits, files
from warehouse.upkeep.check import wrong_books
from warehouse.upkeep.compact import compact, plan
from warehouse.upkeep.sweep import sweep

pytestmark = pytest.mark.chaos

KB = 2**10
# What is left, from nothing to plenty: each piece of the work meets the end of the disk.
ROOM = [KB * n for n in (0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024,
                         1536, 2048, 3072, 4096)]  # fmt: skip
USERS = ("key-of-ann", "key-of-bob")


def fill(store) -> None:
    turns = [store.turn(i, user_key=USERS[i % 2], content="word " * 2000) for i in range(8)]
    store.publish("first", *(store.stage("turns", "a", [turn]) for turn in turns))


def publishing(store) -> None:
    turns = [store.turn(i, user_key=USERS[i % 2], content=f"{i} " * 3000) for i in range(10)]
    store.publish("second", store.stage("turns", "a", turns))


def compacting(store) -> None:
    compact(store.catalog, plan(store.catalog, target=2**20), now=store.now)
    views.refresh_if_stale(store.catalog)


def erasing(store) -> None:
    def left_behind() -> tuple[()]:
        sweep(life.strays(store))
        return ()

    erase(store.catalog, USERS[:1], store.now, at_work=left_behind)


WORK = {"publish": publishing, "compaction": compacting, "erasure": erasing}


def shown(store) -> list[Any]:
    return store.sql("SELECT turn_id, user_key, content FROM turns ORDER BY ALL")


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_work_on_a_full_disk_fails_whole_and_can_be_repeated(
    tmp_path, new_store, small_disk, work
) -> None:
    reference = new_store(tmp_path / "reference")
    fill(reference)
    before = shown(reference)
    work(reference)
    after = shown(reference)
    reference.catalog.close()
    store = new_store(small_disk.folder / "root")
    fill(store)
    failed = done = 0
    for room in ROOM:
        small_disk.leave(room)
        try:
            work(store)
        except (DriftmineError, OSError):
            failed += 1
        else:
            done += 1
        assert shown(store) in (before, after), f"half a state with {room} bytes left"
    assert failed > 2 and done > 2
    small_disk.make_room()
    store.reopen()
    work(store)
    assert shown(store) == after
    assert_nothing_is_left(store)
    store.catalog.close()


def assert_nothing_is_left(store) -> None:
    assert not list(store.root.rglob(".*.*")), "a temporary file"
    assert wrong_books(store.catalog) == []
    sweep(life.strays(store))
    with store.catalog.read() as connection:
        there = select(files.c.path).where(files.c.deleted_at.is_(None))
        named = set(connection.execute(there).scalars())
        assert len(connection.execute(select(commits)).all()) == 2, "done twice"
    found = {p.relative_to(store.root).as_posix() for p in store.root.rglob("*.parquet")}
    assert found == named
