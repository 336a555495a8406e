"""What the commands do, each a function of the session and its words; returns the exit code."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftmine import detectors, intake, render
from driftmine.session import Session, need_extra
from training.options import METHODS
from warehouse.errors import QualityLimit, SettingsError

if TYPE_CHECKING:
    from ingestion.job import IngestReport
    from ingestion.options import IngestionOptions

HELD = 3  # exit code: finished, but the gate or a data-quality limit said no


def init(session: Session) -> int:
    """Make what the home lacks."""
    from driftmine import home as homes

    made = homes.create(session.home, session.settings.warehouse)
    # An ETL host has no torch: there the first `driftmine train` makes the policy.
    if importlib.util.find_spec("torch"):
        made += homes.make_policy(session.home)
    facts = [("home", session.home.root), ("made", ", ".join(made) or "nothing: all was there")]
    session.console.result(
        {"home": str(session.home.root), "made": made},
        lambda: render.facts("driftmine init", facts),
    )
    return 0


def ingest(
    session: Session,
    logs: Sequence[str],
    *,
    log_date: str | None,
    today: dt.date,
    format: str | None,
) -> int:
    """Read logs: each into the night that it says or is given, grown ones into their own.

    Exit 3 where a data-quality limit held a night back.
    """
    need_extra("etl", "apache_beam")
    options = _ingestion(session, format)
    at = intake.when(log_date, today, options)
    files = intake.find(logs, at, options)
    session.ensure_home()
    with session.fresh_catalog() as catalog, session.console.progress() as progress:
        reports, limits = intake.read_due(session, catalog, files, at, options, progress)
    if at.by_record:
        reports = [report for report in reports if report.published]
    return _ingested(session, reports, len(files), limits)


def retry_rejects(
    session: Session, *, log_date: str | None, today: dt.date, format: str | None
) -> int:
    """Read the logs that hold rejects once more, of one night or of all."""
    need_extra("etl", "apache_beam")
    from ingestion.retry import retry

    options = _ingestion(session, format)
    at = intake.when(log_date, today, options)
    with session.fresh_catalog() as catalog, session.console.progress() as progress:
        reports, gone = retry(
            catalog,
            log_date=at.log_date,
            options=options,
            user_key=session.home.user_key(),
            now=session.now,
            progress=progress,
        )
    if gone:
        session.console.note(f"gone, so their rejects stay: {', '.join(gone)}")
    return _ingested(session, reports, sum(len(report.files) for report in reports))


def _ingestion(session: Session, format: str | None) -> IngestionOptions:
    options = session.settings.ingestion
    return options if format is None else replace(options, format=format)


def _ingested(
    session: Session,
    reports: Sequence[IngestReport],
    files: int,
    limits: Sequence[QualityLimit] = (),
) -> int:
    held = "\n".join(map(str, limits))
    if held and not reports:
        raise QualityLimit(held)
    total = render.added(reports)
    found = {**total, "files": files, "dates": reports, "held_logs": held}
    session.console.result(found, lambda: render.ingested(total, reports, files, held))
    return HELD if held else 0


def mine(session: Session, first: dt.date, end: dt.date, *, detector: str | None) -> int:
    """Mine the log dates in [first, end) that hold turns."""
    need_extra("etl", "apache_beam")
    from mining.job import mine as run
    from mining.job import not_shown
    from warehouse.query import log_dates

    options = session.settings.mining
    if detector is not None:
        options = replace(options, detector=from_here(detector))
    with session.fresh_catalog() as catalog, session.console.progress() as progress:
        days = [day for day in log_dates(catalog, "turns") if first <= day < end]
        if days:
            detectors.begin(session, catalog)
        reports = []
        for day in days:
            session.console.safe_point()
            report = run(catalog, log_date=day, options=options, now=session.now, progress=progress)
            reports.append(report)
    if beside := not_shown(reports):
        session.console.note(beside)
    session.console.result({"dates": reports}, lambda: render.mined(reports))
    return 0


def train(session: Session, change: Mapping[str, Any], *, reuse: str = "") -> int:
    """One update of the policy, on fresh turns or those of a batch; exit 3 if the gate held it."""
    from driftmine import batch
    from driftmine.train import update

    options = _training(session, change)
    with session.fresh_catalog() as catalog, session.console.progress() as progress:
        report = update(session, catalog, options, progress, reuse=reuse)
        if report is None:
            facts = batch.waiting(catalog, options, session.now)
            session.console.result(
                facts, lambda: render.facts("Nothing to train on", facts.items())
            )
            return 0
    session.console.result(report, lambda: render.trained(report))
    return 0 if report.promoted else HELD


def preview_batch(session: Session, change: Mapping[str, Any]) -> int:
    """What the next update would lease, without leasing it."""
    from driftmine import batch

    options = _training(session, change)
    with session.fresh_catalog() as catalog:
        found = batch.next_batch(catalog, options, session.now)
    session.console.result(found, lambda: batch.shown(found))
    return 0


def nightly(session: Session, logs: Sequence[str], *, log_date: str | None, today: dt.date) -> int:
    """Everything that is due; exit 3 where the gate held the candidate."""
    need_extra("etl", "apache_beam")
    from driftmine.nightly import nightly as run

    report = run(session, logs, log_date=log_date, today=today)
    session.console.result(report, lambda: render.night(report, session.home))
    held = report.held_logs or (report.model_version and not report.promoted)
    return HELD if held else 0


def sql(session: Session, query: str, shape: str, as_of: str | None) -> int:
    """Run a query over the views, of now or as of a commit, and write its rows to stdout."""
    from driftmine import sqlout

    write = sqlout.writer(shape)
    with session.catalog() as catalog:
        connection = sqlout.opened(catalog, as_of)
    with connection:
        sqlout.answer(connection, query, write)
    return 0


def report(session: Session, out: Path | None) -> int:
    """Write the HTML page."""
    from driftmine.report.page import write_page

    with session.catalog() as catalog:
        path = out or session.home.reports / "report.html"
        write_page(session.home, catalog, session.now, out=path)
    session.console.result({"page": str(path)}, lambda: render.facts("Report", [("page", path)]))
    return 0


def status(session: Session) -> int:
    """What the home holds and what is due."""
    from driftmine.overview import overview

    with session.catalog() as catalog:
        facts = overview(session, catalog)
    session.console.result(facts, lambda: render.facts(f"Home {session.home.root}", facts.items()))
    return 0


def _training(session: Session, change: Mapping[str, Any]) -> Any:
    method = change.get("method", METHODS[0])
    if method not in METHODS:
        raise SettingsError(f"--method {method} is unknown; known: {', '.join(METHODS)}.")
    if "policy" in change:
        change = {**change, "policy": from_here(change["policy"])}
    return replace(session.settings.training, **change)


def from_here(name: str) -> str:
    """A folder as an absolute path, so that it has one name from wherever it is given."""
    return str(Path(name).resolve()) if Path(name).is_dir() else name
