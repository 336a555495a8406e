"""`driftmine doctor`: one line for everything that an operator would look at, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.console import RenderableType

from driftmine import checks, render
from driftmine.catalog_checks import OF_CATALOG, connected
from driftmine.checks import OF_HOME, Found, Line
from driftmine.session import Session, need_extra
from warehouse.catalog import Catalog
from warehouse.errors import SourceUnavailable

_FAILED = 1
_MEND = "mend that, then run again"
_REBUILD = "driftmine doctor --rebuild-catalog"


def examine(session: Session) -> int:
    """Look at everything and change nothing; exit 1 where a line is a problem."""
    return _shown(session, list(_lines(session)))


def mend(session: Session) -> int:
    """Make a lost catalog again first."""
    rebuilt = _line("rebuild", lambda: _rebuild(session), _MEND)
    return _shown(session, [rebuilt, *_lines(session)])


def _lines(session: Session) -> Iterator[Line]:
    for name, check in OF_HOME.items():
        yield _line(name, partial(check, session), _MEND)
    if not session.home.warehouse.exists():
        return  # the home's line says so
    try:
        with connected(session) as opened:
            yield from _of_catalog(session, opened)
    except Exception as error:
        todo = _REBUILD if isinstance(error, SourceUnavailable) else _MEND
        yield Line(check="catalog", state="problem", detail=checks.said(error), next=todo)


def _of_catalog(session: Session, opened: Catalog) -> Iterator[Line]:
    """The catalog's own line, and where it answers all that it can be asked."""
    broken = _REBUILD if opened.file else "check that the database runs and can be reached"
    for name, check in OF_CATALOG.items():
        advice = broken if name == "catalog" else _MEND
        line = _line(name, partial(check, session, opened), advice)
        yield line
        if name == "catalog" and line.state != "ok":
            return  # of another version: the other questions are put to tables of this one


def _line(name: str, check: Callable[[], Found], advice: str) -> Line:
    """What a check found; one that raises has found a problem."""
    try:
        state, detail, todo = check()
    except Exception as error:
        state, detail, todo = "problem", checks.said(error), advice
    return Line(check=name, state=state, detail=detail, next=todo)


def _rebuild(session: Session) -> Found:
    from warehouse.rebuild import rebuild

    need_extra("etl", "filelock")
    options = session.settings.warehouse
    if not session.home.warehouse.exists():
        raise SourceUnavailable(f"{session.home.root} holds no warehouse.")
    with session.home.held():
        found = rebuild(
            session.home.warehouse, options.catalog_url, options.data_url, now=session.now
        )
    if found is None:
        return checks.ok("the catalog is whole: nothing was done")
    said = [f"{found.commits} commits, {found.live_files} live files"]
    if found.gone_files:
        said.append(f"{found.gone_files} superseded files are given up")
    if found.aside:
        said.append(f"the former catalog is kept as {found.aside}")
    if found.unfinished:
        said.append(f"left out, for it was killed: {found.unfinished}")
    said.append(
        "not known any more: open leases (their turns are fresh again), failed runs, and who opted "
        "out, until the next command reads the list"
    )
    todo = "run that stage again" if found.unfinished else ""
    return "ok", "; ".join(said), todo


def _shown(session: Session, lines: Sequence[Line]) -> int:
    session.console.result(lines, lambda: _table(lines))
    return _FAILED if any(line.state == "problem" for line in lines) else 0


def _table(lines: Sequence[Line]) -> RenderableType:
    rows = [
        (f"{line.state:<8}{line.check}", line.detail + (f"  ->  {line.next}" if line.next else ""))
        for line in lines
    ]
    return render.facts("driftmine doctor", rows)
