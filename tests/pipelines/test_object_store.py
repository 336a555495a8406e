"""A night whose data files lie in an object store, and the same night again."""

from collections.abc import Callable
from pathlib import Path

import pytest

NIGHT = "2026-11-01"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_night_in_an_object_store(
    driftmine: Callable, examples: str, s3_bucket: Callable[[], set[str]],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int,
) -> None:  # fmt: skip
    monkeypatch.setenv("DRIFTMINE_WAREHOUSE__DATA_URL", "s3://warehouse/driftmine")
    monkeypatch.setenv("DRIFTMINE_INGESTION__WORKERS", str(workers))
    monkeypatch.setenv("DRIFTMINE_MINING__WORKERS", str(workers))
    # No update: what it has of the store, leases and lineage, is tested without a policy.
    monkeypatch.setenv("DRIFTMINE_TRAINING__HOLDOUT", "0.999")
    home = tmp_path / "home"
    ask = ("nightly", "--logs", examples, "--log-date", NIGHT, "--home", home, "--json", "--quiet")
    found = driftmine(*ask).json()
    assert found["lines_in"] == sum(
        found[name] for name in ("conversations", "seed_pairs", "rejected", "duplicates")
    )
    assert found["follow_ups"] > 100 and found["dsat"] > 0
    tables = {key.split("/")[2] for key in s3_bucket() if "/data/" in key}
    assert {"turns", "conversations", "signals", "dsat_turns"} <= tables
    assert not (home / "warehouse" / "data").exists()
    rows = driftmine("sql", "SELECT count(*) AS n FROM turns", "--home", home, "--json").json()
    assert rows["rows"] == [{"n": found["turns"]}]
    assert driftmine(*ask).json()["nothing_to_do"]
