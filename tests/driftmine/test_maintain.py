"""`driftmine maintain`, as people and programs call it."""

import datetime as dt
import json
import os
import re

import pytest
from typer.testing import CliRunner

from driftmine.cli import app
from ingestion.handoff import Handoff
from warehouse.query import live_files
from warehouse.upkeep import check

LONG_AGO = dt.datetime.now(dt.UTC) - dt.timedelta(days=40)
DONE = {
    "collected_files": 1, "pinned_files": 0, "oldest_commit": 2, "compacted_files": 2,
    "compacted_into": 1, "skipped_groups": 0, "orphan_files": 1, "temporary_files": 1,
    "damage": [], "stopped": False,
}  # fmt: skip


@pytest.fixture
def home(store):
    """A home whose warehouse is in want of all that `maintain` does."""
    home = store.root.parent
    (home / "driftmine.toml").write_text("[warehouse]\nretention_days = 30\n")
    store.root.rename(home / "warehouse")
    store.catalog.close()
    store = type(store)(home / "warehouse")
    store.now = LONG_AGO
    store.publish("1", store.stage("turns", "a", [store.turn(0)]))
    store.publish("2", *(store.stage("turns", "a", [store.turn(i)]) for i in (1, 2)))
    store.orphan = store.stage("turns", "a", [store.turn(3)])
    aged(store, store.orphan.path)
    (store.root / f".views.sql.{'0' * 32}").write_bytes(b"half")
    aged(store, f".views.sql.{'0' * 32}")
    store.home = home
    yield store
    store.catalog.close()


def aged(store, path: str) -> None:
    os.utime(store.root / path, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))


def maintain(store, *words: str) -> tuple[int, dict]:
    done = CliRunner().invoke(app, ["maintain", *words, "--home", str(store.home), "--json"])
    return done.exit_code, json.loads(done.stdout)


def table(store, *words: str) -> str:
    return CliRunner().invoke(app, ["maintain", *words, "--home", str(store.home)]).stdout


def contents(store) -> dict[str, bytes]:
    """Of every file that upkeep could touch."""
    wanted = re.compile(r".*\.(parquet|json)|\..*")
    found = [path for path in store.root.rglob("*") if wanted.fullmatch(path.name)]
    return {str(path): path.read_bytes() for path in found if path.is_file()}


def test_all_of_it_and_then_nothing(home) -> None:
    code, done = maintain(home)
    assert (code, {name: done[name] for name in DONE}) == (0, DONE)
    assert (done["dry_run"], done["checked"]) == (False, False)
    assert done["collected_bytes"] > 0
    assert done["orphan_bytes"] == home.orphan.bytes
    assert home.sql("SELECT turn_id FROM turns ORDER BY turn_id") == [("turn-1",), ("turn-2",)]
    nothing = dict.fromkeys(DONE, 0) | {"oldest_commit": 2, "damage": [], "stopped": False}
    code, done = maintain(home, "--check")
    # What was compacted is superseded as of today, and waits for its time.
    assert (code, {name: done[name] for name in DONE}) == (0, nothing)
    assert "every byte: no damage" in table(home, "--check")


@pytest.mark.parametrize("words", [["--dry-run"], ["--dry-run", "--check"]], ids=" ".join)
def test_a_dry_run_says_the_same_and_does_nothing(home, words: list[str]) -> None:
    before = contents(home)
    code, done = maintain(home, *words)
    assert (code, {name: done[name] for name in DONE}) == (0, DONE | {"oldest_commit": 1})
    assert done["checked"] == ("--check" in words)
    assert contents(home) == before
    assert "What maintain would do" in table(home, *words)


def test_damage_is_named_and_nothing_is_changed(home) -> None:
    path = home.root / live_files(home.catalog, "turns")[0].path
    path.write_bytes(path.read_bytes()[:-1])
    before = contents(home)
    code, done = maintain(home, "--check")
    (damage,) = done["damage"]
    assert (code, done["stopped"]) == (1, True)
    assert damage["where"] == path.relative_to(home.root).as_posix()
    assert contents(home) == before
    said = table(home, "--check")
    assert "Damage in 1 places. Nothing was changed." in said
    assert damage["where"] in said
    assert "driftmine backfill --stage ingest --from 2026-11-20" in said


def test_damage_that_compaction_meets_is_named_too(home) -> None:
    (home.root / live_files(home.catalog, "turns")[0].path).unlink()
    code, done = maintain(home)
    assert (code, done["stopped"], done["collected_files"]) == (1, False, 1)
    assert [found["what"] for found in done["damage"]] == ["is gone"]
    assert "is gone" in table(home)


def test_the_files_of_a_run_at_work_are_kept_and_those_of_a_dead_one_go(home) -> None:
    alive, dead = (
        Handoff(home.root, home.root, "ingest-1"),
        Handoff(home.root, home.root, "ingest-2"),
    )
    with dead.held():
        dead.note(home.orphan.path)
    aged(home, "staging/ingest-2")
    other = home.stage("turns", "a", [home.turn(5)])
    aged(home, other.path)
    with alive.held():
        alive.note(other.path)
        aged(home, "staging/ingest-1")
        assert maintain(home, "--dry-run")[1]["orphan_files"] == 1
        assert maintain(home)[1]["orphan_files"] == 1
        assert (home.root / other.path).exists()
        assert alive.folder.exists()
    assert not (home.root / home.orphan.path).exists()
    assert not dead.folder.exists()
    aged(home, "staging/ingest-1")
    assert maintain(home)[1]["orphan_files"] == 1
    assert not (home.root / other.path).exists()


def test_a_dead_run_that_is_taken_up_again_during_the_check_keeps_its_files(
    home, monkeypatch
) -> None:
    run = Handoff(home.root, home.root, "ingest-1")
    with run.held():
        run.note(home.orphan.path)
    aged(home, "staging/ingest-1")
    books = check.wrong_books

    def resumed_meanwhile(catalog):
        with run.held():
            home.publish("3", home.orphan)
        return books(catalog)

    monkeypatch.setattr(check, "wrong_books", resumed_meanwhile)
    code, done = maintain(home, "--check")
    assert (code, done["orphan_files"], done["damage"]) == (0, 0, [])
    assert home.sql("SELECT turn_id FROM turns") == [("turn-3",)]
