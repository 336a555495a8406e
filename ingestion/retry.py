"""Reading logs that hold rejects once more, after what was wrong with them was mended."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from ingestion.io import Progress
from ingestion.job import IngestReport, carry_out, report
from ingestion.logs.places import LogFile, digest, find
from ingestion.options import IngestionOptions
from ingestion.plan import plan
from warehouse import ledger
from warehouse.catalog import Catalog
from warehouse.errors import SourceUnavailable
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
    nothing. What was mended may be the settings or the log itself.

    Raises what `ingest` raises.
    """
    rejected: dict[dt.date, Counter[str]] = defaultdict(Counter)
    for file in live_files(catalog, "rejects", log_date=log_date):
        rejected[file.log_date][file.part] += file.rows
    nights = Counter(log.name for log in ledger.published(catalog))
    reports: list[IngestReport] = []
    gone: list[str] = []
    for night, parts in rejected.items():
        logs = list(_found(sorted(parts), options.roots, gone))
        if not logs:
            continue
        spread = any(nights[log.name] > 1 for log in logs)
        run = plan(
            catalog,
            logs=logs,
            log_date=night,
            dating="record" if spread or options.log_date == "record" else "run",
            options=options,
            secret=user_key,
        )
        formerly = sum(parts[log.name] for log in logs)
        taken = carry_out(run, now, progress, formerly_rejected=formerly)
        reports.append(report(run, logs, taken))
    return reports, gone


def _found(names: Sequence[str], roots: Sequence[str], gone: list[str]) -> Iterator[LogFile]:
    """The logs of these names; those that cannot be had are added to `gone`."""
    for name in names:
        try:
            (log,) = find([name], roots=roots)
            yield digest(log)
        except SourceUnavailable:
            gone.append(name)
