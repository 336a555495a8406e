"""`driftmine erase`: the warehouse, the pages that quote the user, and what runs left behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from markupsafe import escape
from rich.console import Group, RenderableType

from driftmine import render
from driftmine.home import Home
from driftmine.session import Session
from endpoint.ledger import SAMPLES, forget, kept
from training import work
from warehouse.errors import ErasureUnfinished, SettingsError
from warehouse.store import remove

if TYPE_CHECKING:
    import datetime as dt

    from warehouse.catalog import Catalog
    from warehouse.erase import ErasureReport

_FILES = ("file", "log date", "rows removed", "rows left")


class HomeErasure(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure took away from a home."""

    dry_run: bool
    warehouse: ErasureReport
    pages: tuple[str, ...]  # HTML reports that quoted the user
    samples: int = 0  # drawn answers that were kept for a training run: all of them go
    unfinished: int = 0  # files of samples and folders of checkpoints, of interrupted updates


def run(session: Session, users: Sequence[str]) -> int:
    """Erase, and say what was removed."""
    keys = _keys(session.home, users)
    with session.catalog() as catalog, session.console.progress() as progress:
        step = session.console.stoppable(progress)
        try:
            report, pages = erase(session.home, catalog, keys, session.now, step)
            samples, unfinished = _forget_answers(session, report)
        except ErasureUnfinished as error:
            for line in error.removed:
                session.console.note(line)
            raise
    done = HomeErasure(
        dry_run=False,
        warehouse=report,
        pages=tuple(map(str, pages)),
        samples=samples,
        unfinished=unfinished,
    )
    session.console.result(done, lambda: _table(done))
    return 0


def _forget_answers(session: Session, report: ErasureReport) -> tuple[int, int]:
    """Remove what trainers keep; how many answers of endpoints, and of other files and folders.

    Answers to whom is not known, so none stays; a run that was killed draws them again. Last of
    all: who begins to train from now on gets no turn of the users.
    """
    samples = forget(_samples(session), SAMPLES)
    try:
        return samples, work.forget(session.home.models)
    except ErasureUnfinished as error:
        error.removed = report.lines()
        raise


def dry_run(session: Session, users: Sequence[str]) -> int:
    """Say what `run` would remove, and change nothing."""
    from warehouse.erase import conversations, preview

    keys = _keys(session.home, users)
    with session.catalog() as catalog:
        pages = list(_quoting(session.home.reports, conversations(catalog, keys)))
        report = preview(catalog, keys)
    found = HomeErasure(
        dry_run=True,
        warehouse=report,
        pages=tuple(map(str, pages)),
        samples=kept(_samples(session), SAMPLES),
        unfinished=len(work.unfinished(session.home.models)),
    )
    session.console.result(found, lambda: _table(found))
    return 0


def erase(
    home: Home,
    catalog: Catalog,
    user_keys: Collection[str],
    now: dt.datetime,
    progress: Callable[[int, int, str], object] | None = None,
) -> tuple[ErasureReport, list[Path]]:
    """Forget users in a whole home; the pages that were removed. Raises what the warehouse's does.

    The pages go first: once the rows are gone nobody knows what quotes them.
    """
    from ingestion.handoff import Handoff, end_killed
    from warehouse.erase import conversations
    from warehouse.erase import erase as from_warehouse
    from warehouse.publish import named

    said = conversations(catalog, user_keys)
    pages = list(_remove(_quoting(home.reports, said)))
    of_catalog = partial(named, catalog)
    handoff = Handoff.of_attempt(catalog.root, catalog.store, "erase")
    with handoff.held():
        try:
            report = from_warehouse(
                catalog,
                user_keys,
                now,
                at_work=lambda: end_killed(catalog.root, catalog.store, of_catalog),
                note=handoff.note,
                progress=progress,
            )
        finally:
            handoff.close(of_catalog, now)
    # One that was made meanwhile shows what was there before.
    return report, sorted({*pages, *_remove(_quoting(home.reports, said))})


def _keys(home: Home, users: Sequence[str]) -> list[str]:
    """The keys of the users' ids; of those on stdin, one a line, for "-"."""
    from ingestion.hashes import user_key

    lines = (line.strip() for line in (sys.stdin if "-" in users else ()))
    ids = [user for user in (*users, *lines) if user not in ("", "-")]
    if not ids:
        raise SettingsError("--user names nobody. Give an id as the logs have it, or - for stdin.")
    return sorted({user_key(user, home.user_key()) for user in ids})


def _quoting(reports: Path, conversations: Collection[str]) -> Iterator[Path]:
    """The HTML pages that show any of the conversations."""
    marks = [f"<code>{escape(name)}</code>" for name in conversations]
    for page in sorted(reports.glob("**/*.html")) if marks else ():
        text = page.read_text()
        if any(mark in text for mark in marks):
            yield page


def _remove(pages: Iterator[Path]) -> Iterator[Path]:
    for page in pages:
        remove(page)
        yield page


def _samples(session: Session) -> Path:
    return session.home.root / session.settings.training.endpoint.store


def _table(found: HomeErasure) -> RenderableType:
    report = found.warehouse
    title = "Erasure, if it were done" if found.dry_run else "Erasure"
    users = f"{len(report.user_keys)}, kept out from now on"
    left = (found.pages, found.samples, found.unfinished)
    if report.is_empty and not any(left):
        nothing = "nothing, under this home's key; is the id as the logs have it?"
        return render.facts(title, [("users", users), ("found", nothing)])
    facts = render.facts(title, _facts(found, users))
    rows = [(f.path, str(f.log_date), f.removed, f.left) for f in report.files]
    return Group(facts, render.grid("Files", _FILES, rows)) if rows else facts


def _facts(found: HomeErasure, users: str) -> Iterator[tuple[str, object]]:
    report = found.warehouse
    emptied = sum(not file.left for file in report.files)
    nights = sum(report.nights.values())
    yield "users", users
    yield "rows removed", sum(file.removed for file in report.files)
    yield "files written anew", len(report.files) - emptied
    yield "files emptied", emptied
    yield "system prompts", report.prompts
    yield "now suppressed", f"{nights:,} records of {len(report.nights):,} nights"
    yield "turns in batches", report.batch_turns
    for version, turns in report.models.items():
        yield "trained on them", f"{version}: {turns:,} turns; whether it stays is yours to decide"
    yield "old files", f"{report.discarded:,} gone"
    for path in report.unpublished:
        yield "unpublished", path
    if found.samples:
        yield "drawn answers", found.samples
    if found.unfinished:
        yield "interrupted updates", f"{found.unfinished} files or folders of what they kept"
    for page in found.pages:
        yield "report", page
