"""Reading logs that hold rejects once more, after what was wrong with them was mended."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict

from ingestion.io import Progress
from ingestion.job import IngestReport, carry_out, report
from ingestion.logs.places import digest, find
from ingestion.options import IngestionOptions
from ingestion.plan import plan
from warehouse import ledger
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
) -> list[IngestReport]:
    """Read every log that holds rejects, of one night or of all, and replace what came of it.

    A night is published only where fewer records are rejected than before; so to retry twice
    changes nothing. What was mended may be the settings or the log itself.

    Raises what `ingest` raises; SourceUnavailable also where such a log is no more.
    """
    rejected: dict[dt.date, Counter[str]] = defaultdict(Counter)
    for file in live_files(catalog, "rejects", log_date=log_date):
        rejected[file.log_date][file.part] += file.rows
    nights = Counter(log.name for log in ledger.published(catalog))
    reports = []
    for night, parts in rejected.items():
        logs = [digest(log) for log in find(sorted(parts), roots=options.roots)]
        spread = any(nights[log.name] > 1 for log in logs)
        run = plan(
            catalog,
            logs=logs,
            log_date=night,
            dating="record" if spread or options.log_date == "record" else "run",
            options=options,
            secret=user_key,
        )
        taken = carry_out(run, now, progress, formerly_rejected=parts.total())
        reports.append(report(run, logs, taken))
    return reports
