"""Pruning: the weights of old versions are given up, and what they were stays on record.

    <models>/versions/.pruned.v0001-1a2b3c4d/   on its way out: nothing loads or adopts it
    <models>/pruned/v0001-1a2b3c4d.json         its manifest

The rename to the hidden name decides. Who is killed after it leaves the rest to `complete`, which
every training cycle and every pruning calls first.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from training import registry
from training.registry import CANDIDATE, CHAMPION, LEAVING, MANIFEST, PRUNED, Move
from warehouse.durable import sync_folder, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a pruning keeps and removes."""

    kept: dict[str, str]  # version -> why
    removed: tuple[str, ...]  # versions, the oldest first
    bytes: int  # of the removed folders


def plan(models: Path, *, keep: int, named: Collection[str] = ()) -> Plan:
    """Which versions to give up: old ones that nothing hangs on.

    Kept are the `keep` newest (at least 1), what an alias or the history's last move names, what
    `named` names, and of all of these every parent, up to the first of the line.
    """
    there = registry.versions(models)
    moves = [move.version for move in registry.history(models) if move.why != PRUNED]
    wanted = [
        (registry.current(models, CHAMPION), "champion"),
        (registry.current(models, CANDIDATE), "candidate"),
        (moves[-1] if moves else None, "champion"),  # where a kill came before the alias moved
        *((name, "named in [training] policy") for name in named),
        *((name, f"one of the newest {keep}") for name in there[-keep:]),
    ]
    kept: dict[str, str] = {}
    for name, why in wanted:
        while name in there and name not in kept:
            kept[name] = why
            manifest = registry.read(models, name)
            # A parent that was named by its folder is the version all the same.
            name, why = Path(manifest.parent).name, f"parent of {name}"
    removed = tuple(name for name in there if name not in kept)
    return Plan(kept=kept, removed=removed, bytes=sum(_bytes(models, name) for name in removed))


def prune(models: Path, planned: Plan, *, now: dt.datetime) -> None:
    """Remove what the plan says, one version after the other. Raises OSError."""
    complete(models, now=now)
    versions = models / "versions"
    for version in planned.removed:
        os.rename(versions / version, versions / f".pruned.{version}")
        sync_folder(versions)
        complete(models, now=now)


def complete(models: Path, *, now: dt.datetime) -> None:
    """Record and delete what carries a leaving version's name, also where a kill came between."""
    for leaving in (models / "versions").glob(".pruned.*"):
        match = LEAVING.fullmatch(leaving.name)
        if match:
            _remove(models, leaving, match[1], now)


def _remove(models: Path, leaving: Path, version: str, now: dt.datetime) -> None:
    kept = models / PRUNED / f"{version}.json"
    if not kept.exists() and (leaving / MANIFEST).exists():
        kept.parent.mkdir(exist_ok=True)
        write_whole(kept, (leaving / MANIFEST).read_bytes())
    if all((m.version, m.why) != (version, PRUNED) for m in registry.history(models)):
        registry.record(models, Move(at=now, version=version, former=None, why=PRUNED))
    shutil.rmtree(leaving)


def _bytes(models: Path, version: str) -> int:
    folder = models / "versions" / version
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
