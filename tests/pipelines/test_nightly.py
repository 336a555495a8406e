"""The main path, end to end, on the example logs that the project ships."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from driftmine import nightly
from driftmine.session import Session
from training import registry
from warehouse.catalog import Catalog
from warehouse.errors import TrainingFailed
from warehouse.leases import acquire
from warehouse.selection import Wanted

pytestmark = pytest.mark.usefixtures("small_updates")

KEYS = {
    "lines_in", "rejected", "duplicates", "suppressed", "conversations", "turns", "follow_ups",
    "dsat", "dsat_by_category", "dsat_by_model", "batch_size", "pairs", "model_version",
    "promoted", "seconds",
}  # fmt: skip


def test_a_night_from_an_empty_home_and_again(
    driftmine: Callable, examples: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    command = ("nightly", "--logs", examples, "--log-date", "2026-11-01", "--home", home)

    first = driftmine(*command, "--json")
    night = first.json()
    assert night.keys() >= KEYS
    assert first.exit_code == (0 if night["promoted"] else 3)
    kept = ("conversations", "rejected", "duplicates", "suppressed")
    assert night["lines_in"] == sum(night[name] for name in kept)
    assert (night["rejected"], night["duplicates"]) == (2, 1)  # planted: examples/README.md
    assert night["rejected_by_reason"] == {"invalid_json": 1, "no_user_turn": 1}
    assert night["dsat"] == sum(night["dsat_by_category"].values()) > 20
    assert night["dsat"] == sum(model["dsat"] for model in night["dsat_by_model"].values())
    assert 4 <= night["pairs"] <= night["batch_size"] <= 12
    assert night["seconds"].keys() == {"ingest", "mine", "train", "report", "total"}
    assert not night["nothing_to_do"]

    rows = driftmine(
        "sql", "--home", home, "--json",
        "SELECT (SELECT count(*) FROM turns) AS turns, (SELECT count(*) FROM rejects) AS rejects,"
        " (SELECT count(*) FROM dsat_turns) AS dsat, (SELECT sum(dsat) FROM dsat_rate_daily) AS s",
    ).json()["rows"]  # fmt: skip
    assert rows == [
        {"turns": night["turns"], "rejects": 2, "dsat": night["dsat"], "s": night["dsat"]}
    ]

    manifest = driftmine("models", "show", night["model_version"], "--home", home, "--json").json()
    assert len(manifest["turn_ids"]) == night["batch_size"]
    assert manifest["settings"].keys() >= {"method", "gate"}
    assert "judge" not in manifest["settings"], "its address may hold a password"
    page = Path(night["page"]).read_text()
    assert night["model_version"] in page

    before = sorted(path.name for path in (home / "warehouse" / "data").rglob("*.parquet"))
    again = driftmine(*command, "--json")
    assert again.exit_code == 0
    assert again.json()["nothing_to_do"] is True
    assert again.json()["lines_in"] == again.json()["batch_size"] == 0
    assert sorted(p.name for p in (home / "warehouse" / "data").rglob("*.parquet")) == before
    assert "Nothing to do" in driftmine(*command).stdout

    late = driftmine("nightly", "--logs", examples, "--home", home, "--json")
    assert late.json()["nothing_to_do"] is True, "without a date, a file read before is not new"


def test_a_late_log_joins_its_night(driftmine: Callable, examples: str, tmp_path: Path) -> None:
    logs, home = tmp_path / "logs", tmp_path / "home"
    logs.mkdir()
    found = sorted(Path(examples).parent.glob("*.jsonl*"))
    command = ("ingest", logs, "--log-date", "2026-11-01", "--home", home, "--json")

    shutil.copy(found[0], logs)
    first = driftmine(*command).json()
    for log in found[1:]:
        shutil.copy(log, logs)
    second = driftmine(*command).json()
    taken = [len(report["dates"][0]["new_files"]) for report in (first, second)]
    assert taken == [1, len(found) - 1]

    query = "SELECT count(DISTINCT conversation_id) AS n FROM turns"
    rows = driftmine("sql", query, "--home", home, "--json").json()["rows"]
    assert rows == [{"n": first["conversations"] + second["conversations"]}]


def chat(name: str, *texts: str) -> str:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return json.dumps({"id": name, "messages": messages}) + "\n"


def test_a_log_that_grew_is_read_into_the_date_that_it_stands_in(
    driftmine: Callable, tmp_path: Path
) -> None:
    log, home = tmp_path / "log.jsonl", tmp_path / "home"
    log.write_text(chat("1", "hi", "hello"))
    first = ("nightly", "--logs", log, "--home", home, "--json", "--log-date", "2026-11-01")
    assert driftmine(*first).json()["conversations"] == 1
    log.write_text(chat("1", "hi", "hello") + chat("2", "a", "b", "No, that's wrong."))
    grown = driftmine(*first[:-2]).json()
    assert (grown["lines_in"], grown["conversations"], grown["follow_ups"]) == (2, 2, 1)
    query = "SELECT log_date::VARCHAR AS day, count(*) AS n FROM turns GROUP BY 1"
    rows = driftmine("sql", query, "--home", home, "--json").json()["rows"]
    assert rows == [{"day": "2026-11-01", "n": 5}]


def test_logs_over_the_quality_limit_do_not_stop_the_night(
    driftmine: Callable, tmp_path: Path
) -> None:
    good, bad, home = tmp_path / "good.jsonl", tmp_path / "bad.jsonl", tmp_path / "home"
    good.write_text(chat("1", "a", "b", "No, that's wrong."))
    bad.write_text("nothing\nthat\nanyone knows\n")
    assert driftmine("ingest", good, "--home", home, "--log-date", "2026-11-01").exit_code == 0
    words = ("nightly", "--logs", bad, "--home", home, "--log-date", "2026-11-02")
    night = driftmine(*words, "--json")
    assert night.exit_code == 3
    assert "3 of 3 lines were rejected" in night.json()["held_logs"]
    assert night.json()["follow_ups"] == 1, "what was ingested before is mined all the same"
    assert "NOT INGESTED" in driftmine(*words).stdout


def test_a_night_that_was_killed_ends_as_if_it_had_not_been(
    driftmine: Callable, examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MIN_TURNS", "MAX_TURNS"):  # no update
        monkeypatch.setenv(f"DRIFTMINE_TRAINING__{name}", "1000000")

    def start(name: str) -> Any:
        words = ("--logs", examples, "--log-date", "2026-11-01", "--home", tmp_path / name)
        return driftmine("nightly", *words, "--json")

    def run(name: str) -> dict:
        night = start(name).json()
        return {k: v for k, v in night.items() if k not in ("seconds", "peak_memory_mb", "page")}

    undisturbed = run("whole")
    for stage in ("mine", "_train", "write_page"):
        with monkeypatch.context() as killed:
            killed.setattr(f"driftmine.nightly.{stage}", _die)
            assert start(stage).exit_code == 130
        assert run(stage) == undisturbed
        assert (tmp_path / stage / "reports" / "2026-11-01.html").exists()


def _die(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.chaos
def test_a_night_that_was_killed_once_its_version_counted_tells_of_it(
    driftmine: Callable, examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turns are used, so no other update is due: the version must not wait for the next."""
    words = ("nightly", "--logs", examples, "--log-date", "2026-11-01", "--home", tmp_path)
    with monkeypatch.context() as killed:
        killed.setattr(registry, "reveal", _die)
        assert driftmine(*words).exit_code == 130
    assert registry.versions(tmp_path / "models") == []
    done = driftmine(*words, "--json")
    night = done.json()
    (version,) = registry.versions(tmp_path / "models")
    assert (night["model_version"], night["completed"]) == (version, [version])
    assert 4 <= night["pairs"] <= night["batch_size"] <= 12
    assert done.exit_code == (0 if night["promoted"] else 3)
    assert registry.current(tmp_path / "models", "candidate") == version
    assert version in (tmp_path / "reports" / "2026-11-01.html").read_text()
    again = driftmine(*words, "--json")
    assert (again.exit_code, again.json()["completed"]) == (0, [])


