"""The command line, frozen: a change here is a change for every cron line out there."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from driftmine.cli import app

EVERYWHERE = {"--home", "--json", "--quiet"}
COMMANDS = {
    "init": set(),
    "ingest": {"LOGS", "--log-date", "--format", "--retry-rejects"},
    "mine": {"--from", "--to", "--detector"},
    "backfill": {"--stage", "--from", "--to", "--detector", "--dry-run"},
    "doctor": {"--rebuild-catalog"},
    "train": {"--policy", "--method", "--max-turns", "--dry-run", "--reuse"},
    "nightly": {"MORE", "--logs", "--log-date"},
    "sql": {"QUERY", "--format", "--as-of"},
    "explain": {"CONVERSATION", "--turn"},
    "report": {"--out"},
    "status": set(),
    "erase": {"--user", "--dry-run"},
    "maintain": {"--check", "--dry-run"},
    "models list": set(),
    "models show": {"VERSION"},
    "models promote": {"VERSION"},
    "models rollback": set(),
    "models prune": {"--keep", "--dry-run"},
    "models publish": {"VERSION", "TARGET", "--held", "--with-lineage", "--public"},
    "sampler serve-vllm": {"VERSION", "--port", "--gpus"},
    "sandbox": {
        "--nights",
        "--method",
        "--seeds",
        "--first-seed",
        "--users-per-night",
        "--pairs",
        "--noise",
        "--poison",
        "--lr",
        "--reward-noise",
        "--ablation",
        "--policy",
    },
    "detector evaluate": {"FILE", "--detector", "--scores", "--report"},
    "detector agree": {"A", "B"},
    "detector train": {
        "FILES",
        "--out",
        "--seed",
        "--encoder",
        "--epochs",
        "--learning-rate",
        "--layers",
        "--languages",
        "--kind",
        "--scores",
    },
    "detector label": {"FILE", "OUT", "--limit", "--uncertain"},
    "detector compare": {"A", "B", "--from", "--to", "--examples"},
    "detector promote": {"DETECTOR"},
    "warehouse export-iceberg": {"--catalog", "--catalog-uri", "--namespace", "--out"},
}


def words(command) -> set[str]:
    found = set()
    for param in command.params:
        found |= set(param.opts) if param.param_type_name == "option" else {param.name.upper()}
    return found - {"--help"}


def flat(group, prefix="") -> dict[str, set[str]]:
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= flat(command, f"{prefix}{name} ")
        else:
            found[prefix + name] = words(command)
    return found


def test_the_commands_and_their_options_are_these() -> None:
    expected = {name: options | EVERYWHERE for name, options in COMMANDS.items()}
    assert flat(typer.main.get_command(app)) == expected


def driftmine(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "driftmine", *args], capture_output=True, text=True, check=False
    )


def test_help_is_fast() -> None:
    """0.3 s is the promise. CPU time, and the least of five: a busy machine must not decide."""
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert driftmine("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.3


USAGE = {
    "no command": ((), "Usage"),
    "an unknown command": (("mien",), "mien"),
    "a date that is none": (("ingest", "x.jsonl", "--log-date", "yesterday"), "YYYY-MM-DD"),
    "logs without a name": (("ingest",), "LOGS"),
    "two Iceberg catalogs": (
        ("warehouse", "export-iceberg", "--catalog", "lake", "--out", "here"),
        "--catalog-uri",
    ),
}


@pytest.mark.parametrize("args, says", USAGE.values(), ids=USAGE)
def test_wrong_usage_is_exit_2(args: tuple[str, ...], says: str) -> None:
    done = driftmine(*args)
    assert done.returncode == 2
    assert says in done.stdout + done.stderr


def test_an_error_is_one_json_object_too(tmp_path: Path) -> None:
    done = driftmine("status", "--home", str(tmp_path / "none"), "--json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["error"] == "SettingsError"
    assert found["exit_code"] == 2
    assert "driftmine init" in found["message"]
