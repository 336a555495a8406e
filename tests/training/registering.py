"""Small versions in a registry."""

import datetime as dt
from pathlib import Path
from typing import Any

from training import registry
from training.manifest import Manifest

NOW = dt.datetime(2025, 1, 2, tzinfo=dt.UTC)
REPORT = {
    "pairs": 9,
    "promoted": True,
    "gate": {
        "promote": True,
        "reasons": [],
        "checks": [{"name": "kl", "value": 0.1, "limit": 0.5, "unit": "nats", "ok": True}],
    },
}
HELD = {"promote": False, "reasons": ["kl: 9.8"], "checks": []}


def manifest(
    version: str, batch_id: str, report: dict[str, Any] = REPORT, *, parent: str = "/policies/base"
) -> Manifest:
    return Manifest(
        version=version,
        parent=parent,
        parent_digest="0" * 64,
        base="/policies/base",
        created_at=NOW,
        settings={"method": "drift", "seed": 0},
        guidance="guided_v1",
        batch_id=batch_id,
        snapshot=3,
        turn_ids=("a", "b"),
        report=report,
        files={},
    )


def register(
    models: Path,
    batch_id: str,
    report: dict[str, Any] = REPORT,
    *,
    parent: str = "/policies/base",
    extra: dict[str, bytes] | None = None,
) -> str:
    version = registry.next_version(models, batch_id)
    with registry.staging(models, batch_id) as staged:
        (staged / "model.safetensors").write_bytes(batch_id.encode())
        for name, data in (extra or {}).items():
            (staged / name).write_bytes(data)
        registry.seal(staged, manifest(version, batch_id, report, parent=parent))
        registry.reveal(models, staged, version)
    return version
