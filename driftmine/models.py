"""The commands `driftmine models`: versions of the policy, and which one is the champion."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from driftmine import render, render_models
from driftmine.lineage import Ancestor, BatchTurn, ancestors, changed_settings, turns
from driftmine.session import Session
from training import registry
from training.lock import registering
from training.manifest import Manifest
from warehouse.errors import CommitConflict

if TYPE_CHECKING:
    from warehouse.manifest import ModelVersion


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose weights are not there."""

    version: str
    parent: str | None
    batch_id: str
    created_at: dt.datetime
    state: str  # pruned | missing: the catalog knows it, and no folder has it


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What `models list` says."""

    champion: str | None
    versions: list[Manifest]  # newest first
    erased_turns: dict[str, int]  # version -> turns of its batch that are erased since
    pruned: list[Gone]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What `models show` says; as JSON the manifest's fields stand beside the others."""

    manifest: Manifest
    erased_turns: int
    pruned: bool  # its weights were given up
    pruned_at: dt.datetime | None
    damage: list[str]  # files that are not as they were registered
    changed_settings: dict[str, Any]  # those that are not the defaults
    lineage: list[Ancestor]
    turns: list[BatchTurn]


class Pruning(msgspec.Struct, frozen=True, kw_only=True):
    """What `models prune` did or, of a dry run, would do."""

    dry_run: bool
    removed: tuple[str, ...]
    kept: dict[str, str]  # version -> why
    bytes: int


def listing(session: Session) -> int:
    """The registered versions."""
    models = session.home.models
    known = _registered(session)
    names = reversed(registry.versions(models))
    found = Listing(
        champion=registry.current(models, registry.CHAMPION),
        versions=[registry.read(models, name) for name in names],
        erased_turns={model.version: model.erased_turns for model in known if model.erased_turns},
        pruned=_gone(session, known),
    )
    session.console.result(found, lambda: render_models.versions(found))
    return 0


def _gone(session: Session, known: list[ModelVersion]) -> list[Gone]:
    """The versions without weights: of the catalog, or where that is absent of the registry."""
    models = session.home.models
    pruned, there = registry.pruned(models), set(registry.versions(models))
    rows = {
        model.version: Gone(
            version=model.version,
            parent=model.parent,
            batch_id=model.batch_id,
            created_at=model.created_at,
            state="pruned" if model.version in pruned else "missing",
        )
        for model in known
        if model.version not in there
    }
    for name in set(pruned) - rows.keys():
        kept = registry.recorded(models, name)
        rows[name] = Gone(
            version=name,
            parent=kept.parent,
            batch_id=kept.batch_id,
            created_at=kept.created_at,
            state="pruned",
        )
    return sorted(rows.values(), key=lambda row: row.created_at, reverse=True)


def show(session: Session, version: str) -> int:
    """One version: manifest, files, parents, and the turns that it was trained on."""
    models = session.home.models
    manifest = registry.recorded(models, version)
    name = manifest.version
    gone = name in registry.pruned(models)
    moves = registry.history(models) if gone else []
    at = next((m.at for m in moves if (m.version, m.why) == (name, registry.PRUNED)), None)
    found = Shown(
        manifest=manifest,
        erased_turns=sum(m.erased_turns for m in _registered(session) if m.version == name),
        pruned=gone,
        pruned_at=at,
        damage=[] if gone else registry.verify(models, name),
        changed_settings=changed_settings(manifest.settings),
        lineage=ancestors(models, manifest),
        turns=turns(session, manifest),
    )
    beside = msgspec.to_builtins(found)
    session.console.result(beside.pop("manifest") | beside, lambda: render_models.version(found))
    return 0


def prune(session: Session, keep: int) -> int:
    """Give up old versions that nothing hangs on."""
    from training import prune as work

    models = session.home.models
    with registering(models):  # nothing is promoted meanwhile
        if batches := _at_work(session):
            raise CommitConflict(
                f"A trainer is at work ({', '.join(sorted(batches))}) and may read any version. "
                "Nothing was removed; run again when it has ended."
            )
        planned = work.plan(models, keep=keep, named=_named(session))
        work.prune(models, planned, now=session.now)
    return _pruning(session, planned, dry_run=False)


def preview_prune(session: Session, keep: int) -> int:
    """What `prune` would give up."""
    from training import prune as work

    planned = work.plan(session.home.models, keep=keep, named=_named(session))
    return _pruning(session, planned, dry_run=True)


def _pruning(session: Session, planned: Any, *, dry_run: bool) -> int:
    found = Pruning(
        dry_run=dry_run, removed=planned.removed, kept=planned.kept, bytes=planned.bytes
    )
    session.console.result(found, lambda: render_models.pruning(found))
    return 0


def _named(session: Session) -> tuple[str, ...]:
    return (session.settings.training.policy.rpartition("/")[2],)


def _at_work(session: Session) -> set[str]:
    from warehouse.streams import alive

    if not session.home.warehouse.exists():
        return set()
    with session.catalog() as catalog:
        return alive(catalog, now=session.now)


def _registered(session: Session) -> list[ModelVersion]:
    from warehouse.streams import registered

    if not session.home.warehouse.exists():  # a registry that was copied alone
        return []
    with session.catalog() as catalog:
        return registered(catalog)


def promote(session: Session, version: str) -> int:
    """Move the champion alias to a version that passed its gate."""
    with registering(session.home.models):
        champion = registry.promote(session.home.models, version, now=session.now)
    return _champion(session, champion)


def rollback(session: Session) -> int:
    """Move the champion alias back."""
    with registering(session.home.models):
        champion = registry.rollback(session.home.models, now=session.now)
    return _champion(session, champion)


def _champion(session: Session, version: str) -> int:
    session.console.result(
        {"champion": version}, lambda: render.facts("Registry", [("champion", version)])
    )
    return 0


def publish(
    session: Session, version: str, target: str, *, held: bool, with_lineage: bool, public: bool
) -> int:
    """Copy a version to where others can load it."""
    from training import publish as work

    words = work.Words(held=held, with_lineage=with_lineage, public=public)
    found = work.publish(session.home.models, version, target, words)
    session.console.result(found, lambda: render_models.published(found))
    return 0