def test_an_update_that_fails_costs_the_night_no_page(
    driftmine: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TrainingFailed("no memory")

    log = tmp_path / "log.jsonl"
    log.write_text(chat("1", "a", "b", "No, that's wrong."))
    words = ("nightly", "--logs", log, "--home", tmp_path, "--log-date", "2026-11-01", "--json")
    monkeypatch.setattr("driftmine.nightly._train", fail)
    done = driftmine(*words)
    assert (done.exit_code, done.json()["message"]) == (1, "no memory")
    page = " ".join((tmp_path / "reports" / "2026-11-01.html").read_text().split())
    assert "none: it failed: no memory" in page and "1 conversations" in page


def test_a_lease_that_ended_while_the_night_was_mined_holds_nothing(
    driftmine: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(chat("1", "The capital of Australia?", "Sydney.", "No, that's wrong."))
    mine, least = nightly._mine, dt.timedelta(milliseconds=1)

    def leased(session: Session, catalog: Catalog, *rest: Any) -> None:
        mine(session, catalog, *rest)
        lease = acquire(
            catalog, Wanted(turns=1), stream="default", holdout=0, ttl=least, now=session.now,
            seed=0,
        )  # fmt: skip
        assert lease is not None

    monkeypatch.setattr(nightly, "_mine", leased)
    monkeypatch.setenv("DRIFTMINE_TRAINING__HOLDOUT", "0")
    words = ("nightly", "--logs", log, "--home", tmp_path, "--log-date", "2026-11-01", "--json")
    assert driftmine(*words).json()["training"] == "1 fresh trainable turns, 4 needed"


def test_too_little_fresh_dsat_is_no_failure(driftmine: Callable, tmp_path: Path) -> None:
    log = tmp_path / "one.jsonl"
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    log.write_text(json.dumps({"messages": messages}) + "\n")
    done = driftmine("nightly", "--logs", log, "--home", tmp_path / "home", "--json")
    assert done.exit_code == 0
    assert done.json()["conversations"] == 1
    assert done.json()["model_version"] is None
    assert "0 fresh trainable turns, 4 needed" in done.json()["training"]


def test_no_logs_named_says_where_to_name_them(driftmine: Callable, tmp_path: Path) -> None:
    done = driftmine("nightly", "--home", tmp_path / "home", "--json")
    assert done.exit_code == 2
    assert "[nightly]" in done.json()["message"]
    assert not (tmp_path / "home").exists()


@pytest.mark.shared_data
def test_the_real_logs_lose_nothing(
    driftmine: Callable, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MIN_TURNS", "MAX_TURNS"):  # no update
        monkeypatch.setenv(f"DRIFTMINE_TRAINING__{name}", "1000000")
    logs = [
        shared_data / "recllmsim-rated-chats.jsonl.gz",
        shared_data / "hh-rlhf-multiturn.sharegpt.jsonl.gz",
    ]
    night = driftmine(
        "nightly", "--logs", *logs, "--log-date", "2026-11-01", "--home", tmp_path, "--json"
    ).json()
    assert night["lines_in"] == 758 + 822
    assert night["conversations"] + night["rejected"] + night["duplicates"] == 1580
    assert night["rejected"] == 0
    assert set(night["dsat_by_model"]) >= {"gpt-4-turbo-preview"}
