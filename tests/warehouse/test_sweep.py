"""What dead runs leave behind goes, and nothing else."""

import datetime as dt
import os
from pathlib import Path

import pytest

from warehouse.catalog import Catalog
from warehouse.errors import CatalogMismatch
from warehouse.manifest import Manifest, path_of
from warehouse.store import modified
from warehouse.upkeep.sweep import sweep, temporary, unnamed

HOUR = dt.timedelta(hours=1)
AGE = 24 * HOUR


def aged(path: Path, now: dt.datetime, age: dt.timedelta) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(b"left")
    at = (now - age).timestamp()
    os.utime(path, (at, at))
    return path


def orphans(store, *, kept=()) -> set[str]:
    found = unnamed(store.catalog, kept=kept, age=AGE, now=store.now)
    return {stray.path.relative_to(store.root).as_posix() for stray in found}


def staged(store, age: dt.timedelta = AGE):
    file = store.stage("turns", "a", [store.turn(1)])
    aged(store.root / file.path, store.now, age)
    return file


def test_an_aged_file_that_no_commit_names_goes(store) -> None:
    old, young, live = staged(store), staged(store, AGE - HOUR), staged(store)
    store.publish("1", live)
    found = unnamed(store.catalog, kept=(), age=AGE, now=store.now)
    assert [(stray.path, stray.bytes) for stray in found] == [(store.root / old.path, old.bytes)]
    sweep(found)
    assert orphans(store) == set()
    assert (store.root / young.path).exists()
    assert store.sql("SELECT turn_id FROM turns") == [("turn-1",)]


def test_superseded_files_are_no_orphans(store) -> None:
    live = staged(store)
    store.publish("1", live)
    store.publish("2", replaces={live.partition})
    assert orphans(store) == set()


def test_what_a_live_run_writes_is_kept(store) -> None:
    mine, other = staged(store), staged(store)
    assert orphans(store, kept={mine.path}) == {other.path}


# Places in the warehouse's folder whose files are none of the sweep's business.
FOREIGN = (
    "data/turns/log_date=2026-11-20/notes.parquet",
    "data/turns/log_date=2026-11-20/0123456789abcdef0123456789abcdef.csv",
    "data/0123456789abcdef0123456789abcdef.parquet",
    "0123456789abcdef0123456789abcdef.parquet",
    ".profile",
    ".ssh.backup",
)


@pytest.mark.parametrize("name", FOREIGN)
def test_other_files_are_left_alone(store, name: str) -> None:
    aged(store.root / name, store.now, 10 * AGE)
    assert orphans(store) == set()
    assert temporary(store.catalog, age=AGE, now=store.now) == []


HALF_WRITTEN = (
    ".warehouse.duckdb.0123456789abcdef0123456789abcdef",
    ".warehouse.duckdb.0123456789abcdef0123456789abcdef.wal",
    ".views.sql.0123456789abcdef0123456789abcdef",
    "manifests/.0000000001.json.0123456789abcdef0123456789abcdef",
)


@pytest.mark.parametrize("name", HALF_WRITTEN)
def test_half_written_files_go_when_they_are_aged(store, name: str) -> None:
    path = aged(store.root / name, store.now, AGE - HOUR)
    assert temporary(store.catalog, age=AGE, now=store.now) == []
    aged(path, store.now, AGE)
    found = temporary(store.catalog, age=AGE, now=store.now)
    assert [stray.path for stray in found] == [path]
    sweep(found)
    sweep(found)  # another was first
    assert not path.exists()


def write_manifest(store, commit_id: int, *files) -> None:
    said = Manifest(
        commit_id=commit_id, kind="publish", subject="x", committed_at=store.now,
        staged=list(files),
    )  # fmt: skip
    import msgspec

    path_of(store.root, commit_id).parent.mkdir(exist_ok=True)
    path_of(store.root, commit_id).write_bytes(msgspec.json.encode(said))


def test_what_the_manifest_of_a_killed_attempt_names_waits_for_the_next_commit(store) -> None:
    """It looks like a catalog that was put back from a backup of one commit before."""
    file = staged(store)
    write_manifest(store, 1, file)
    assert orphans(store) == set()
    store.publish("1", store.stage("turns", "b", []))
    assert orphans(store) == {file.path}


def test_a_catalog_that_is_older_than_its_data_is_refused(store) -> None:
    """Or all that was published since its backup would be taken for orphans."""
    for commit_id in (1, 2):
        write_manifest(store, commit_id, staged(store))
    with pytest.raises(CatalogMismatch, match="older than its data.*--rebuild-catalog"):
        orphans(store)


def test_an_object_store_says_how_old_a_file_is(tmp_path) -> None:
    catalog = Catalog.open(tmp_path, data="memory://sweep")
    path = catalog.store / "data/turns/log_date=2026-11-20" / f"{'0' * 32}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left")
    now = modified(path)
    assert abs(now - dt.datetime.now(dt.UTC)) < HOUR
    assert unnamed(catalog, kept=(), age=AGE, now=now) == []
    found = unnamed(catalog, kept=(), age=AGE, now=now + AGE)
    assert [stray.bytes for stray in found] == [4]
    assert (
        unnamed(catalog, kept={str(path.relative_to(catalog.store))}, age=AGE, now=now + AGE) == []
    )
    sweep(found)
    assert not path.exists()
    catalog.close()
