"""`driftmine status`: what the home holds and what is due, from the catalog alone."""

from __future__ import annotations

from typing import Any

from driftmine.batch import waiting_turns
from driftmine.session import Session
from training import registry
from warehouse.catalog import Catalog
from warehouse.query import detectors, live_files, log_dates, newest_commit, stale_dates


def overview(session: Session, catalog: Catalog) -> dict[str, Any]:
    """Names and values, in the order in which a person asks."""
    options = session.settings.training
    turns = live_files(catalog, "turns")
    dates = log_dates(catalog, "turns")
    waiting = waiting_turns(catalog, options, session.now)
    return {
        "commit": newest_commit(catalog),
        "log_dates": len(dates),
        "first_log_date": str(dates[0]) if dates else None,
        "last_log_date": str(dates[-1]) if dates else None,
        "turns": sum(file.rows for file in turns),
        "rejects": sum(file.rows for file in live_files(catalog, "rejects")),
        "signals": _signals(catalog),
        "dates_to_mine": len(stale_dates(catalog)),
        "fresh_trainable_turns": waiting,
        "update_due": waiting >= options.needed_turns,
        "champion": registry.current(session.home.models, registry.CHAMPION),
        "versions": len(registry.versions(session.home.models)),
    }


def _signals(catalog: Catalog) -> int:
    """Verdicts that readers see: of each night one detector's, however many have mined it."""
    files = live_files(catalog, "signals")
    shown = detectors(catalog, "signals")  # after them, or a night could be missing
    return sum(file.rows for file in files if file.part == shown[file.log_date])
