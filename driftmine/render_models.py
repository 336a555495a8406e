"""What `driftmine models` shows to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from driftmine.render import facts, grid
from driftmine.report.updates import judged

if TYPE_CHECKING:
    from driftmine.lineage import Ancestor, BatchTurn
    from driftmine.models import Listing, Pruning, Shown
    from training.publish import Published

_TURNS = 20  # of a batch: the rest is counted


def versions(found: Listing) -> RenderableType:
    """The table of `driftmine models list`."""
    if not found.versions and not found.pruned:
        return Text("No versions yet: `driftmine train` makes one.")
    rows = [
        (
            manifest.version + (" (champion)" if manifest.version == found.champion else ""),
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            manifest.parent,
            str(manifest.report["pairs"]),
            ("passed" if manifest.report["gate"]["promote"] else "held")
            + _erased(found.erased_turns.get(manifest.version, 0)),
        )
        for manifest in found.versions
    ]
    gone = [
        (
            model.version,
            f"{model.created_at:%Y-%m-%d %H:%M}",
            model.parent or "-",
            "-",
            f"{model.state}{_erased(found.erased_turns.get(model.version, 0))}",
        )
        for model in found.pruned
    ]
    both = sorted(rows + gone, key=lambda row: row[1], reverse=True)
    return grid("", ("version", "made (UTC)", "parent", "pairs", "gate"), both)


def _erased(turns: int) -> str:
    return f"; {turns:,} turns erased" if turns else ""


def version(found: Shown) -> RenderableType:
    """The page of `driftmine models show`."""
    shown, report = found.manifest, found.manifest.report
    rows: list[tuple[str, object]] = [
        ("parent", shown.parent),
        ("line began with", shown.base),
        ("made", f"{shown.created_at:%Y-%m-%d %H:%M} UTC"),
        ("batch", f"{shown.batch_id}: {len(shown.turn_ids)} turns at commit {shown.snapshot}"),
        ("pairs", report["pairs"]),
        ("erased turns", f"{found.erased_turns:,} of its batch, since"),
        ("settings", _settings(found.changed_settings)),
        ("files", _files(found)),
    ]
    if found.pruned:
        at = f"{found.pruned_at:%Y-%m-%d %H:%M} UTC: " if found.pruned_at else ""
        rows.insert(0, ("PRUNED", f"{at}its weights are gone"))
    rows += [("NOTE", note) for note in report.get("notes", ())]
    checks = [
        (c["name"], c["value"], c["limit"], c["unit"], c["ok"]) for c in report["gate"]["checks"]
    ]
    return Group(
        facts(shown.version, rows),
        grid("Gate", ("check", "value", "limit", "unit", "kept"), checks),
        *_judged(report),
        facts("Lineage", [(each.version, _ancestor(each)) for each in found.lineage]),
        *_batch(found.turns),
    )


def _judged(report: Mapping[str, Any]) -> list[RenderableType]:
    rows = list(judged(report.get("metrics") or {}))
    return [facts("Judged", rows)] if rows else []


def _settings(changed: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in changed.items()) or "the defaults"


def _files(found: Shown) -> str:
    count = len(found.manifest.files)
    if found.pruned:
        return f"{count}, given up"
    if found.damage:
        return f"CHANGED since they were registered: {'; '.join(found.damage)}"
    return f"{count}, as they were registered"


def _ancestor(each: Ancestor) -> str:
    if each.created_at is None:
        return "what the line began with"
    gate = "passed" if each.passed else "held"
    gone = ", pruned" if each.pruned else ""
    return f"{each.created_at:%Y-%m-%d %H:%M}, {gate}{gone}, {each.turns} turns of {each.batch_id}"


def _batch(turns: Sequence[BatchTurn]) -> list[RenderableType]:
    shown = [
        (t.turn_id, t.conversation_id or "gone", t.category or "-", str(t.log_date or "-"))
        for t in turns[:_TURNS]
    ]
    table = grid("Turns", ("turn", "conversation", "category", "night"), shown)
    more = len(turns) - _TURNS
    return [table, Text(f"and {more:,} more: --json has all of them")] if more > 0 else [table]


def pruning(found: Pruning) -> RenderableType:
    """The table of `driftmine models prune`."""
    if not found.removed:
        return Text(f"Nothing to prune: all {len(found.kept)} versions are kept.")
    title = "What prune would do" if found.dry_run else "Pruned"
    rows = [
        *((name, "to be removed" if found.dry_run else "removed") for name in found.removed),
        *((name, f"kept: {why}") for name, why in found.kept.items()),
        ("room", f"{found.bytes / 2**20:,.1f} MB"),
    ]
    return facts(title, rows)


def published(found: Published) -> RenderableType:
    """The table of `driftmine models publish`."""
    rows = [
        ("version", found.version),
        ("target", found.target),
        ("files", f"{len(found.files)}, {found.sent} of them sent now; all read back and compared"),
        ("left out", ", ".join(found.left_out) or "nothing"),
        ("turns", "their ids" if found.with_lineage else "their number only"),
    ]
    return facts("Published", rows)
