"""Reading the logs of former nights once more, where anything that their rows depend on differs."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from ingestion import again
from ingestion.again import Dating
from ingestion.io import Progress
from ingestion.job import IngestReport, carry_out, report
from ingestion.logs.places import LogFile
from ingestion.options import IngestionOptions
from ingestion.plan import Run, plan
from warehouse import ledger
from warehouse.catalog import Catalog

GONE = "gone, or not to be read"
TAKEN = "holds the log of another night by now"


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """What was read at once, and is read again at once."""

    log_date: dt.date  # the first of the nights that were asked for and that they fill
    night: dt.date  # of the run that read them
    dating: Dating
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a backfill of some logs would do."""

    run: Run | None  # that reads them again; None: nothing differs
    why: Mapping[str, str]  # by the names of the logs that are read again
    lost: Mapping[str, str]  # why logs cannot be read again: what came of them stays


def logs_of(
    catalog: Catalog, *, first: dt.date, end: dt.date, options: IngestionOptions
) -> list[Logs]:
    """The logs that filled the nights in [first, end), by night.

    A log whose records say their nights is one of them as soon as one of its nights is, and is
    read whole.
    """
    readings = again.readings(catalog, options)
    found: dict[tuple[dt.date, Dating], list[tuple[dt.date, str]]] = defaultdict(list)
    for log in ledger.published(catalog):
        reading = readings[log.log_date, log.name]
        # The night of a run that let each record say its own may hold nothing of the log.
        if first <= log.log_date < end and (log.lines or reading[1] == "run"):
            found[reading].append((log.log_date, log.name))
    every = [
        Logs(
            log_date=min(places)[0],
            night=night,
            dating=dating,
            names=tuple(sorted({name for _, name in places})),
        )
        for (night, dating), places in found.items()
    ]
    return sorted(every, key=lambda logs: (logs.log_date, logs.night, logs.dating))


def look(catalog: Catalog, logs: Logs, *, options: IngestionOptions, secret: bytes) -> Look:
    """Which of the logs differ, in what; every one is read through for its digest.

    Raises SettingsError, MissingExtra.
    """
    found, missing = again.find_all(logs.names, options.roots)
    theirs = again.still_theirs(catalog, logs.night, found)
    lost = dict.fromkeys(missing, GONE)
    lost |= dict.fromkeys((log.name for log in found if log not in theirs), TAKEN)
    run = _plan(catalog, logs, theirs, options, secret)
    runs = ledger.read_for(catalog)
    known = {
        log.name: log
        for log in ledger.published(catalog)
        if runs[log.log_date, log.name] == logs.night
    }
    differing = {log.name: _difference(known[log.name], log, run) for log in theirs}
    why = {name: difference for name, difference in differing.items() if difference}
    due = [log for log in theirs if log.name in why]
    if len(due) < len(theirs):
        run = _plan(catalog, logs, due, options, secret)
    return Look(run=run if due else None, why=why, lost=lost)


def read_again(found: Look, now: dt.datetime, progress: Progress | None) -> IngestReport | None:
    """Put what the logs hold in place of what came of them; None where nothing differs.

    The watermark stays where it is. Raises what `ingest` raises.
    """
    if found.run is None:
        return None
    return report(found.run, found.run.logs, carry_out(found.run, now, progress))


def _difference(known: ledger.SourceFile, log: LogFile, run: Run) -> str:
    if known.sha256 != log.sha256:
        return "the log has changed"
    if not known.reading:
        return "not known how it was read"
    return "" if known.reading == run.reading(log) else "another version, settings or barred users"


def _plan(
    catalog: Catalog, logs: Logs, found: list[LogFile], options: IngestionOptions, secret: bytes
) -> Run:
    return plan(
        catalog,
        logs=found,
        log_date=logs.night,
        dating=logs.dating,
        options=options,
        secret=secret,
        watermark=None,
    )
