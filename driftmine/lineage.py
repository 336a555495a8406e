"""Where a version came from: its parents up to the base, and the turns of its batch."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from driftmine.session import Session
from training import registry
from training.options import TrainingOptions
from warehouse.errors import SnapshotGone

if TYPE_CHECKING:
    from training.manifest import Manifest

_TURNS = """
SELECT turn_id, arg_max(conversation_id, log_date), arg_max(category, log_date), max(log_date)
FROM dsat_turns WHERE turn_id IN (SELECT unnest($ids)) GROUP BY turn_id"""


class Ancestor(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a line, towards its base."""

    version: str  # or the folder or name of the policy that the line began with
    created_at: dt.datetime | None = None  # None: no version of this registry
    batch_id: str | None = None
    turns: int = 0
    passed: bool | None = None  # its gate
    pruned: bool = False


class BatchTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A DSAT turn that trained a version; Nones where it is not kept any more."""

    turn_id: str
    conversation_id: str | None = None
    category: str | None = None
    log_date: dt.date | None = None  # the night of its log


def ancestors(models: Path, manifest: Manifest) -> list[Ancestor]:
    """The parents of a version, the nearest first; the last is what the line began with."""
    there, pruned = registry.versions(models), registry.pruned(models)
    found: list[Ancestor] = []
    seen = {manifest.version}
    parent = manifest.parent
    while (name := Path(parent).name) in {*there, *pruned} - seen:
        seen.add(name)
        manifest = registry.recorded(models, name)
        found.append(
            Ancestor(
                version=name,
                created_at=manifest.created_at,
                batch_id=manifest.batch_id,
                turns=len(manifest.turn_ids),
                passed=manifest.report["gate"]["promote"],
                pruned=name in pruned,
            )
        )
        parent = manifest.parent
    return [*found, Ancestor(version=parent)]


def turns(session: Session, manifest: Manifest) -> list[BatchTurn]:
    """The turns of a version's batch as they stood when it was drawn, in the batch's order."""
    from warehouse.query import snapshot

    known: dict[str, BatchTurn] = {}
    if session.home.warehouse.exists():  # else a registry that was copied alone
        with session.catalog() as catalog:
            try:
                connection = snapshot(catalog, manifest.snapshot)
            except SnapshotGone:
                connection = None
            if connection is not None:
                with connection:
                    rows = connection.execute(_TURNS, {"ids": list(manifest.turn_ids)}).fetchall()
                    known = {row[0]: _turn(*row) for row in rows}
    return [known.get(turn_id, BatchTurn(turn_id=turn_id)) for turn_id in manifest.turn_ids]


def _turn(turn_id: str, conversation_id: str, category: str, log_date: dt.date) -> BatchTurn:
    return BatchTurn(
        turn_id=turn_id, conversation_id=conversation_id, category=category, log_date=log_date
    )


def changed_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a version that are not the defaults of today, by their dotted names."""
    default = dict(_dotted(msgspec.json.decode(msgspec.json.encode(TrainingOptions()))))
    return {
        name: value
        for name, value in _dotted(settings)
        if name not in default or default[name] != value
    }


def _dotted(settings: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            found += _dotted(value, f"{above}{name}.")
        else:
            found.append((f"{above}{name}", value))
    return found
