"""Reading logs into the warehouse: shared by `driftmine ingest` and `driftmine nightly`."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftmine.console import Report
from driftmine.session import Session
from warehouse.catalog import Catalog
from warehouse.errors import QualityLimit, SettingsError

if TYPE_CHECKING:
    from ingestion.job import IngestReport
    from ingestion.logs.places import LogFile
    from ingestion.options import IngestionOptions

RECORD = "record"  # said in place of a date: each record's own time decides


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The night that logs count to."""

    log_date: dt.date | None  # of all of them; None: of their paths or records, else today
    by_record: bool
    today: dt.date


def when(said: str | None, today: dt.date, options: IngestionOptions) -> When:
    """From `--log-date`. Raises SettingsError where that is neither a date nor "record"."""
    if said is None or said == RECORD:
        by_record = RECORD in (said, options.log_date)
        return When(log_date=None, by_record=by_record, today=today)
    try:
        return When(log_date=dt.date.fromisoformat(said), by_record=False, today=today)
    except ValueError:
        raise SettingsError(
            f"--log-date {said}: no date. Write YYYY-MM-DD, or {RECORD} to let each record's own "
            "time decide."
        ) from None


def find(logs: Sequence[str], at: When, options: IngestionOptions) -> list[LogFile]:
    """The files that are meant. Raises SourceUnavailable; SettingsError, also for the format."""
    from ingestion.logs import places
    from ingestion.shards import reader_of

    if options.format != "auto":
        reader_of(options.format, options.mapping)
    given = [os.path.expanduser(log) for log in logs]
    return places.find(given, roots=options.roots, log_date=at.log_date)


def due(catalog: Catalog, logs: Sequence[LogFile], at: When) -> dict[dt.date, list[LogFile]]:
    """The nights that logs are due for, and which."""
    from ingestion.due import nights

    if at.by_record:
        # Which nights they fill is known once they are read.
        return {at.today: list(logs)} if logs else {}
    return nights(catalog, logs, log_date=at.log_date, today=at.today)


def read_due(
    session: Session,
    catalog: Catalog,
    logs: Sequence[LogFile],
    at: When,
    options: IngestionOptions,
    progress: Report,
) -> tuple[list[IngestReport], list[QualityLimit]]:
    """Ingest what is due, night by night, each end of a night a safe point.

    The reports, and what the data-quality limits said of nights that are not published for them:
    the others are. Raises what `ingestion.job.ingest` does beside that, and Stopped.
    """
    reports, limits = [], []
    for night, new in due(catalog, logs, at).items():
        session.console.safe_point()
        try:
            reports.append(_read(session, catalog, night, new, at, options, progress))
        except QualityLimit as limit:
            limits.append(limit)
    return reports, limits


def _read(
    session: Session,
    catalog: Catalog,
    night: dt.date,
    logs: Sequence[LogFile],
    at: When,
    options: IngestionOptions,
    progress: Report,
) -> IngestReport:
    from ingestion.job import ingest

    return ingest(
        catalog,
        logs=logs,
        log_date=night,
        dating="record" if at.by_record else "run",
        options=options,
        user_key=session.home.user_key(),
        now=session.now,
        progress=progress,
    )
