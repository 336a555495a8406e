"""`driftmine ingest` on a disk that is full: what it says, and that it ends well with more room."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse.catalog import Catalog
from warehouse.upkeep.check import wrong_books

CONVERSATIONS = 40
DATE = ("--log-date", "2026-11-01")


def write(log: Path) -> Path:
    said = ("user", "assistant", "user")
    lines = [
        {"id": f"c-{i}", "messages": [{"role": r, "content": f"{r} {i} " * 50} for r in said]}
        for i in range(CONVERSATIONS)
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return log


@pytest.mark.chaos
def test_a_full_disk_is_named_and_the_next_run_ends_well(
    driftmine: Callable, tmp_path: Path, small_disk
) -> None:
    home, log = small_disk.folder / "home", write(tmp_path / "a.jsonl")
    assert driftmine("init", "--home", home).exit_code == 0
    for room in (0, 16 * 1024, 128 * 1024):
        small_disk.leave(room)
        full = driftmine("ingest", log, *DATE, "--home", home)
        assert full.exit_code == 1, f"with {room} bytes left"
        assert str(home) in full.stderr and "disk" in full.stderr and "run again" in full.stderr
        assert "which should not happen" not in full.stderr
    small_disk.make_room()
    again = driftmine("ingest", log, *DATE, "--home", home, "--json")
    assert again.exit_code == 0
    rows = driftmine("sql", "SELECT count(*) AS n FROM turns", "--home", home, "--format", "json")
    assert json.loads(rows.stdout)["rows"] == [{"n": 3 * CONVERSATIONS}]
    assert not list(home.rglob("warehouse/.*.*")), "a temporary file"
    catalog = Catalog.open(home / "warehouse")
    assert wrong_books(catalog) == []
    catalog.close()
