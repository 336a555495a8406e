"""The nightly run: everything that is due, and nothing twice.

Each stage knows from the catalog whether it is due, so a night that is run again, late, or after
a crash does what is missing and says so.
"""

from __future__ import annotations

import datetime as dt
import resource
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from driftmine import intake
from driftmine.batch import waiting_turns
from driftmine.console import Report, Stopped
from driftmine.intake import When
from driftmine.night import WHOLE, ModelRate, NightReport, Parts
from driftmine.report.page import page_of, write_page
from driftmine.session import Session, need_extra
from ingestion.logs.places import LogFile
from mining.job import MineReport, mine, not_shown
from training import registry
from training.settle import settle
from warehouse.catalog import Catalog
from warehouse.errors import DriftmineError, SettingsError
from warehouse.promote import begin
from warehouse.query import log_dates, newest_commit, night_counts, stale_dates
from warehouse.streams import held, last_snapshot

# Fields that a night's report and its counts share.
_COUNTED = (
    "lines_in", "conversations", "near_duplicates", "seed_pairs", "turns", "rejected",
    "duplicates", "suppressed",
)  # fmt: skip


def nightly(
    session: Session,
    given: Sequence[str],
    *,
    log_date: str | None,
    today: dt.date,
    parts: Parts = WHOLE,
) -> NightReport:
    """Ingest new logs, mine what is not mined, train if enough is fresh, write the report.

    With a `log_date`, logs count as new unless that date holds them; without one, unless any
    date does: then they join the date that their path says, else `today`, and one that has grown
    joins the date that it stands in. Logs over the data-quality limit are left out and said so;
    the rest of the night goes on.
    Raises SettingsError where no log is named, SourceUnavailable where one cannot be read,
    CommitConflict where another nightly run is at work in this home.
    """
    need_extra("etl", "apache_beam")
    settings = session.settings  # a wrong key stops the night before anything else
    named = _named(session, given)
    at = intake.when(log_date, today, settings.ingestion)
    logs = intake.find(named, at, settings.ingestion)
    session.ensure_home()
    night = NightReport(log_date=at.log_date or today)
    with (
        session.home.held(),
        session.fresh_catalog() as catalog,
        session.console.progress() as progress,
    ):
        with _timed(night, "ingest"):
            new = _ingest(session, catalog, logs, at, night, progress)
        with _timed(night, "mine"):
            dates = _dates(session, catalog, new, night, parts)
            _mine(session, catalog, dates, night, progress, parts)
        session.console.safe_point()
        failed = _trained(session, catalog, night, progress, parts)
        night.nothing_to_do = not (new or dates or night.model_version or night.held_logs or failed)
        with _timed(night, "report"):
            night.page = str(_page(session, catalog, night))
        if failed:
            raise failed
    night.seconds["total"] = round(sum(night.seconds.values()), 2)
    night.peak_memory_mb = _peak_memory_mb()
    return night


def _named(session: Session, given: Sequence[str]) -> list[str]:
    """The logs of the command, else of the settings. Raises SettingsError."""
    named = list(given) or list(session.settings.nightly.logs)
    if not named:
        raise SettingsError(
            "No logs are named. Give --logs PATH..., or set logs under [nightly] in "
            f"{session.home.settings}."
        )
    return named


def _dates(
    session: Session,
    catalog: Catalog,
    new: Collection[dt.date],
    night: NightReport,
    parts: Parts,
) -> list[dt.date]:
    """What the night is about: what it read, what is not mined, and a night without its page."""
    unreported = [] if page_of(session.home, night.log_date).exists() else [night.log_date]
    due = stale_dates(catalog, parts.detector(session.settings.mining))
    return sorted({*new, *due, *unreported} & {*log_dates(catalog, "turns")})


def _ingest(
    session: Session,
    catalog: Catalog,
    logs: Sequence[LogFile],
    at: When,
    night: NightReport,
    progress: Report,
) -> set[dt.date]:
    """The nights that were due. Those over the data-quality limit are left out, and said so."""
    options = session.settings.ingestion
    reports, limits = intake.read_due(session, catalog, logs, at, options, progress)
    night.held_logs = "\n".join(map(str, limits))
    return {report.log_date for report in reports if report.published}


