"""Completing what killed runs had committed: without torch, so that every night can."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import unquote

from training import prune, registry, work
from training.lock import registering
from warehouse import streams
from warehouse.catalog import Catalog
from warehouse.errors import PolicyUnusable

_LOG = logging.getLogger(__name__)


def settle(catalog: Catalog, models: Path, *, now: dt.datetime) -> tuple[str, ...]:
    """Complete what killed runs had committed, and clear away what they had not.

    Reveals versions that the catalog knows, and moves the aliases that had still to be moved.
    Returns the versions of which anything was still to do, in their order.
    """
    # Not beside a trainer that registers: what it has sealed is its own to reveal.
    with registering(models):
        prune.complete(models, now=now)
        # In this order: a trainer that finishes in between is seen in one of the two.
        alive = streams.alive(catalog, now=now)
        known = streams.registered(catalog)
        sealed = {model.version: model.manifest_sha256 for model in known}
        completed = {*adopt(models, sealed, alive), *complete_moves(models)}
        work.sweep(models, now=now)
        there = set(registry.versions(models))
        moved = {move.version for move in registry.history(models)}
        for model in known:
            due = model.promoted and model.version in there - moved
            if due and _promoted(models, model.version, now):
                completed.add(model.version)
        found = tuple(version for version in registry.versions(models) if version in completed)
    if found:
        _LOG.warning("%s: of a run that was killed once it counted; completed", ", ".join(found))
    return found


def _promoted(models: Path, version: str, now: dt.datetime) -> bool:
    """Of a killed run, unless its files were damaged since: that must not stop later nights."""
    try:
        registry.promote(models, version, now=now, why="gate")
    except PolicyUnusable as error:
        _LOG.warning("%s passed its gate, but the champion stays what it is: %s", version, error)
        return False
    return True


def adopt(models: Path, known: Mapping[str, str], alive: Collection[str]) -> list[str]:
    """Deal with the hidden folders of killed runs.

    What was sealed and the catalog knows becomes a version, and is returned; `known` holds the
    manifest's sha256 of every version there. The rest is removed, but for batches in `alive`.
    """
    named = {sha256: version for version, sha256 in known.items()}
    revealed = []
    for staged in (models / "versions").glob(".*"):
        # A version that was pruned does not come back; a file is none of ours.
        if registry.LEAVING.fullmatch(staged.name) or not staged.is_dir():
            continue
        manifest = staged / registry.MANIFEST
        sealed = named.get(registry.sha256_of(manifest)) if manifest.exists() else None
        if sealed:
            registry.reveal(models, staged, sealed)
            revealed.append(sealed)
        elif _batch_of(staged) not in alive:
            shutil.rmtree(staged)
    return revealed


def complete_moves(models: Path) -> list[str]:
    """Point the aliases where they belong, after a run that was killed just before it did.

    Returns the versions that they point to now and did not before.
    """
    wanted = {
        registry.CHAMPION: [move.version for move in registry.moves(models)],
        registry.CANDIDATE: registry.versions(models),
    }
    due = {
        a: names[-1]
        for a, names in wanted.items()
        if names and registry.current(models, a) != names[-1]
    }
    for alias, version in due.items():
        registry.set_alias(models, alias, version)
    return list(due.values())


def _batch_of(staged: Path) -> str:
    return unquote(staged.name.removeprefix(".").rpartition(".")[0])
