"""`driftmine doctor`: a home broken in each way, and the line that says so."""

import datetime as dt
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from driftmine import catalog_checks, checks
from driftmine.console import Console
from driftmine.doctor import examine, mend
from driftmine.home import KEY_VARIABLE, Home, create
from driftmine.session import Session
from warehouse import migrations, publish
from warehouse.catalog import Catalog
from warehouse.leases import acquire
from warehouse.selection import Wanted

NOW = dt.datetime(2026, 11, 21, 4, tzinfo=dt.UTC)


@pytest.fixture
def home(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose warehouse holds one mined night."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    home = Home(tmp_path / "home")
    create(home, Session(home, Console(as_json=True, quiet=True), NOW).settings.warehouse)
    made = type(store)(home.warehouse)
    made.publish(
        "ingest-1",
        made.stage("turns", "a", [made.turn(1)]),
        made.stage("signals", "rules@1", [made.signal(1)]),
        made.stage("dsat_turns", "rules@1", [made.dsat(1)]),
    )
    made.catalog.close()
    return home


@pytest.fixture
def lines(home: Home, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, dict]]:
    """The exit code, and the lines by their checks."""

    def run(work: Callable = examine, home: Home = home) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = work(Session(home, Console(as_json=True, quiet=True), NOW))
        found = json.loads(capsys.readouterr().out)
        return code, {line["check"]: line for line in found}

    return run


def opened(home: Home) -> Catalog:
    return Catalog.connect(home.warehouse)


def test_all_is_well(lines: Callable) -> None:
    code, found = lines()
    assert code == 0
    assert {line["state"] for line in found.values()} == {"ok"}
    assert found.keys() == checks.OF_HOME.keys() | catalog_checks.OF_CATALOG.keys()
    assert found["views"]["detail"] == "show commit 1"


def test_it_leaves_no_trace(home: Home, lines: Callable) -> None:
    def everything() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in home.root.rglob("*")
            if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm"))
        }

    before = everything()
    lines()
    assert everything() == before


def set_version(home: Home, version: int) -> None:
    from sqlalchemy import update

    from warehouse.tables import schema_version

    catalog = opened(home)
    with catalog.write() as connection:
        connection.execute(update(schema_version).values(version=version))
    catalog.close()


def lose_catalog(home: Home) -> None:
    for file in home.warehouse.glob("catalog.db*"):
        file.unlink()


def fail_a_run(home: Home) -> None:
    catalog = opened(home)
    words = {"run_id": "mine-x", "now": NOW - dt.timedelta(days=1)}
    publish.begin(catalog, stage="mine", log_date=dt.date(2026, 11, 19), **words)
    publish.fail(catalog, reason="disk\nfull", **words)
    catalog.close()


def kill_a_run(home: Home) -> None:
    catalog = opened(home)
    at = NOW - dt.timedelta(days=2)
    publish.begin(catalog, run_id="i", stage="ingest", log_date=dt.date(2026, 11, 19), now=at)
    catalog.close()


def a_new_turn(home: Home, store: Any, now: dt.datetime = NOW) -> None:
    made = type(store)(home.warehouse)
    made.now = now
    made.publish("ingest-2", made.stage("turns", "b", [made.turn(5)]))
    made.catalog.close()


def leftover(home: Home) -> None:
    folder = home.warehouse / "staging" / "mine-dead"
    folder.mkdir(parents=True)
    long_ago = NOW.timestamp() - 3 * 86_400
    os.utime(folder, (long_ago, long_ago))


def a_lost_alias(home: Home) -> None:
    (home.models / "aliases").mkdir(parents=True)
    (home.models / "aliases" / "champion").symlink_to("../versions/v0009-00000000")


def data_file(home: Home) -> Path:
    return next((home.warehouse / "data" / "turns").rglob("*.parquet"))


