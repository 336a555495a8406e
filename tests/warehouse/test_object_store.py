"""A warehouse whose files lie in an object store: s3, against a server of moto's."""

import datetime as dt
from pathlib import Path

import pytest
from upath import UPath

from warehouse.catalog import Catalog
from warehouse.erase import erase
from warehouse.errors import CatalogMismatch, CorruptStaging, MissingExtra, SettingsError
from warehouse.leases import acquire, finish
from warehouse.manifest import ModelVersion, read_all
from warehouse.query import connect, live_files, snapshot
from warehouse.selection import Wanted
from warehouse.staging import verify
from warehouse.store import open_store, remove
from warehouse.upkeep.check import damaged_files, wrong_books
from warehouse.upkeep.collect import collect, due
from warehouse.upkeep.compact import compact, plan
from warehouse.upkeep.sweep import sweep, unnamed

URL = "s3://warehouse/it's here"


@pytest.fixture
def remote(s3_bucket, new_store, tmp_path):
    """A Store whose data files and manifests are in the bucket."""
    store = new_store(tmp_path / "local", data=URL)
    yield store
    store.catalog.close()


def test_files_and_manifests_are_objects_and_nothing_else_is(remote, s3_bucket) -> None:
    staged = remote.stage("turns", "a", [remote.turn(1)])
    remote.publish("1", staged)
    folder = URL.removeprefix("s3://warehouse/")
    assert s3_bucket() == {f"{folder}/{staged.path}", f"{folder}/manifests/0000000001.json"}
    assert not (remote.root / "data").exists() and not (remote.root / "manifests").exists()
    assert [manifest.staged for manifest in read_all(remote.catalog.store)] == [[staged]]


def test_what_is_published_is_read_back(remote) -> None:
    remote.publish("1", remote.stage("turns", "a", [remote.turn(i) for i in range(3)]))
    remote.publish("2", remote.stage("turns", "a", [remote.turn(4)]))
    count = "SELECT count(*) FROM turns"
    with connect(remote.root, remote.catalog.store) as now:
        assert now.execute(count).fetchall() == [(1,)]
    with snapshot(remote.catalog, 1) as before:
        assert before.execute(count).fetchall() == [(3,)]


def test_a_connection_reads_no_other_object(remote) -> None:
    remote.publish("1", remote.stage("turns", "a", [remote.turn(1)]))
    elsewhere = UPath("s3://warehouse/secret.csv")
    elsewhere.write_text("a,b\n1,2\n")
    with connect(remote.root, remote.catalog.store) as now:
        with pytest.raises(Exception, match="disabled by configuration"):
            now.execute(f"FROM read_csv('{elsewhere}')")
        with pytest.raises(Exception, match="disabled by configuration"):
            now.execute("FROM read_csv('/etc/passwd')")


def test_a_batch_is_leased_and_its_model_registered(remote) -> None:
    remote.publish("1", remote.stage("dsat_turns", "rules@1", [remote.dsat(1), remote.dsat(2)]))
    lease = acquire(
        remote.catalog, Wanted(turns=9), stream="s", holdout=0.0, ttl=dt.timedelta(hours=1),
        now=remote.now, seed=0,
    )  # fmt: skip
    assert lease is not None and len(lease.turns) == 2
    model = ModelVersion(
        version="v1", parent=None, batch_id=lease.batch_id, created_at=remote.now, promoted=True,
        manifest_sha256="ab",
    )  # fmt: skip
    finish(remote.catalog, lease, model, remote.now)
    with connect(remote.root, remote.catalog.store) as now:
        rows = now.execute("SELECT turn_id FROM lineage ORDER BY ALL").fetchall()
    assert rows == [("turn-1",), ("turn-2",)]


def test_a_lost_object_is_found_before_the_publish(remote) -> None:
    staged = remote.stage("turns", "a", [remote.turn(1)])
    verify(remote.catalog.store, staged)
    remove(remote.catalog.store / staged.path)
    remove(remote.catalog.store / staged.path)
    with pytest.raises(CorruptStaging, match="cannot be read back"):
        remote.publish("1", staged)
    assert live_files(remote.catalog, "turns") == []


def test_a_new_catalog_over_published_objects_is_refused(remote, tmp_path) -> None:
    remote.publish("1", remote.stage("turns", "a", [remote.turn(1)]))
    with pytest.raises(CatalogMismatch, match="gone or empty"):
        Catalog.open(tmp_path / "another", data=URL)


REFUSED = {
    "an unknown protocol": ("nosuch://bucket/folder", SettingsError, "nothing here understands"),
    "a package that is missing": ("abfs://box/folder", MissingExtra, "extra `cloud`"),
}


@pytest.mark.parametrize("url, error, says", REFUSED.values(), ids=REFUSED)
def test_a_store_that_cannot_be_used_says_what_to_do(url, error, says) -> None:
    with pytest.raises(error, match=says):
        open_store(url)


def test_a_local_store_is_a_plain_absolute_path(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("here") == Path(tmp_path / "here")


def test_a_user_is_erased_and_every_object_of_theirs_is_gone(remote, s3_bucket) -> None:
    turns = [remote.turn(i, user_key=("ann", "bob")[i // 4]) for i in range(8)]
    remote.publish("1", remote.stage("turns", "a", turns))
    remote.publish("2", remote.stage("turns", "a", turns[:6]))
    before = s3_bucket()
    report = erase(remote.catalog, ["ann"], remote.now)
    assert sorted((file.removed, file.left) for file in report.files) == [(4, 2), (4, 4)]
    data = {key for key in s3_bucket() if "/data/" in key}
    assert len(data) == 2 and not data & before
    for commit, left in ((1, 4), (2, 2)):
        with snapshot(remote.catalog, commit) as seen:
            rows = seen.execute("SELECT user_key, count(*) FROM turns GROUP BY ALL").fetchall()
        assert rows == [("bob", left)]


def test_upkeep_compacts_collects_and_sweeps_objects(remote, s3_bucket) -> None:
    files = [remote.stage("turns", "a", [remote.turn(i)]) for i in range(3)]
    remote.publish("1", *files)
    orphan = remote.stage("turns", "a", [remote.turn(9)])
    later, none = remote.now + dt.timedelta(days=40), dt.timedelta()
    catalog = remote.catalog
    compact(catalog, plan(catalog, target=2**20), now=later)
    collect(catalog, due(catalog, retention=none, now=later), now=later)
    sweep(unnamed(catalog, kept=(), age=none, now=dt.datetime.now(dt.UTC)))
    (live,) = live_files(catalog, "turns")
    data = {key for key in s3_bucket() if "/data/" in key}
    assert live.rows == 3 and live.path not in {orphan.path, *(file.path for file in files)}
    assert data == {f"{URL.removeprefix('s3://warehouse/')}/{live.path}"}
    assert damaged_files(catalog) == wrong_books(catalog) == []
