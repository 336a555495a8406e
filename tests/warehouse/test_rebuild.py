"""A lost catalog made again: what counts, what is refused, and that a refusal changes nothing."""

import datetime as dt
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from warehouse import discard, migrations
from warehouse.catalog import Catalog
from warehouse.erase import erase
from warehouse.errors import CatalogMismatch, LeaseLost, SourceUnavailable
from warehouse.leases import acquire, finish, heartbeat
from warehouse.manifest import FOLDER, Manifest, ModelVersion
from warehouse.rebuild import Rebuilt, rebuild
from warehouse.schema import Partition
from warehouse.selection import Wanted
from warehouse.streams import fresh, held
from warehouse.tables import files, schema_version
from warehouse.upkeep.collect import collect, due

LATER = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def filled(store):
    """Two commits: a night's turns, and half of them replaced."""
    store.publish(
        "1",
        store.stage("turns", "a", [store.turn(1)]),
        store.stage("turns", "b", [store.turn(2)]),
        counts={"turns": 2},
    )
    store.publish("2", store.stage("turns", "b", [store.turn(3)]))
    return store


def shown(store) -> list[tuple]:
    return store.sql("SELECT turn_id FROM turns ORDER BY 1")


def everything(root: Path) -> dict[str, bytes]:
    """Every file of a warehouse, without what SQLite keeps beside an open database."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if not path.name.endswith(("-wal", "-shm"))
    }


def lose(store) -> None:
    store.catalog.close()
    for file in store.root.glob("catalog.db*"):
        file.unlink()


def garble(store) -> None:
    store.catalog.close()
    (store.root / "catalog.db").write_bytes(b"no database at all" * 1000)


def empty(store) -> None:
    store.catalog.close()
    (store.root / "catalog.db").write_bytes(b"")


def drop_a_table(store) -> None:
    store.catalog.close()
    connection = sqlite3.connect(store.root / "catalog.db")
    connection.execute("DROP TABLE watermarks")
    connection.close()


def garble_a_page(store) -> None:
    """In the middle: the database opens, and its tables can be listed."""
    store.catalog.close()
    path = store.root / "catalog.db"
    data = bytearray(path.read_bytes())
    data[-4096 * 8 :] = b"\xff" * 4096 * 8
    path.write_bytes(data)


# How the catalog goes, and whether a file of it is left to be kept aside.
LOST: dict[str, tuple[Callable, bool]] = {
    "gone": (lose, False),
    "garbled": (garble, True),
    "empty": (empty, True),
    "without a table": (drop_a_table, True),
    "a garbled page": (garble_a_page, True),
}


@pytest.mark.parametrize("loses, is_kept", LOST.values(), ids=LOST)
def test_a_catalog_is_made_again(filled, loses, is_kept: bool) -> None:
    before = shown(filled)
    loses(filled)
    aside = filled.root / "catalog.db.lost-1"
    assert rebuild(filled.root, now=LATER) == Rebuilt(
        commits=2, live_files=2, gone_files=0, unfinished="", aside=str(aside) if is_kept else ""
    )
    assert aside.exists() is is_kept
    filled.catalog = Catalog.open(filled.root)
    assert shown(filled) == before == [("turn-1",), ("turn-3",)]
    assert filled.publish("3", filled.stage("turns", "a", [])) == 3
    assert not list(filled.root.glob(".catalog*"))


def test_the_second_loss_keeps_the_first_ones_rest(filled) -> None:
    for n in (1, 2):
        garble(filled)
        assert rebuild(filled.root, now=LATER).aside == str(filled.root / f"catalog.db.lost-{n}")
    filled.catalog = Catalog.open(filled.root)
    assert len(shown(filled)) == 2


def test_a_whole_catalog_is_kept(filled) -> None:
    filled.catalog.close()
    before = everything(filled.root)
    assert rebuild(filled.root, now=LATER) is None
    assert everything(filled.root) == before


def test_a_catalog_from_an_old_backup_is_brought_up_to_date(store) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    store.catalog.close()
    old = (store.root / "catalog.db").read_bytes()
    store.catalog = Catalog.open(store.root)
    store.publish("2", store.stage("turns", "a", [store.turn(2)]))
    store.catalog.close()
    (store.root / "catalog.db").write_bytes(old)
    assert rebuild(store.root, now=LATER).commits == 2
    store.catalog = Catalog.open(store.root)
    assert shown(store) == [("turn-2",)]


@pytest.mark.parametrize("version", [migrations.newest() - 1, migrations.newest() + 1])
def test_a_catalog_of_another_version_is_left_alone(filled, version: int) -> None:
    with filled.catalog.write() as connection:
        connection.execute(update(schema_version).values(version=version))
    filled.catalog.close()
    before = everything(filled.root)
    with pytest.raises(CatalogMismatch, match=f"schema version {version}"):
        rebuild(filled.root, now=LATER)
    assert everything(filled.root) == before


def manifest(store, number: int) -> Path:
    return store.root / FOLDER / f"{number:010d}.json"


def live_file(store) -> Path:
    return next((store.root / "data").rglob("*.parquet"))


def missing_live_file(store) -> None:
    # Of the first commit: of the newest it could be what a killed one leaves.
    first = msgspec.json.decode(manifest(store, 1).read_bytes(), type=Manifest)
    (store.root / first.staged[0].path).unlink()


def short_live_file(store) -> None:
    first = msgspec.json.decode(manifest(store, 1).read_bytes(), type=Manifest)
    path = store.root / first.staged[0].path
    path.write_bytes(path.read_bytes()[:-1])


# What else is damaged -> what the refusal says.
REFUSED = {
    "no manifest": (lambda s: [manifest(s, n).unlink() for n in (1, 2)], "there is none"),
    "a gap": (lambda s: manifest(s, 1).unlink(), "0000000001.json: missing"),
    "half a manifest": (
        lambda s: manifest(s, 2).write_bytes(manifest(s, 2).read_bytes()[:-5]),
        r"0000000002.json: cannot be read \(DecodeError\)",
    ),
    "another commit's": (
        lambda s: manifest(s, 2).write_bytes(manifest(s, 1).read_bytes()),
        "0000000002.json: holds another commit, 1",
    ),
    "a live file gone": (
        missing_live_file,
        r"1 live files are missing .*\n  turns of 2026-11-20, a: data/.* is missing",
    ),
    "a live file cut short": (short_live_file, r"turns of 2026-11-20, a: .* has \d+ bytes"),
}


@pytest.mark.parametrize("damage, says", REFUSED.values(), ids=REFUSED)
def test_what_is_not_whole_is_refused_and_nothing_is_changed(filled, damage, says) -> None:
    garble(filled)
    damage(filled)
    before = everything(filled.root)
    with pytest.raises(SourceUnavailable, match=says) as refused:
        rebuild(filled.root, now=LATER)
    assert "Nothing was changed" in str(refused.value)
    assert everything(filled.root) == before


def next_manifest(store, *, staged: list, replaces: list) -> None:
    """What a publish leaves that is killed after it wrote its manifest, before its COMMIT."""
    old = msgspec.json.decode(manifest(store, 2).read_bytes(), type=Manifest)
    run = msgspec.structs.replace(old.run, run_id="3")
    change = msgspec.structs.replace(
        old, commit_id=3, subject="3", run=run, staged=staged, replaces=replaces
    )
    manifest(store, 3).write_bytes(msgspec.json.encode(change))


def test_a_killed_commit_whose_files_are_there_counts(filled) -> None:
    staged = filled.stage("turns", "a", [filled.turn(9)])
    next_manifest(filled, staged=[staged], replaces=[staged.partition])
    lose(filled)
    found = rebuild(filled.root, now=LATER)
    assert (found.commits, found.unfinished) == (3, "")
    filled.catalog = Catalog.open(filled.root)
    assert shown(filled) == [("turn-3",), ("turn-9",)]


@pytest.mark.parametrize("left", [None, b"half"], ids=["gone", "half written"])
def test_a_killed_commit_without_its_files_does_not_count(filled, left: bytes | None) -> None:
    staged = filled.stage("turns", "a", [filled.turn(9)])
    next_manifest(filled, staged=[staged], replaces=[staged.partition])
    (filled.root / staged.path).unlink()
    if left is not None:
        (filled.root / staged.path).write_bytes(left)
    lose(filled)
    for _ in range(2):  # it stays where it is, and never counts
        lose(filled)
        found = rebuild(filled.root, now=LATER)
        assert (found.commits, found.unfinished) == (2, "0000000003.json (3)")
    filled.catalog = Catalog.open(filled.root)
    assert shown(filled) == [("turn-1",), ("turn-3",)]
    assert filled.publish("again", replaces={Partition("turns", filled.night, "a")}) == 3
    lose(filled)
    assert rebuild(filled.root, now=LATER).unfinished == ""


def test_a_killed_commit_is_no_reason_to_mend_a_whole_catalog(filled) -> None:
    staged = filled.stage("turns", "a", [])
    next_manifest(filled, staged=[staged], replaces=[staged.partition])
    (filled.root / staged.path).unlink()
    assert rebuild(filled.root, now=LATER) is None


def test_what_an_erasure_wrote_and_was_collected_since_is_no_sign_of_a_kill(store) -> None:
    """The newest commit is the erasure; a superseded file of the two that it wrote is gone."""
    for run in ("1", "2"):
        turns = [store.turn(i, user_key=user) for i, user in enumerate(("ann's", "bob's"))]
        store.publish(run, store.stage("turns", "a", turns))
    erase(store.catalog, ["ann's"], store.now)
    garbage = due(store.catalog, retention=dt.timedelta(), now=store.now)
    collect(store.catalog, garbage, now=store.now)
    assert len(garbage.paths) == 1
    lose(store)
    rebuilt = rebuild(store.root, now=LATER)
    assert (rebuilt.commits, rebuilt.gone_files, rebuilt.unfinished) == (3, 3, "")
    store.reopen()
    assert store.sql("SELECT user_key FROM turns") == [("bob's",)]


def test_superseded_files_that_are_gone_are_said_to_be(filled) -> None:
    with filled.catalog.read() as connection:
        old = connection.execute(select(files.c.path).where(files.c.removed_commit == 2)).scalar()
    discard.discard(filled.catalog, [old], now=filled.now)
    lose(filled)
    assert rebuild(filled.root, now=LATER).gone_files == 1
    filled.catalog = Catalog.open(filled.root)
    with filled.catalog.read() as connection:
        given_up = select(files.c.path, files.c.deleted_at).where(files.c.deleted_at.is_not(None))
        assert connection.execute(given_up).all() == [(old, LATER)]


def take(store, n: int):
    return acquire(
        store.catalog, Wanted(turns=n), stream="default", holdout=0, ttl=HOUR, now=store.now, seed=0
    )


def test_open_leases_are_lost_and_finished_batches_are_not(store) -> None:
    store.publish("1", store.stage("dsat_turns", "rules@1", [store.dsat(i) for i in range(5)]))
    done, open_lease = take(store, 2), take(store, 2)
    model = ModelVersion(
        version="v1", parent=None, batch_id=done.batch_id, created_at=store.now, promoted=True,
        manifest_sha256="ab",
    )  # fmt: skip
    finish(store.catalog, done, model, store.now)
    lose(store)
    rebuild(store.root, now=LATER)
    store.catalog = Catalog.open(store.root)
    assert fresh(store.catalog, stream="default", holdout=0, now=store.now) == 3
    assert held(store.catalog, stream="default", now=store.now) == (0, None)
    with pytest.raises(LeaseLost):
        heartbeat(store.catalog, open_lease, ttl=HOUR, now=store.now)
    again = take(store, 5)
    assert again.batch_id == "default-000002"
    assert not {t.turn_id for t in again.turns} & {t.turn_id for t in done.turns}


def test_a_catalog_elsewhere_is_made_again_there(filled, tmp_path) -> None:
    file = tmp_path / "elsewhere.db"
    lose(filled)
    found = rebuild(filled.root, f"sqlite:///{file}", now=LATER)
    assert (found.commits, found.aside) == (2, "")
    assert not (filled.root / "catalog.db").exists()
    filled.catalog = Catalog.open(filled.root, f"sqlite:///{file}")
    assert len(shown(filled)) == 2