def _mine(
    session: Session,
    catalog: Catalog,
    dates: Sequence[dt.date],
    night: NightReport,
    progress: Report,
    parts: Parts,
) -> None:
    """Mine what is due, and fill in what these dates hold now.

    Not what this run read: a night that was killed and is run again reports as if it had not been.
    """
    options, now = session.settings.mining, session.now
    held = [night_counts(catalog, day) for day in dates]
    if dates:
        begin(catalog, parts.detector(options), now=now)
    reports = []
    for day in dates:
        session.console.safe_point()
        report = mine(
            catalog, log_date=day, options=options, now=now, progress=progress, made=parts.made
        )
        reports.append(report)
    night.not_shown = not_shown(reports)
    for name in _COUNTED:
        setattr(night, name, sum(getattr(counts, name) for counts in held))
    night.rejected_by_reason = _added(counts.rejected_by_reason for counts in held)
    night.redacted = _added(counts.redacted for counts in held)
    night.follow_ups = sum(report.follow_ups for report in reports)
    night.dsat = sum(report.dsat for report in reports)
    night.trainable = sum(report.trainable for report in reports)
    night.dsat_by_category = _added(report.dsat_by_category for report in reports)
    night.dsat_by_model = _rates(reports)


def _trained(
    session: Session, catalog: Catalog, night: NightReport, progress: Report, parts: Parts
) -> DriftmineError | None:
    """Train if it is due. An error is given back: what was read and mined shall have its page."""
    try:
        with _timed(night, "train"):
            _complete(session, catalog, night)
            _train(session, catalog, night, progress, parts)
    except Stopped:
        raise
    except DriftmineError as error:
        night.training = f"it failed: {error}"
        return error
    return None


def _complete(session: Session, catalog: Catalog, night: NightReport) -> None:
    """Give the version of a run that was killed its place: the night then tells of it."""
    models = session.home.models
    if not models.exists():
        return
    night.completed = settle(catalog, models, now=dt.datetime.now(dt.UTC))
    if not night.completed:
        return
    version = night.completed[-1]
    report = registry.read(models, version).report
    night.batch_size, night.pairs = report["batch_size"], report["pairs"]
    night.model_version, night.gate = version, tuple(report["gate"]["reasons"])
    night.promoted = registry.current(models, registry.CHAMPION) == version


def _train(
    session: Session, catalog: Catalog, night: NightReport, progress: Report, parts: Parts
) -> None:
    options = session.settings.training
    now = dt.datetime.now(dt.UTC)  # not the session's: leases run out while a night is mined
    waiting = waiting_turns(catalog, options, now)
    if waiting < options.needed_turns:
        night.training = f"{waiting} fresh trainable turns, {options.needed_turns} needed"
        count, until = held(catalog, stream=options.stream, now=now)
        if until:
            night.training += f"; {count} more are leased until {until:%F %R} UTC"
        return
    # One update for what a night mined: what it left waits for more, or for `driftmine train`.
    done = last_snapshot(catalog, stream=options.stream)
    shown = max(newest_commit(catalog, "dsat_turns"), newest_commit(catalog, kind="detector"))
    if done is not None and shown <= done:
        night.training = f"no new signals since the last update; {waiting} fresh turns wait"
        return
    from driftmine.train import update

    report = (parts.update or update)(session, catalog, options, progress)
    if report is None:
        night.training = "another trainer took the fresh turns"
        return
    night.batch_size, night.pairs = report.batch_size, report.pairs
    night.model_version, night.promoted = report.version, report.promoted
    night.gate = report.gate.reasons


def _page(session: Session, catalog: Catalog, night: NightReport) -> Path:
    """The night's page; a run that did nothing leaves the page of the run that did."""
    page = page_of(session.home, night.log_date)
    if night.nothing_to_do and page.exists():
        return page
    return write_page(session.home, catalog, session.now, out=page, night=night)


def _added(counts: Iterator[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total.most_common())


def _rates(reports: list[MineReport]) -> dict[str, ModelRate]:
    follow_ups: Counter[str] = Counter()
    dsat: Counter[str] = Counter()
    for report in reports:
        for model, count in report.dsat_by_model.items():
            follow_ups[model] += count.follow_ups
            dsat[model] += count.dsat
    return {
        model: ModelRate(follow_ups=n, dsat=dsat[model], rate=round(dsat[model] / n, 4))
        for model, n in follow_ups.most_common()
    }


@contextmanager
def _timed(night: NightReport, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    night.seconds[stage] = round(time.perf_counter() - start, 2)


def _peak_memory_mb() -> int:
    """Of this process and of its largest child (ru_maxrss is in KiB on Linux)."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, child) // 1024
