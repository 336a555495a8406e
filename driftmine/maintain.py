"""`driftmine maintain`: collect, compact, sweep and, where asked, check first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from driftmine import render
from driftmine.console import Report
from driftmine.session import Session
from ingestion import handoff
from warehouse import publish
from warehouse.catalog import Catalog
from warehouse.upkeep import check, collect, compact, sweep
from warehouse.upkeep.check import Damage
from warehouse.upkeep.collect import Garbage
from warehouse.upkeep.sweep import Stray

_MB = 2**20


class Upkeep(msgspec.Struct, frozen=True, kw_only=True):
    """What one `maintain` has done or, of a dry run, would do."""

    dry_run: bool
    checked: bool  # every byte, and the books
    damage: tuple[Damage, ...] = ()
    stopped: bool = False  # for the check found damage: nothing was changed
    collected_files: int = 0  # superseded, whose bytes were given up
    collected_bytes: int = 0
    pinned_files: int = 0  # as old, and kept for batches
    oldest_commit: int = 0  # from which on every one can be read in full
    compacted_files: int = 0
    compacted_into: int = 0
    skipped_groups: int = 0  # that another run has changed meanwhile
    orphan_files: int = 0  # that no commit has named
    orphan_bytes: int = 0
    temporary_files: int = 0


class _Due(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be removed."""

    garbage: Garbage
    orphans: Sequence[Stray]
    temporary: Sequence[Stray]


_Check = Callable[[Session, Catalog, Report], list[Damage]]
_Work = Callable[[Session, Catalog, Upkeep, Report], Upkeep]


def maintain(session: Session) -> int:
    """Give up what is superseded, merge what is scattered, remove what dead runs left."""
    return _run(session, _unchecked, _carry_out, Upkeep(dry_run=False, checked=False))


def check_and_maintain(session: Session) -> int:
    """`maintain`, if every byte is what it should be; else exit 1 and nothing is changed."""
    return _run(session, _checked, _carry_out, Upkeep(dry_run=False, checked=True))


def preview(session: Session) -> int:
    """What `maintain` would do."""
    return _run(session, _unchecked, _preview, Upkeep(dry_run=True, checked=False))


def check_and_preview(session: Session) -> int:
    """Whether every byte is what it should be, and what `maintain` would do."""
    return _run(session, _checked, _preview, Upkeep(dry_run=True, checked=True))


def _run(session: Session, look: _Check, work: _Work, report: Upkeep) -> int:
    with session.catalog() as catalog, session.console.progress() as shown:
        progress = session.console.stoppable(shown)
        if damage := look(session, catalog, progress):
            oldest = collect.oldest_readable(catalog)
            done = msgspec.structs.replace(
                report, damage=tuple(damage), stopped=True, oldest_commit=oldest
            )
        else:
            done = work(session, catalog, report, progress)
    session.console.result(done, lambda: shown_as(done))
    return 1 if done.damage else 0


def _unchecked(_session: Session, _catalog: Catalog, _progress: Report) -> list[Damage]:
    return []


def _checked(session: Session, catalog: Catalog, progress: Report) -> list[Damage]:
    given_up = frozenset(_garbage(session, catalog).paths)
    return [
        *check.wrong_books(catalog),
        *check.damaged_files(catalog, given_up=given_up, progress=progress),
    ]


def _carry_out(session: Session, catalog: Catalog, report: Upkeep, progress: Report) -> Upkeep:
    # Before the rest, which needs room. What is due is asked now: a check takes its time.
    due = _due(session, catalog)
    collect.collect(catalog, due.garbage, now=session.now, progress=progress)
    # Dead runs first, each while nobody can take it up: from then on what it wrote is nobody's.
    handoff.close_dead(catalog.root, catalog.store, partial(publish.named, catalog), session.now)
    sweep.sweep([*_orphans(session, catalog), *due.temporary])
    gone = [stray for stray in due.orphans if not stray.path.exists()]
    compacted = compact.compact(
        catalog, _groups(session, catalog), now=session.now, progress=progress
    )
    return msgspec.structs.replace(
        _counted(catalog, msgspec.structs.replace(due, orphans=gone), report),
        compacted_files=compacted.files_before,
        compacted_into=compacted.files_after,
        skipped_groups=compacted.skipped,
        damage=compacted.damaged,
    )


def _preview(session: Session, catalog: Catalog, report: Upkeep, _progress: Report) -> Upkeep:
    groups = _groups(session, catalog)
    return msgspec.structs.replace(
        _counted(catalog, _due(session, catalog), report),
        compacted_files=sum(len(group.files) for group in groups),
        compacted_into=len(groups),
    )


def _due(session: Session, catalog: Catalog) -> _Due:
    return _Due(
        orphans=_orphans(session, catalog),
        temporary=sweep.temporary(catalog, age=_age(session), now=session.now),
        garbage=_garbage(session, catalog),
    )


def _orphans(session: Session, catalog: Catalog) -> list[Stray]:
    # First: what these runs publish from here on is named when it is looked for.
    kept = handoff.noted(catalog.root, catalog.store, session.now)
    return sweep.unnamed(catalog, kept=kept, age=_age(session), now=session.now)


def _garbage(session: Session, catalog: Catalog) -> Garbage:
    retention = dt.timedelta(days=session.settings.warehouse.retention_days)
    return collect.due(catalog, retention=retention, now=session.now)


def _age(session: Session) -> dt.timedelta:
    return dt.timedelta(hours=session.settings.warehouse.orphan_hours)


def _groups(session: Session, catalog: Catalog) -> list[compact.Group]:
    return compact.plan(catalog, target=session.settings.warehouse.compact_mb * _MB)


def _counted(catalog: Catalog, due: _Due, report: Upkeep) -> Upkeep:
    return msgspec.structs.replace(
        report,
        collected_files=len(due.garbage.paths),
        collected_bytes=due.garbage.bytes,
        pinned_files=due.garbage.pinned,
        oldest_commit=collect.oldest_readable(catalog),
        orphan_files=len(due.orphans),
        orphan_bytes=sum(stray.bytes for stray in due.orphans),
        temporary_files=len(due.temporary),
    )


def shown_as(done: Upkeep) -> RenderableType:
    """The table at the end, and what is damaged, file by file."""
    damaged = [
        Text(f"{found.where} {found.what}\n  {found.lost}\n  to do: {found.remedy}")
        for found in done.damage
    ]
    if done.stopped:
        head = Text(f"Damage in {len(done.damage)} places. Nothing was changed.", style="bold red")
        return Group(head, *damaged)
    rows = [
        ("checked", "every byte: no damage" if done.checked else "no: --check reads every byte"),
        ("collected", f"{done.collected_files} superseded files, {_mb(done.collected_bytes)}"),
        ("kept for batches", f"{done.pinned_files} superseded files"),
        ("orphans", f"{done.orphan_files} files, {_mb(done.orphan_bytes)}"),
        ("half-written", f"{done.temporary_files} files"),
        ("compacted", f"{done.compacted_files} files into {done.compacted_into}"),
        ("readable from", f"commit {done.oldest_commit} on"),
    ]
    if done.skipped_groups:
        rows.append(("skipped", f"{done.skipped_groups} groups that another run has changed"))
    title = "What maintain would do" if done.dry_run else "Maintained"
    return Group(render.facts(title, rows), *damaged)


def _mb(count: int) -> str:
    return f"{count / _MB:,.1f} MB"
