"""Version 4: a batch may hold SAT turns and seed pairs beside DSAT turns."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection


def upgrade(connection: Connection, store: Path) -> None:
    """Say of every item of a batch that it is a DSAT turn: there was nothing else."""
    connection.exec_driver_sql(
        "ALTER TABLE batch_items ADD COLUMN kind VARCHAR DEFAULT 'dsat' NOT NULL"
    )


def clear(store: Path) -> None:
    """Version 3 had no files of its own."""
