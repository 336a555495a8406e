"""Which logs are due, and for which nights."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ingestion.logs.places import LogFile, continues, digest
from warehouse import ledger
from warehouse.catalog import Catalog
from warehouse.ledger import SourceFile


def nights(
    catalog: Catalog, logs: Sequence[LogFile], *, log_date: dt.date | None, today: dt.date
) -> dict[dt.date, list[LogFile]]:
    """The nights that logs are due for, and which logs, with their digests.

    `log_date`: of all logs; without one each has that of its path. A log whose content is
    published is not due, whatever its name: for its night or, where nothing says which night is
    its, for any. Of the others, one without a night that has grown (it begins with what was
    published last under its name) is due for the night that it stands in, to replace itself
    there, and every other one for `today`. New logs of one content are due once.
    """
    done = ledger.published(catalog)
    former = {log.name: log for log in done}  # by night: the newest stays
    new = _new(logs, done, log_date)
    placed = [(night or _home(log, former.get(log.name)), log) for night, log in new]
    due: dict[dt.date, dict[str, LogFile]] = defaultdict(dict)
    taken: set[str] = set()
    # Those whose night is known before the others, which may be copies of them.
    for night, log in sorted(placed, key=lambda found: found[0] is None):
        if night or log.sha256 not in taken:
            taken.add(log.sha256)
            due[night or today].setdefault(log.sha256, log)
    return {night: list(found.values()) for night, found in due.items()}


def _new(
    logs: Iterable[LogFile], done: Sequence[SourceFile], log_date: dt.date | None
) -> Iterator[tuple[dt.date | None, LogFile]]:
    """Those that are not published, with the nights that are known of them.

    One of the same name, size and stamp is taken to be the same, without being read.
    """
    stamps = {
        (night, log.name, log.size, log.stamp) for log in done for night in (log.log_date, None)
    }
    contents = {(night, log.sha256) for log in done for night in (log.log_date, None)}
    for log in logs:
        night = log_date or log.log_date
        if (night, log.name, log.size, log.stamp) in stamps:
            continue
        known = log if log.sha256 else digest(log)
        if (night, known.sha256) not in contents:
            yield night, known


def _home(log: LogFile, former: SourceFile | None) -> dt.date | None:
    """The night of a log that has grown."""
    # Not merely of the same name: a log that each night overwrites is another night's. An empty
    # one is begun with by every log.
    if former and former.size and continues(log, size=former.size, sha256=former.sha256):
        return former.log_date
    return None
