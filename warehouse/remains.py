"""What is left of users who were erased: files that no commit has named, and a last search."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select

from warehouse import manifest
from warehouse.catalog import Catalog
from warehouse.errors import ErasureUnfinished
from warehouse.manifest import Manifest
from warehouse.publish import named
from warehouse.store import data_files, remove, texts
from warehouse.tables import batch_items
from warehouse.traces import OF_USERS, Traces, is_whole
from warehouse.views import SCRIPT

# Says which files the runs that are at work have begun, whether any commit has named them or not.
AtWork = Callable[[], Collection[str]]

# Nobody writes at one file for so long.
_DEAD_AFTER = dt.timedelta(days=1)
_ASKED_AT_ONCE = 500  # values of one query: databases bound how many
_SHOWN = 5  # places that a message names; the rest are a number


def nobody() -> Collection[str]:
    """No run is known to be at work."""
    return ()


def sweep(
    catalog: Catalog,
    user_keys: Sequence[str],
    prompts: Collection[str],
    at_work: AtWork,
    now: dt.datetime,
) -> tuple[list[str], set[str]]:
    """Remove files that hold rows of users and that no commit has named.

    After the commit that erased the users nobody can publish them any more: their runs saw an
    earlier erasure. Those of runs at work are left to them. What was removed, and those.
    """
    found = data_files(catalog.store)
    busy = set(at_work())
    # In this order: what was published meanwhile is named by now.
    strays = (found & data_files(catalog.store)) - named(catalog, found) - busy
    whole = {path for path in strays if is_whole(catalog.store / path)}
    holding = set(_holding(catalog.store, user_keys, prompts, whole))
    aged = {path for path in strays - whole if _is_aged(catalog.store / path, now)}
    doomed = sorted(holding | aged)
    for path in doomed:
        remove(catalog.store / path)
    return doomed, busy


def _holding(
    store: Path, user_keys: Sequence[str], prompts: Collection[str], paths: Collection[str]
) -> Iterator[str]:
    """Those of the files that hold rows of the users, or their system prompts."""
    traces = Traces(store, user_keys)
    for table in OF_USERS:
        traces.look(table, (path for path in paths if _table(path) == table))
    yield from (path for path, rows in traces.rows.items() if rows)
    yield from traces.holding((p for p in paths if _table(p) == "system_prompts"), prompts)


def _table(path: str) -> str:
    return path.split("/")[1]


def _is_aged(path: Path, now: dt.datetime) -> bool:
    return now.timestamp() - path.stat().st_mtime > _DEAD_AFTER.total_seconds()


def verify(
    catalog: Catalog, user_keys: Sequence[str], turn_ids: Collection[str], busy: Collection[str]
) -> None:
    """Search everything once more. Raises ErasureUnfinished where anything of the users is left.

    `turn_ids`: of turns of theirs that batches may have held; `busy`: files of runs at work.
    """
    found = data_files(catalog.store)
    strays = found - named(catalog, found)
    broken = {path for path in strays if not is_whole(catalog.store / path)}
    held = set(_holding(catalog.store, user_keys, (), found - broken))
    with catalog.read() as connection:
        batches = {batch_items.name} if in_batches(connection, sorted(turn_ids)) else set()
    left = [
        *sorted(held - set(busy)),
        *batches,
        *_in_manifests(catalog.store, user_keys),
        *_in_views(catalog.root, user_keys),
    ]
    if left:
        raise ErasureUnfinished(
            f"{catalog.root}: rows of the user are still in {_said(left)}. Something put them back "
            "or keeps them there; erase again, and report this if they stay."
        )
    if pending := sorted(held | broken):
        raise ErasureUnfinished(
            f"{catalog.store}: all that is published is free of the user, but a run that began "
            f"before may hold rows of theirs: {_said(pending)}. It cannot publish them; wait for "
            "it to end, or end it, then erase again. What a killed run of another machine has not "
            "finished is removed when it is a day old."
        )


def in_batches(connection: Connection, turn_ids: Sequence[str]) -> list[str]:
    """Those of the turns that batches hold, once for each stream."""
    found: list[str] = []
    for start in range(0, len(turn_ids), _ASKED_AT_ONCE):
        some = batch_items.c.turn_id.in_(turn_ids[start : start + _ASKED_AT_ONCE])
        found += connection.execute(select(batch_items.c.turn_id).where(some)).scalars()
    return found


def _in_manifests(store: Path, user_keys: Sequence[str]) -> Iterator[str]:
    """Beside the list of those who are kept out, which has to have them."""
    keys = [key.encode() for key in user_keys]
    for name, data in texts(store / manifest.FOLDER):
        if any(key in data for key in keys):
            change = msgspec.json.decode(data, type=Manifest)
            rest = msgspec.json.encode(msgspec.structs.replace(change, erased=[]))
            if any(key in rest for key in keys):
                yield f"{manifest.FOLDER}/{name}"


def _in_views(root: Path, user_keys: Sequence[str]) -> Iterator[str]:
    text = (root / SCRIPT).read_text()
    if any(key in text for key in user_keys):
        yield SCRIPT


def _said(places: Sequence[str]) -> str:
    more = len(places) - _SHOWN
    return ", ".join(places[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
