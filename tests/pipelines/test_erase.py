"""`driftmine erase` on real runs: what goes, what runs at work leave, and that nothing returns."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from driftmine import erase as work
from driftmine.cli import app
from driftmine.home import Home
from endpoint.ledger import SAMPLES, Ledger
from endpoint.options import EndpointOptions
from endpoint.timing import Timing
from ingestion import job
from ingestion.handoff import Handoff
from ingestion.hashes import user_key
from training.work import Work
from warehouse.catalog import Catalog
from warehouse.query import night_counts

SAID = ("capital of Australia?", "Sydney.", "No, that's wrong, it's {}")
USERS = ("ann-4711", "bob-0815")
DATE = ("--log-date", "2026-11-01")


def chat(user: str, i: int) -> dict[str, Any]:
    roles = ("user", "assistant", "user")
    messages = [
        {"role": r, "content": t.format(f"{user[:3]} {i}")}
        for r, t in zip(roles, SAID, strict=True)
    ]
    system = {"role": "system", "content": f"You help {user[:3]}."}
    return {"id": f"{user[:3]}-{i}", "user": user, "messages": [system, *messages]}


def write(log: Path, *users: str, start: int = 0) -> Path:
    lines = [chat(user, start + i) for user in users for i in range(3)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return log


@pytest.fixture
def home(driftmine: Callable, tmp_path: Path) -> Path:
    """A home that has ingested and mined a log of both users, and made its report."""
    home = tmp_path / "home"
    log = write(tmp_path / "a.jsonl", *USERS)
    assert driftmine("ingest", log, *DATE, "--home", home).exit_code == 0
    assert driftmine("mine", "--home", home).exit_code == 0
    assert driftmine("report", "--home", home).exit_code == 0
    return home


def holding(home: Path, word: str) -> list[str]:
    """The files of a home in which a word stands, in Parquet files as a value."""
    found = []
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        if path.suffix == ".parquet":
            text = str(pq.read_table(path).to_pylist()).encode()
        else:
            text = path.read_bytes()
        if word.encode() in text:
            found.append(path.relative_to(home).as_posix())
    return found


def balanced(home: Path) -> tuple[int, int]:
    """Lines in and suppressed of the night."""
    catalog = Catalog.open(home / "warehouse")
    found = night_counts(catalog, dt.date(2026, 11, 1))
    catalog.close()
    rest = found.seed_pairs + found.rejected + found.duplicates + found.suppressed
    assert found.lines_in == found.conversations + rest
    return found.lines_in, found.suppressed


def test_a_user_is_forgotten_and_does_not_come_back(
    driftmine: Callable, home: Path, tmp_path: Path
) -> None:
    words = ("erase", "--user", "ann-4711", "--home", home, "--json")
    ledger = Ledger(
        EndpointOptions(store=str(home / "samples.sqlite")), account="a", prompt="", timing=Timing()
    )
    ledger.keep(f"{SAMPLES}1", "an answer to ann")
    ledger.close()
    assert holding(home, "ann"), "there is something to erase"
    dry = driftmine(*words, "--dry-run").json()
    assert dry["dry_run"] and dry["pages"] == [str(home / "reports" / "report.html")]
    done = driftmine(*words).json()
    assert dry["samples"] == done["samples"] == 1
    assert done["warehouse"]["nights"] == {"2026-11-01": 3}
    assert {f["table"] for f in done["warehouse"]["files"]} == {
        "turns", "conversations", "signals", "dsat_turns", "system_prompts",
    }  # fmt: skip
    for name in ("files", "prompts", "nights", "discarded"):
        assert dry["warehouse"][name] == done["warehouse"][name]
    assert holding(home, "ann") == []
    assert holding(home, "bob")
    assert balanced(home) == (6, 3)
    again = driftmine(*words).json()["warehouse"]
    assert (again["files"], again["commit_id"]) == ([], None)

    log = write(tmp_path / "b.jsonl", *USERS, start=10)
    added = driftmine("ingest", log, *DATE, "--home", home, "--json").json()
    assert (added["conversations"], added["suppressed"]) == (3, 3)
    log = write(tmp_path / "a.jsonl", *USERS, "ann-4711")
    grown = driftmine("ingest", log, *DATE, "--home", home, "--json").json()
    assert (grown["conversations"], grown["suppressed"]) == (3, 6)
    assert driftmine("mine", "--home", home).exit_code == 0
    assert driftmine("report", "--home", home).exit_code == 0
    assert holding(home, "ann") == []
    assert balanced(home) == (15, 9)


def test_nothing_that_was_mined_is_mined_again(driftmine: Callable, home: Path) -> None:
    driftmine("erase", "--user", "ann-4711", "--home", home)
    assert driftmine("status", "--home", home, "--json").json()["dates_to_mine"] == 0
    (night,) = driftmine("mine", "--home", home, "--json").json()["dates"]
    assert (night["published"], night["dsat"]) == (False, 3)


def test_ids_are_read_from_stdin_and_never_said(home: Path) -> None:
    words = ["erase", "--user", "-", "--home", str(home)]
    done = CliRunner().invoke(app, words, input="ann-4711\n\n bob-0815 \n")
    assert done.exit_code == 0
    assert "kept out from now on" in done.stdout and "rows removed" in done.stdout
    assert not any(user in done.output for user in USERS)
    assert balanced(home) == (6, 6)
    assert [holding(home, user) for user in USERS] == [[], []]


def test_an_unknown_user_is_said_to_be_unknown(driftmine: Callable, home: Path) -> None:
    done = driftmine("erase", "--user", "cy", "--home", home)
    assert (done.exit_code, "is the id as the logs have it" in done.stdout) == (0, True)
    assert driftmine("erase", "--user", "", "--home", home).exit_code == 2


def key_of(home: Path) -> str:
    return user_key("ann-4711", bytes.fromhex((home / "user.key").read_text()))


def test_an_ingestion_at_work_publishes_nothing_and_leaves_nothing(
    driftmine: Callable, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is erased after the log was read and before it is published."""
    real = job.account.take

    def late(*args: Any, **words: Any) -> Any:
        told.append(driftmine("erase", "--user", "ann-4711", "--home", home))
        return real(*args, **words)

    told: list[Any] = []
    log = write(tmp_path / "b.jsonl", *USERS, start=10)
    with monkeypatch.context() as patch:
        patch.setattr(job.account, "take", late)
        refused = driftmine("ingest", log, *DATE, "--home", home, "--json")
    assert (refused.exit_code, refused.json()["error"]) == (1, "CommitConflict")
    assert [done.exit_code for done in told] == [1], "the run held rows of the user"
    assert "erase again" in told[0].stderr
    assert holding(home, "ann") == []
    assert not any(path.is_dir() for path in (home / "warehouse" / "staging").iterdir())
    added = driftmine("ingest", log, *DATE, "--home", home, "--json").json()
    assert (added["conversations"], added["suppressed"]) == (3, 3)
    assert holding(home, "ann") == []


