"""Logs that are read once more: how they were read, and whether they can be had."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from ingestion.logs.places import LogFile, digest, find
from ingestion.options import IngestionOptions
from warehouse import ledger
from warehouse.catalog import Catalog
from warehouse.errors import SourceUnavailable

Dating = Literal["run", "record"]


def readings(
    catalog: Catalog, options: IngestionOptions
) -> dict[tuple[dt.date, str], tuple[dt.date, Dating]]:
    """By night and name of a published log: the night of the run that read it, and its dating."""
    runs = ledger.read_for(catalog)
    nights = Counter((night, name) for (_, name), night in runs.items())
    by_record = options.log_date == "record"
    return {
        (log_date, name): (night, "record" if by_record or nights[night, name] > 1 else "run")
        for (log_date, name), night in runs.items()
    }


def find_all(names: Iterable[str], roots: Sequence[str]) -> tuple[list[LogFile], list[str]]:
    """The logs of these names, with their digests, and the names of those that cannot be had."""
    found: list[LogFile] = []
    gone: list[str] = []
    for name in names:
        try:
            (log,) = find([name], roots=roots)
            found.append(digest(log))
        except SourceUnavailable:
            gone.append(name)
    return found, gone


def still_theirs(catalog: Catalog, night: dt.date, logs: Sequence[LogFile]) -> list[LogFile]:
    """Without those that hold by now what only another run read: the log of the next night."""
    runs = ledger.read_for(catalog)
    own: set[tuple[str, str]] = set()
    others: set[tuple[str, str]] = set()
    for log in ledger.published(catalog):
        theirs = own if runs[log.log_date, log.name] == night else others
        theirs.add((log.name, log.sha256))
    return [log for log in logs if (log.name, log.sha256) not in others - own]
