"""What deploy/ tells a scheduler to run is what the program understands."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driftmine.cli import app

DEPLOY = Path(__file__).parents[2] / "deploy"
# From the program's name to a redirection, the end of a Python string, or the end of the line.
LINE = re.compile(r'\bdriftmine [a-z]+ .*?--json.*?(?= >>|",?$|$)', re.MULTILINE)
# Shell, crontab and template expansions stand for a word that the program gets.
EXPANSION = re.compile(r"\$\(.*?\)|\$\w+|\{\w+\}")

FILES = ("crontab", "cronjob.yaml", "airflow_dag.py")
COMMANDS = [
    shlex.split(EXPANSION.sub("2026-11-01", line))[1:]
    for name in FILES
    for line in LINE.findall((DEPLOY / name).read_text("utf-8"))
]


def understood(command: list[str]) -> bool:
    """Whether the program knows the command and every option; `--help` keeps it from running."""
    return CliRunner().invoke(app, [*command, "--help"]).exit_code == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_program_understands(command: list[str]) -> None:
    assert understood(command)


def test_every_command_line_was_found() -> None:
    stages = [command[0] for command in COMMANDS]
    assert stages == ["nightly", "maintain", "ingest", "mine", "train", "ingest", "mine", "train"]


@pytest.mark.parametrize("command", [["train", "--forever"], ["dig"]], ids=" ".join)
def test_an_unknown_word_is_refused(command: list[str]) -> None:
    assert not understood(command)
