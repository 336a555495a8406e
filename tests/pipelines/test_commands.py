"""Every command on a home that has seen a night, as people and programs call it."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from filelock import FileLock, Timeout

from tests.training.registering import register
from training import prune, registry


@pytest.fixture(scope="module")
def night(
    driftmine: Callable,
    examples: str,
    small_updates: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict:
    """The report of a night, with its home under "home"."""
    home = tmp_path_factory.mktemp("commands") / "home"
    words = ("--logs", examples, "--log-date", "2026-11-01", "--home", home, "--json", "--quiet")
    return driftmine("nightly", *words).json() | {"home": home}


def test_init_makes_a_home_and_then_nothing(
    driftmine: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The policy itself, which takes seconds, is trained by others that begin with `init`.
    monkeypatch.setattr("training.tiny.make", lambda folder, seed: folder.mkdir())
    first = driftmine("init", "--home", tmp_path / "home", "--json").json()
    assert first["made"] == ["driftmine.toml", "warehouse/", "user.key", "policy/"]
    assert driftmine("init", "--home", tmp_path / "home", "--json").json()["made"] == []
    assert "all was there" in driftmine("init", "--home", tmp_path / "home").stdout


def test_status(driftmine: Callable, night: dict) -> None:
    found = driftmine("status", "--home", night["home"], "--json").json()
    assert (found["turns"], found["rejects"]) == (night["turns"], night["rejected"])
    assert found["signals"] == night["follow_ups"]
    assert found["dates_to_mine"] == 0
    assert found["versions"] == 1
    assert "fresh_trainable_turns" in driftmine("status", "--home", night["home"]).stdout


def test_sql_shapes(driftmine: Callable, night: dict, tmp_path: Path) -> None:
    query = "SELECT role, count(*) AS n FROM turns GROUP BY role ORDER BY role"
    ask = ("sql", query, "--home", night["home"])
    rows = driftmine(*ask, "--json").json()["rows"]
    assert [row["role"] for row in rows] == ["assistant", "system", "user"]
    assert sum(row["n"] for row in rows) == night["turns"]
    table = list(csv.DictReader(io.StringIO(driftmine(*ask, "--format", "csv").stdout)))
    assert [(row["role"], int(row["n"])) for row in table] == [(r["role"], r["n"]) for r in rows]
    assert "assistant" in driftmine(*ask).stdout
    refused = driftmine(*ask, "--format", "xml")
    assert refused.exit_code == 2
    assert "known: table, csv, json, parquet" in refused.stderr


def test_sql_as_of_an_earlier_commit(driftmine: Callable, night: dict) -> None:
    def ask(*words: str) -> list:
        query = "SELECT (SELECT count(*) FROM turns), (SELECT count(*) FROM signals), commit_id "
        done = driftmine(
            "sql", query + "FROM warehouse_info", "--home", night["home"], "--json", *words
        )
        return [list(row.values()) for row in done.json()["rows"]]

    assert ask("--as-of", "1") == [[night["turns"], 0, 1]], "before it was mined"
    assert ask("--as-of", "2") == [[night["turns"], 0, 2]], "its detector is promoted"
    assert ask("--as-of", "3") == [[night["turns"], night["follow_ups"], 3]]
    assert ask("--as-of", "2999-12-31") == ask()


AS_OF = {
    "no such commit": ("999", "SnapshotGone", "no commit 999; the newest is"),
    "before the first": ("1999-12-31", "SnapshotGone", "nothing was published by 1999-12-31"),
    "neither": ("last week", "SettingsError", "neither a commit nor a time"),
}


@pytest.mark.parametrize("said, error, words", AS_OF.values(), ids=AS_OF)
def test_a_state_that_there_never_was(driftmine, night, said, error, words) -> None:
    done = driftmine("sql", "FROM runs", "--as-of", said, "--home", night["home"], "--json")
    assert (done.exit_code, done.json()["error"]) == (2, error)
    assert words in done.json()["message"]


def test_a_data_file_that_is_lost_is_said(driftmine: Callable, tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "a.jsonl"
    log.write_text(json.dumps({"id": 1, "messages": [{"role": "user", "content": "hi"}]}) + "\n")
    assert driftmine("ingest", log, "--home", home).exit_code == 0
    (file,) = (home / "warehouse" / "data" / "turns").rglob("*.parquet")
    file.rename(tmp_path / "elsewhere.parquet")
    done = driftmine("sql", "FROM turns", "--home", home, "--json")
    assert (done.exit_code, done.json()["error"]) == (1, "SourceUnavailable")
    assert file.name in done.json()["message"]


def test_sql_parquet_is_a_file(driftmine: Callable, night: dict, tmp_path: Path) -> None:
    done = driftmine(
        "sql", "SELECT turn_id FROM turns", "--home", night["home"], "--format", "parquet"
    )
    out = tmp_path / "turns.parquet"
    out.write_bytes(done.stdout_bytes)
    assert pq.read_table(out).num_rows == night["turns"]


def test_report(driftmine: Callable, night: dict, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = driftmine("report", "--home", night["home"], "--out", out, "--json")
    assert done.json() == {"page": str(out)}
    assert "Dissatisfaction by model" in out.read_text()
    default = driftmine("report", "--home", night["home"], "--json").json()["page"]
    assert Path(default).name == "report.html"


def test_who_opts_out_later_is_not_trained_on(driftmine: Callable, tmp_path: Path) -> None:
    """With no new log to read: the list alone has changed."""
    home, log = tmp_path / "home", tmp_path / "a.jsonl"
    asked = ("capital of Australia?", "Sydney.", "No, that's wrong, it's Canberra")
    roles = ("user", "assistant", "user")
    messages = [{"role": r, "content": t} for r, t in zip(roles, asked, strict=True)]
    chats = [{"id": i, "user": "ann", "messages": messages} for i in range(5)]
    log.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    assert driftmine("ingest", log, "--home", home).exit_code == 0
    assert driftmine("mine", "--home", home).exit_code == 0
    waiting = ("train", "--dry-run", "--home", home, "--json")
    assert driftmine(*waiting).json()["fresh_trainable_turns"] > 0
    settings = home / "driftmine.toml"
    settings.write_text(settings.read_text().replace('users = ""', 'users = "out.txt"'))
    (home / "out.txt").write_text("ann\n")
    assert driftmine(*waiting).json()["fresh_trainable_turns"] == 0
    assert driftmine("mine", "--home", home, "--json").json()["dates"][0]["trainable"] == 0
    (home / "out.txt").unlink()
    refused = driftmine(*waiting)
    assert (refused.exit_code, "out.txt cannot be read" in refused.stderr) == (2, True)


def test_mining_again_finds_nothing_to_do(driftmine: Callable, night: dict) -> None:
    (report,) = driftmine("mine", "--home", night["home"], "--json").json()["dates"]
    assert report["published"] is False
    assert report["dsat"] == night["dsat"]
    later = driftmine("mine", "--from", "2026-11-02", "--home", night["home"], "--json")
    assert later.json() == {"dates": []}


def test_a_dry_run_leases_nothing(driftmine: Callable, night: dict) -> None:
    words = ("train", "--dry-run", "--home", night["home"], "--json")
    first = driftmine(*words).json()
    batch = first["batch"]
    assert (first["batch_size"], batch["is_enough"], len(batch["turns"])) == (12, True, 12)
    assert sum(batch["categories"].values()) == sum(batch["nights"].values()) == 12
    assert driftmine(*words).json() == first
    few = driftmine(*words, "--max-turns", "3").json()["batch"]
    assert few["turns"] == batch["turns"][:3] and few["left_out"]["max_turns"] > 0
    shown = driftmine(*words[:-1]).stdout
    assert "The next batch" in shown and "category" in shown and "Fresh turns left out" in shown


def test_train_and_the_registry(driftmine: Callable, night: dict, tmp_path: Path) -> None:
    home = ("--home", night["home"], "--json")
    trained = driftmine("train", "--max-turns", "8", *home)
    assert trained.exit_code == (0 if trained.json()["promoted"] else 3)
    version = trained.json()["version"]
    listed = driftmine("models", "list", *home).json()
    assert [manifest["version"] for manifest in listed["versions"]][0] == version
    assert driftmine("models", "show", "candidate", *home).json()["version"] == version
    assert version in driftmine("models", "list", "--home", night["home"]).stdout
    assert "Gate" in driftmine("models", "show", version, "--home", night["home"]).stdout
    shown = driftmine("models", "show", version, *home).json()
    assert shown["damage"] == [] and shown["pruned"] is False
    assert shown["lineage"][-1]["version"] == shown["base"]
    assert len(shown["turns"]) == 8 and shown["changed_settings"]["max_turns"] == 8
    assert all(turn["conversation_id"] and turn["category"] for turn in shown["turns"])
    assert {turn["log_date"] for turn in shown["turns"]} == {night["log_date"]}
    target = str(tmp_path / "published")
    published = driftmine("models", "publish", version, target, "--held", *home).json()
    assert published["version"] == version and published["turns"] == 8
    assert driftmine("models", "prune", "--keep", "1", *home).json()["removed"] == []
    serving = driftmine("sampler", "serve-vllm", version, "--port", "8123", *home).json()
    assert serving["serve"][-1] and version in serving["serve"]
    assert serving["install"][0][:3] == ["python3", "-m", "venv"]
    assert serving["settings"]["endpoint"]["base_url"] == "http://127.0.0.1:8123/v1"
    assert driftmine("sampler", "serve-vllm", "v9999-00000000", *home).exit_code == 2
    page = driftmine("sampler", "serve-vllm", version, "--home", night["home"]).stdout
    assert f"--served-model-name {version} --host 127.0.0.1 --port 8000" in page
    unknown = driftmine("models", "show", "v9999-00000000", *home)
    assert unknown.exit_code == 2
    assert "models list" in unknown.json()["message"]


def test_nothing_is_promoted_while_versions_are_pruned(
    driftmine: Callable, night: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shutil.copytree(night["home"], tmp_path / "home", symlinks=True)
    plan, held = prune.plan, []

    def planned(models: Path, **words: Any) -> prune.Plan:
        with pytest.raises(Timeout):
            FileLock(models / "registry.lock").acquire(blocking=False)
        held.append(models)
        return plan(models, **words)

    monkeypatch.setattr(prune, "plan", planned)
    assert driftmine("models", "prune", "--keep", "1", "--home", home).exit_code == 0
    assert held == [home / "models"]


def test_a_version_that_was_pruned_is_listed_and_shown_as_such(
    driftmine: Callable, night: dict, tmp_path: Path
) -> None:
    home = ("--home", shutil.copytree(night["home"], tmp_path / "home", symlinks=True))
    models = tmp_path / "home" / "models"
    version, newer = registry.versions(models)[0], register(models, "default-000099")
    for alias in ("champion", "candidate"):
        registry.set_alias(models, alias, newer)
    (models / "history.jsonl").unlink(missing_ok=True)
    words = ("models", "prune", "--keep", "1", *home, "--json")
    would = driftmine(*words, "--dry-run").json()
    assert version in would["removed"] and version in registry.versions(models)
    assert driftmine(*words).json() == would | {"dry_run": False}
    listed = driftmine("models", "list", *home, "--json").json()
    assert {row["version"]: row["state"] for row in listed["pruned"]}[version] == "pruned"
    shown = driftmine("models", "show", version, *home, "--json").json()
    assert shown["pruned"] and shown["pruned_at"] and shown["turns"][0]["conversation_id"]
    page = driftmine("models", "show", version, *home).stdout
    assert "PRUNED" in page and "given up" in page
    assert "pruned" in driftmine("models", "list", *home).stdout
    refused = driftmine("models", "promote", version, *home)
    assert refused.exit_code == 2 and "given up" in refused.stderr


def test_unknown_method_is_refused(driftmine: Callable, night: dict) -> None:
    done = driftmine("train", "--method", "ppo", "--home", night["home"], "--json")
    assert done.exit_code == 2
    assert "known: drift" in done.json()["message"]


def test_a_detector_of_ones_own(driftmine: Callable, night: dict, tmp_path: Path) -> None:
    data = Path(__file__).parents[2] / "mining" / "data" / "dsat-authored.jsonl"
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(data.read_text().splitlines(keepends=True)[:400]))
    folder, scores = tmp_path / "ours", tmp_path / "scores.jsonl"
    card = driftmine("detector", "train", labels, "--out", folder, "--json").json()
    assert card["rows"] == 400
    words = ("--detector", folder, "--scores", scores)
    found = driftmine("detector", "evaluate", labels, *words, "--json").json()
    assert {"n", "precision", "recall", "f1", "roc_auc", "ece"} <= found.keys()
    assert 0 <= found["f1"] <= 1
    assert len([json.loads(line) for line in scores.read_text().splitlines()]) == 400
    assert "roc_auc" in driftmine("detector", "evaluate", labels, *words).stdout

    words = ("mine", "--home", night["home"], "--json")
    (ours,) = driftmine(*words, "--detector", folder).json()["dates"]
    assert (ours["detector"], ours["published"]) == ("ours", True)
    assert ours["shown"].startswith("default@"), "it stands beside"
    (back,) = driftmine(*words).json()["dates"]
    assert (back["detector"], back["published"]) == ("default", False)


def test_a_folder_that_is_no_detector_is_refused(driftmine: Callable, night: dict) -> None:
    done = driftmine("mine", "--detector", night["home"], "--home", night["home"], "--json")
    assert done.exit_code == 2
    assert "detector train" in done.json()["message"]


def test_the_night_as_iceberg_tables(driftmine: Callable, night: dict, tmp_path: Path) -> None:
    pytest.importorskip("pyiceberg", reason="needs the extra `iceberg`")
    from warehouse.iceberg import sql_catalog

    words = ("warehouse", "export-iceberg", "--home", night["home"], "--out", tmp_path / "lake")
    tables = {table["table"]: table for table in driftmine(*words, "--json").json()["tables"]}
    assert tables["driftmine.rejects"]["rows"] == night["rejected"]
    again = driftmine(*words)
    assert again.exit_code == 0
    assert "driftmine.turns" in again.stdout
    lake = sql_catalog(tmp_path / "lake")
    assert lake.load_table("driftmine.turns").scan().count() == tables["driftmine.turns"]["rows"]
    lake.close()