def test_a_mining_at_work_publishes_nothing_and_leaves_nothing(
    driftmine: Callable, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path / "b.jsonl", *USERS, start=10)
    assert driftmine("ingest", log, *DATE, "--home", home).exit_code == 0
    real = Handoff.complete

    def late(self: Handoff, shards: Any) -> Any:
        monkeypatch.undo()
        with pytest.raises(Exception, match="erase again"):
            erase_beside(home)
        return real(self, shards)

    monkeypatch.setattr(Handoff, "complete", late)
    refused = driftmine("mine", "--home", home, "--json")
    assert (refused.exit_code, refused.json()["error"]) == (1, "CommitConflict")
    assert holding(home, "ann") == []
    (night,) = driftmine("mine", "--home", home, "--json").json()["dates"]
    assert (night["published"], night["dsat"]) == (True, 6)
    assert holding(home, "ann") == []


def erase_beside(home: Path) -> None:
    catalog = Catalog.open(home / "warehouse")
    try:
        now = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
        work.erase(Home(home), catalog, [key_of(home)], now)
    finally:
        catalog.close()


def test_an_erasure_beside_a_trainer_is_not_finished(driftmine: Callable, home: Path) -> None:
    words = ("erase", "--user", "ann-4711", "--home", home, "--json")
    killed, busy = Work(home / "models"), Work(home / "models")
    for each in (killed, busy):
        each.samples.write_text("an answer to ann")
    killed.close()
    refused = driftmine(*words)
    assert (refused.exit_code, refused.json()["error"]) == (1, "ErasureUnfinished")
    assert "a training run is at work" in refused.json()["message"]
    assert "rows removed" in refused.stderr, "all else is gone, and said to be"
    assert holding(home, "ann") == [f"models/work/{busy.samples.name}"]
    busy.close()
    assert driftmine(*words).json()["unfinished"] == 1
    assert holding(home, "ann") == []


def test_what_a_killed_run_left_behind_goes(
    driftmine: Callable, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path / "b.jsonl", *USERS, start=10)
    with monkeypatch.context() as patch:
        patch.setattr(job, "settle", lambda scene: (_ for _ in ()).throw(KeyboardInterrupt))
        assert driftmine("ingest", log, *DATE, "--home", home).exit_code != 0
    staged = [path for path in holding(home, "ann-1") if "data/" in path]
    assert staged, "it had read the log"
    assert driftmine("erase", "--user", "ann-4711", "--home", home).exit_code == 0
    assert holding(home, "ann") == []
