"""The commands that look after a warehouse: each calls one function and shows the result."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the program."""
