"""`driftmine backfill`: former nights ingested or mined once more, where anything differs.

Date by date, each published at once or not at all: what is killed or stopped in between does the
rest when it is run again, for what is done differs in nothing any more.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from driftmine import detectors, render
from driftmine.commands import HELD, from_here
from driftmine.console import Report
from driftmine.session import Session, need_extra
from warehouse.catalog import Catalog
from warehouse.errors import (
    CommitConflict,
    CorruptStaging,
    DriftmineError,
    QualityLimit,
    SettingsError,
    SourceUnavailable,
)

if TYPE_CHECKING:
    from ingestion.job import IngestReport
    from mining.job import MineReport

STAGES = ("ingest", "mine")
_TRIES = 3  # of a date whose partitions another run publishes meanwhile
_FAILED = 1


class DateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill did with one date, or would do."""

    log_date: dt.date
    state: str  # done | unchanged | due (of a dry run) | held (by a data-quality limit) | failed
    why: dict[str, int] = {}  # reason -> logs, or nights, that it holds for
    lost: dict[str, str] = {}  # logs that cannot be read again, and why; their rows stay
    message: str = ""  # of what held it or failed
    ingest: IngestReport | None = None
    mine: MineReport | None = None


@dataclass(frozen=True, slots=True)
class _Date:
    """One date's work: a look at it changes nothing."""

    log_date: dt.date
    look: Callable[[], DateReport]
    do: Callable[[Report], DateReport]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for. Raises SettingsError where it makes no sense."""

    stage: str
    first: dt.date
    end: dt.date  # stop before it
    detector: str | None = None

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise SettingsError(f"--stage {self.stage} is unknown; known: {', '.join(STAGES)}.")
        if self.first >= self.end:
            raise SettingsError(
                f"--from {self.first} --to {self.end}: no date lies between. --to is the date to "
                "stop before: for one night, write the day after it."
            )
        if self.detector is not None and self.stage != "mine":
            raise SettingsError(f"--detector says nothing to --stage {self.stage}; leave it out.")


def backfill(session: Session, asked: Asked) -> int:
    """Do what differs. Exit 1 where a date failed, 3 where one was held or a log is lost."""
    with session.fresh_catalog() as catalog, session.console.progress() as progress:
        dates = list(_dates(session, catalog, asked))
        if dates and asked.stage == "mine":
            detectors.begin(session, catalog)
        reports = []
        for done, date in enumerate(dates):
            session.console.safe_point()
            progress(done, len(dates), "dates done")
            reports.append(_done(session, date, progress))
        progress(len(dates), len(dates), "dates done")
    if asked.stage == "mine":
        from mining.job import not_shown

        if beside := not_shown(report.mine for report in reports if report.mine):
            session.console.note(beside)
    return _shown(session, asked, reports)


def preview(session: Session, asked: Asked) -> int:
    """Say what differs, and change nothing."""
    with session.fresh_catalog() as catalog:
        reports = [date.look() for date in _dates(session, catalog, asked)]
    return _shown(session, asked, reports)


def _dates(session: Session, catalog: Catalog, asked: Asked) -> Iterator[_Date]:
    need_extra("etl", "apache_beam")
    stages = {"ingest": _ingestions, "mine": _minings}
    return stages[asked.stage](session, catalog, asked)


def _ingestions(session: Session, catalog: Catalog, asked: Asked) -> Iterator[_Date]:
    from ingestion.backfill import Logs, logs_of, look, read_again

    options, secret = session.settings.ingestion, session.home.user_key()

    def looked(logs: Logs) -> DateReport:
        found = look(catalog, logs, options=options, secret=secret)
        return _seen(logs.log_date, found.why, found.lost)

    def done(logs: Logs, progress: Report) -> DateReport:
        found = look(catalog, logs, options=options, secret=secret)
        report = read_again(found, session.now, progress)
        seen = _seen(logs.log_date, found.why, found.lost)
        return (
            seen if report is None else msgspec.structs.replace(seen, state="done", ingest=report)
        )

    for logs in logs_of(catalog, first=asked.first, end=asked.end, options=options):
        yield _Date(logs.log_date, partial(looked, logs), partial(done, logs))


def _minings(session: Session, catalog: Catalog, asked: Asked) -> Iterator[_Date]:
    from mining.job import mine_again, why
    from warehouse.query import log_dates

    options = session.settings.mining
    if asked.detector is not None:
        options = replace(options, detector=from_here(asked.detector))

    def looked(day: dt.date) -> DateReport:
        reason = why(catalog, log_date=day, options=options)
        return _seen(day, {"": reason} if reason else {}, {})

    def done(day: dt.date, progress: Report) -> DateReport:
        seen = looked(day)
        if seen.state == "unchanged":
            return seen
        report = mine_again(
            catalog, log_date=day, options=options, now=session.now, progress=progress
        )
        return msgspec.structs.replace(seen, state="done", mine=report)

    for day in log_dates(catalog, "turns"):
        if asked.first <= day < asked.end:
            yield _Date(day, partial(looked, day), partial(done, day))


def _seen(log_date: dt.date, why: Mapping[str, str], lost: Mapping[str, str]) -> DateReport:
    reasons = dict(Counter(why.values()).most_common())
    state = "due" if why else "unchanged"
    return DateReport(log_date=log_date, state=state, why=reasons, lost=dict(lost))


def _done(session: Session, date: _Date, progress: Report) -> DateReport:
    """One date, whatever becomes of it: the others go on."""
    last: DriftmineError | None = None
    for _ in range(_TRIES):
        try:
            return date.do(progress)
        except CommitConflict as conflict:
            session.console.note(f"{date.log_date}: another run was first; looking at it anew")
            last = conflict
        except QualityLimit as limit:
            return DateReport(log_date=date.log_date, state="held", message=str(limit))
        except (SourceUnavailable, CorruptStaging) as error:
            last = error
            break
    return DateReport(log_date=date.log_date, state="failed", message=str(last))


def _shown(session: Session, asked: Asked, reports: Sequence[DateReport]) -> int:
    states = Counter(report.state for report in reports)
    lost = sum(len(report.lost) for report in reports)
    found = {
        "stage": asked.stage,
        "from": asked.first,
        "to": asked.end,
        "total": {**states, "lost_logs": lost},
        "dates": reports,
    }
    session.console.result(found, lambda: _table(asked, reports))
    if states["failed"]:
        return _FAILED
    return HELD if states["held"] or lost else 0


def _table(asked: Asked, reports: Sequence[DateReport]) -> RenderableType:
    said = f"{asked.stage} of [{asked.first}, {asked.end})"
    if not reports:
        return Text(f"Nothing to do: the warehouse holds nothing to {said}.")
    rows = [
        (str(report.log_date), report.state, *_counts(report), _reasons(report))
        for report in reports
    ]
    counted = "conversations" if asked.stage == "ingest" else "follow-ups"
    columns = ("log date", "state", counted, "turns" if asked.stage == "ingest" else "DSAT", "why")
    states = Counter(report.state for report in reports)
    total = ", ".join(f"{n} {state}" for state, n in states.items())
    parts: list[RenderableType] = [
        render.grid("", columns, rows),
        Text(f"Backfill, {said}: {total}."),
    ]
    for report in reports:
        lost = [f"{name}: {why}" for name, why in report.lost.items()]
        if lost:
            parts.append(Text("\n  ".join([f"{report.log_date}, their rows stay:", *lost])))
        if report.message:
            parts.append(Text(f"{report.log_date}: {report.message}"))
    return Group(*parts)


def _counts(report: DateReport) -> tuple[int, int]:
    if report.ingest is not None:
        return report.ingest.conversations, report.ingest.turns
    if report.mine is not None:
        return report.mine.follow_ups, report.mine.dsat
    return 0, 0


def _reasons(report: DateReport) -> str:
    return ", ".join(f"{why} ({n})" if n > 1 else why for why, n in report.why.items())
