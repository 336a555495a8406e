"""What `driftmine doctor` looks at in a warehouse: each check gives one line, or raises."""

from __future__ import annotations

import datetime as dt
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from driftmine.checks import Found, ok, some
from driftmine.session import Session
from warehouse.catalog import Catalog
from warehouse.errors import CommitConflict, SourceUnavailable

_WEEK = dt.timedelta(days=7)
_DAY = dt.timedelta(days=1)
_CLOCKS_DIFFER = dt.timedelta(minutes=5)
_LEAST_FREE = 2**30  # bytes
_NIGHTS = 3  # as much as the largest night has, so many times: staged, settled, and room to spare

OfCatalog = Callable[[Session, Catalog], Found]


@contextmanager
def connected(session: Session) -> Iterator[Catalog]:
    """The catalog, with nothing made or mended. Raises DriftmineError where there is none."""
    options = session.settings.warehouse
    if not session.home.warehouse.exists():
        raise SourceUnavailable(f"{session.home.warehouse}: not there.")
    opened = Catalog.connect(session.home.warehouse, options.catalog_url, options.data_url)
    try:
        if opened.file is not None and not opened.file.exists():
            raise SourceUnavailable(f"{opened.file}: not there.")
        yield opened
    finally:
        opened.close()


def catalog(session: Session, opened: Catalog) -> Found:
    """Answers, and is of a version that this program knows."""
    from warehouse import migrations
    from warehouse.catalog import version

    with opened.read() as connection:
        found = version(connection)
    said = f"{opened.database}, version {found}"
    if found is None:
        return (
            "problem",
            f"{opened.database}: holds no tables",
            "driftmine doctor --rebuild-catalog",
        )
    if found > migrations.newest():
        return "problem", f"{said}, of a newer Driftmine", "use the one that wrote it"
    if found < migrations.OLDEST:
        return "problem", f"{said}, too old", "ingest the logs into a new home"
    if found < migrations.newest():
        return "warning", f"{said}: an older one", "any other command migrates it"
    return ok(said)


def lock(session: Session, opened: Catalog) -> Found:
    """Nobody hangs with the catalog or the home in hand."""
    if not opened.is_free():
        return (
            "warning", "a writer holds the catalog at this moment",
            "look again; if it stays so, end the run that hangs",
        )  # fmt: skip
    with suppress(ImportError):  # filelock comes with the extra `etl`
        try:
            with session.home.held():
                pass
        except CommitConflict:
            return ok("free; a nightly run is at work in this home")
    return ok("free")


def disk(session: Session, opened: Catalog) -> Found:
    """Room for a night like the largest."""
    from warehouse.health import largest_night

    free = shutil.disk_usage(session.home.root).free
    need = max(_LEAST_FREE, _NIGHTS * largest_night(opened))
    said = f"{free / 2**30:.1f} GiB free, a night may need {need / 2**30:.1f}"
    if free < need:
        return "warning", said, "make room; driftmine maintain gives up superseded files"
    return ok(said)


def store(session: Session, opened: Catalog) -> Found:
    """Can be written and read."""
    place = opened.store / f"probe-{uuid.uuid4().hex}"
    try:
        place.write_bytes(b"probe")
        same = place.read_bytes() == b"probe"
        place.unlink()
    except Exception as error:  # stores raise classes of their own
        return (
            "problem", f"{opened.store}: {type(error).__name__}",
            "check [warehouse] data_url and the access to it",
        )  # fmt: skip
    return ok(str(opened.store)) if same else ("problem", f"{opened.store}: garbles", "replace it")


def manifests(session: Session, opened: Catalog) -> Found:
    """All there: they are what a lost catalog is made of."""
    from warehouse.health import missing_manifests

    missing = missing_manifests(opened)
    if missing:
        return "problem", f"missing: {some(missing)}", "bring them back from a backup"
    return ok("one for each commit")


def live_files(session: Session, opened: Catalog) -> Found:
    """All there, and of the right size."""
    from warehouse.health import damaged_files

    damaged = damaged_files(opened)
    if damaged:
        return (
            "problem", f"{len(damaged)} missing or of another size: {some(damaged)}",
            "bring them back from a backup, or from older versions in the store",
        )  # fmt: skip
    return ok("all there, of the right size; driftmine maintain --check reads them")


def views(session: Session, opened: Catalog) -> Found:
    """Show the newest commit, and can be opened."""
    from warehouse.health import views_are_fresh
    from warehouse.query import connect

    if not views_are_fresh(opened):
        return "warning", "older than the newest commit", "any other command makes them anew"
    with connect(opened.root, opened.store) as connection:
        ((commit_id,),) = connection.execute("SELECT commit_id FROM warehouse_info").fetchall()
    return ok(f"show commit {commit_id}")


def clock(session: Session, opened: Catalog) -> Found:
    """No commit is of the future."""
    from warehouse.health import committed_last

    at = committed_last(opened)
    if at is not None and at > session.now + _CLOCKS_DIFFER:
        said = f"the newest commit was made at {at:%F %R} UTC, now it is {session.now:%F %R}"
        return "problem", said, "set the clocks of all machines by NTP"
    return ok(f"{session.now:%F %R} UTC" + (f", newest commit {at:%F %R}" if at else ""))


def leftovers(session: Session, opened: Catalog) -> Found:
    """Folders of runs that died."""
    old = session.now.timestamp() - session.settings.warehouse.orphan_hours * 3600
    folder = opened.root / "staging"
    found = folder.iterdir() if folder.is_dir() else iter(())
    dead = [path.name for path in found if path.is_dir() and path.stat().st_mtime < old]
    if dead:
        said = f"{len(dead)} folders of dead runs in {folder}"
        return "warning", said, "driftmine maintain removes them"
    return ok("none")


def mined(session: Session, opened: Catalog) -> Found:
    """No night waits for its mining."""
    from warehouse.query import stale_dates

    waiting = [str(day) for day in stale_dates(opened)]
    if waiting:
        return "warning", f"not mined since they changed: {some(waiting)}", "driftmine mine"
    return ok("all nights")


def runs(session: Session, opened: Catalog) -> Found:
    """None of the last week failed, or was killed, and was not made good."""
    from warehouse.health import bad_runs

    found = bad_runs(opened, since=session.now - _WEEK, silent=session.now - _DAY)
    if found:
        said = [
            f"{run.stage} of {run.log_date}: {' '.join(run.reason.split()) or 'never ended'}"
            for run in reversed(found)
        ]
        return "warning", some(said, "; "), "mend what it says and run that stage again"
    return ok("none failed in the last 7 days and was not made good")


def leases(session: Session, opened: Catalog) -> Found:
    """Who holds which batch."""
    from warehouse.health import open_leases

    held = open_leases(opened, now=session.now)
    said = [f"{batch} until {until:%F %R} UTC" for batch, until in held]
    return ok(some(said) if said else "none open")


OF_CATALOG: dict[str, OfCatalog] = {
    "catalog": catalog, "lock": lock, "disk": disk, "store": store, "manifests": manifests,
    "live files": live_files, "views": views, "clock": clock, "leftovers": leftovers,
    "mined": mined, "runs": runs, "leases": leases,
}  # fmt: skip
