"""Reading logs that hold rejects once more, after what was wrong with them was mended."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict

from ingestion import again
from ingestion.again import Dating
from ingestion.io import Progress
from ingestion.job import IngestReport, carry_out, report
from ingestion.options import IngestionOptions
from ingestion.plan import plan
from warehouse.catalog import Catalog
from warehouse.query import live_files


def retry(
    catalog: Catalog,
    *,
    log_date: dt.date | None,
    options: IngestionOptions,
    user_key: bytes,
    now: dt.datetime,
    progress: Progress | None = None,
) -> tuple[list[IngestReport], list[str]]:
    """Read every log that holds rejects, of one night or of all, and replace what came of it.

    The reports, and the logs that are not to be had any more: their rejects stay. A night is
    published only where fewer records are rejected than before; so to retry twice changes
    nothing. What was mended may be the settings or the log itself; a log that holds by now what
    was published for another night is left out.

    Raises what `ingest` raises.
    """
    reports: list[IngestReport] = []
    gone: list[str] = []
    for (night, dating), rejected in sorted(_rejected(catalog, log_date, options).items()):
        found, missing = again.find_all(sorted(rejected), options.roots)
        gone += missing
        logs = again.still_theirs(catalog, night, found)
        if not logs:
            continue
        run = plan(
            catalog,
            logs=logs,
            log_date=night,
            dating=dating,
            options=options,
            secret=user_key,
            watermark=night,
        )
        formerly = sum(rejected[log.name] for log in logs)
        taken = carry_out(run, now, progress, formerly_rejected=formerly)
        reports.append(report(run, logs, taken))
    return reports, gone


def _rejected(
    catalog: Catalog, log_date: dt.date | None, options: IngestionOptions
) -> dict[tuple[dt.date, Dating], Counter[str]]:
    """The logs that hold rejects in that night, or in any, and how many in all their nights.

    By the night of the run that read them, and how their records were dated.
    """
    runs = again.readings(catalog, options)
    rejects = live_files(catalog, "rejects")
    meant = {(runs[f.log_date, f.part], f.part) for f in rejects if log_date in (None, f.log_date)}
    rejected: dict[tuple[dt.date, Dating], Counter[str]] = defaultdict(Counter)
    for file in rejects:
        reading = runs[file.log_date, file.part]
        if (reading, file.part) in meant:
            rejected[reading][file.part] += file.rows
    return rejected
