"""`driftmine warehouse export-iceberg`: where it writes to, and what it says."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from driftmine import render
from driftmine.session import Session, need_extra


def export(
    session: Session, *, catalog: str | None, uri: str | None, namespace: str, out: Path | None
) -> int:
    """Bring the Iceberg tables up to the newest commit."""
    need_extra("iceberg", "pyiceberg")
    from warehouse import iceberg

    folder = Path(os.path.expanduser(out or session.home.root / "iceberg")).resolve()
    with session.catalog() as warehouse:
        to = iceberg.open_catalog(catalog) if catalog else iceberg.sql_catalog(folder, uri or "")
        done = iceberg.export(warehouse, to, namespace)
    columns = iceberg.Exported.__struct_fields__
    session.console.result(
        {"tables": [msgspec.structs.asdict(table) for table in done]},
        lambda: render.grid("Iceberg", columns, map(msgspec.structs.astuple, done)),
    )
    return 0
