"""What a model version says of itself: the manifest for programs, the card for people. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a version is and where it came from. It holds ids and figures, never text."""

    version: str
    parent: str  # version, or folder or name of the policy that it started from
    parent_digest: str  # hash of the parent's weights, 64 hex; "" for a model name
    base: str  # the policy that its line began with
    created_at: dt.datetime
    settings: dict[str, Any]  # TrainingOptions: method and seed are among them
    guidance: str  # version of the instruction that samples were guided by; "" = unguided
    batch_id: str
    snapshot: int  # commit of the warehouse that the batch was drawn from
    turn_ids: tuple[str, ...]  # of the batch
    report: dict[str, Any]  # TrainReport: pairs, filters, metrics, the gate's decision
    files: dict[str, str]  # path in the version's folder -> sha256


def outward(
    manifest: Manifest, *, files: dict[str, str], sha256: str, with_lineage: bool
) -> dict[str, Any]:
    """The manifest as it leaves the house: the batch's turns are counted, not named.

    `files`: those that go along. `sha256`: of the manifest here, which the catalog knows it by.
    """
    shown: dict[str, Any] = msgspec.to_builtins(manifest)
    turns = {} if with_lineage else {"turns": len(shown.pop("turn_ids"))}
    # Whom the house asks, and where, is nobody's business.
    settings = {
        name: value
        for name, value in shown["settings"].items()
        if not (isinstance(value, dict) and "base_url" in value)
    }
    return shown | turns | {"settings": settings, "files": files, "registered_sha256": sha256}


# What the pairs of each method are.
_PAIRS = {
    "drift": "rejected are answers that users were dissatisfied with, chosen are drawn anew",
    "iterdpo": "of several drawn answers the best is chosen and the worst rejected",
    "spin": "chosen are answers that users were satisfied with, rejected are drawn",
    "seed": "chosen are answers that users accepted after a complaint, rejected those before it",
}


def card(manifest: Manifest) -> str:
    """The version's README.md, with the front matter that Hugging Face's tools read."""
    method, report = manifest.settings["method"], manifest.report
    checks = "\n".join(
        f"| {c['name']} | {c['value']:.4g} | {c['limit']:.4g} | {'yes' if c['ok'] else 'NO'} |"
        for c in report["gate"]["checks"]
    )
    notes = "".join(f"\n> **Note:** {note}\n" for note in report.get("notes", ()))
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [driftmine, dpo, {method}]
---
# {manifest.version}

Trained by Driftmine ({method}) from `{manifest.parent}` on {manifest.created_at:%F}: one round of
DPO on {report["pairs"]} pairs: {_PAIRS[method]}.
The batch is `{manifest.batch_id}` of {len(manifest.turn_ids)} turns; manifest.json has the
settings, the figures and the digest of every file.
{notes}
The gate said **{"promote" if report["promoted"] else "hold"}**.

| check | value | limit | kept |
|---|---|---|---|
{checks}
"""