# What is done to a home -> check, state, and what stands in the line (detail or next).
BROKEN: dict[str, tuple[Callable[[Home, Any], object], str, str, str]] = {
    "no warehouse": (lambda h, s: shutil.rmtree(h.warehouse), "home", "problem", "driftmine init"),
    "wrong settings": (
        lambda h, s: h.settings.write_text("[mining]\ntreshold = 1"),
        "settings", "problem", "did you mean threshold",
    ),
    "no settings": (lambda h, s: h.settings.unlink(), "settings", "warning", "defaults hold"),
    "no key": (lambda h, s: h.key.unlink(), "user key", "problem", "No usable key"),
    "half a key": (lambda h, s: h.key.write_text("ab"), "user key", "problem", "64 hex digits"),
    "a key for all": (lambda h, s: h.key.chmod(0o644), "user key", "warning", "chmod 600"),
    "a needed extra": (
        lambda h, s: h.settings.write_text('[warehouse]\ncatalog_url = "postgresql+psycopg://x/y"'),
        "extras", "problem", "pip install '.[postgres]'",
    ),
    "a needed store": (
        lambda h, s: h.settings.write_text('[warehouse]\ndata_url = "abfs://box/folder"'),
        "extras", "problem", "pip install '.[cloud]'",
    ),
    "a needed redactor": (
        lambda h, s: h.settings.write_text("[ingestion.redaction]\npresidio = true"),
        "extras", "problem", "pip install '.[presidio]'",
    ),
    "a lost alias": (lambda h, s: a_lost_alias(h), "models", "problem", "models promote"),
    "no catalog": (lambda h, s: lose_catalog(h), "catalog", "problem", "--rebuild-catalog"),
    "an empty catalog": (
        lambda h, s: (lose_catalog(h), (h.warehouse / "catalog.db").touch()),
        "catalog", "problem", "--rebuild-catalog",
    ),
    "a garbled catalog": (
        lambda h, s: (lose_catalog(h), (h.warehouse / "catalog.db").write_bytes(b"no" * 9999)),
        "catalog", "problem", "--rebuild-catalog",
    ),
    "a newer catalog": (lambda h, s: set_version(h, 99), "catalog", "problem", "newer Driftmine"),
    "an older catalog": (
        lambda h, s: set_version(h, migrations.newest() - 1), "catalog", "warning", "migrates it",
    ),
    "too old a catalog": (
        lambda h, s: set_version(h, migrations.OLDEST - 1), "catalog", "problem", "too old",
    ),
    "a manifest gone": (
        lambda h, s: next((h.warehouse / "manifests").iterdir()).unlink(),
        "manifests", "problem", "0000000001.json",
    ),
    "a live file gone": (
        lambda h, s: data_file(h).unlink(), "live files", "problem", "1 missing or of another",
    ),
    "a live file cut": (
        lambda h, s: data_file(h).write_bytes(b"PAR1"), "live files", "problem", "data/turns/",
    ),
    "stale views": (
        lambda h, s: (h.warehouse / "views.sql").unlink(), "views", "warning", "makes them anew",
    ),
    "garbled views": (
        lambda h, s: (h.warehouse / "warehouse.duckdb").write_bytes(b"no"),
        "views", "problem", "IOException",
    ),
    "a clock that ran ahead": (
        lambda h, s: a_new_turn(h, s, NOW + dt.timedelta(hours=2)), "clock", "problem", "NTP",
    ),
    "a dead run's folder": (lambda h, s: leftover(h), "leftovers", "warning", "1 folders"),
    "a night not mined": (
        lambda h, s: a_new_turn(h, s), "mined", "warning", "2026-11-20",
    ),
    "a failed run": (
        lambda h, s: fail_a_run(h), "runs", "warning", "mine of 2026-11-19: disk full",
    ),
    "a killed run": (
        lambda h, s: kill_a_run(h), "runs", "warning", "ingest of 2026-11-19: never ended",
    ),
}  # fmt: skip


@pytest.mark.parametrize("breaks, check, state, says", BROKEN.values(), ids=BROKEN)
def test_a_broken_home(
    home: Home, store: Any, lines: Callable, monkeypatch, breaks, check, state, says
) -> None:
    breaks(home, store)
    if check == "extras":
        monkeypatch.setattr(checks.importlib.util, "find_spec", lambda package: None)
    code, found = lines()
    assert found[check]["state"] == state
    assert says in found[check]["detail"] + found[check]["next"]
    assert code == (1 if "problem" in {line["state"] for line in found.values()} else 0)


def test_a_home_that_cannot_be_written(home: Home, lines: Callable, monkeypatch) -> None:
    def refused(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refused)
    code, found = lines()
    assert (code, found["home"]["state"], found["store"]["state"]) == (1, "problem", "problem")
    assert "Permission denied" in found["home"]["detail"]


def test_a_full_disk(home: Home, lines: Callable, monkeypatch) -> None:
    usage = shutil.disk_usage(home.root)._replace(free=10)
    monkeypatch.setattr(catalog_checks.shutil, "disk_usage", lambda path: usage)
    assert lines()[1]["disk"]["state"] == "warning"


def test_a_failed_run_that_was_made_good_is_none(home: Home, store: Any, lines: Callable) -> None:
    fail_a_run(home)
    made = type(store)(home.warehouse)
    made.publish("mine-y", night=dt.date(2026, 11, 19), replaces=[])
    made.catalog.close()
    assert lines()[1]["runs"]["state"] == "ok"


def test_a_held_lock_and_an_open_lease(home: Home, lines: Callable) -> None:
    catalog = opened(home)
    acquire(
        catalog, Wanted(turns=1), stream="default", holdout=0, ttl=dt.timedelta(hours=1), now=NOW,
        seed=0,
    )  # fmt: skip
    with catalog.write():
        assert lines()[1]["lock"]["state"] == "warning"
    found = lines()[1]
    assert found["lock"] == {"check": "lock", "state": "ok", "detail": "free", "next": ""}
    assert found["leases"]["detail"] == "default-000001 until 2026-11-21 05:00 UTC"
    catalog.close()


def test_no_password_and_no_text_of_an_unforeseen_error(home: Home, lines: Callable, monkeypatch):
    def raises(session: Session) -> None:
        raise ValueError("what a user wrote")

    monkeypatch.setitem(checks.OF_HOME, "python", raises)
    code, found = lines()
    assert (code, found["python"]["detail"]) == (1, "ValueError")


def test_a_lost_catalog_is_mended(home: Home, lines: Callable) -> None:
    lose_catalog(home)
    code, found = lines(mend)
    assert (code, found["rebuild"]["state"]) == (0, "ok")
    assert found["rebuild"]["detail"].startswith("1 commits, 3 live files; not known any more")
    assert found["views"]["detail"] == "show commit 1"
    assert "nothing was done" in lines(mend)[1]["rebuild"]["detail"]


def test_what_cannot_be_mended_is_a_line(home: Home, lines: Callable) -> None:
    lose_catalog(home)
    data_file(home).unlink()
    first = next((home.warehouse / "manifests").iterdir())
    (home.warehouse / "manifests" / "0000000002.json").write_bytes(
        first.read_bytes().replace(b'"commit_id":1,', b'"commit_id":2,')
    )
    code, found = lines(mend)
    assert (code, found["rebuild"]["state"]) == (1, "problem")
    assert not (home.warehouse / "catalog.db").exists()


def test_the_key_of_a_new_home_is_its_owners(home: Home) -> None:
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600
