"""Running the program as a user does, without paying for a new process each time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from driftmine.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples" / "logs"


@dataclass(frozen=True)
class Done:
    """A finished command."""

    exit_code: int
    stdout_bytes: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode()

    def json(self) -> dict[str, Any]:
        lines = self.stdout.splitlines()
        assert len(lines) == 1, "--json writes one object on one line"
        return json.loads(lines[0])


@pytest.fixture(scope="session")
def driftmine() -> Callable[..., Done]:
    """driftmine("nightly", "--home", home) -> Done; a defect raises here, with its traceback."""

    def call(*words: object) -> Done:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout_bytes, result.stderr)

    return call


# Settings under which an update takes seconds.
SMALL = {
    "MIN_TURNS": 4, "MAX_TURNS": 12, "HOLDOUT": 0.2, "MAX_NEW_TOKENS": 12,
    "MAX_PROMPT_TOKENS": 96, "MAX_LENGTH": 128, "BATCH_SIZE": 4,
    "GATE__MAX_CUT_SHARE": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def small_updates() -> Iterator[None]:
    """Small settings, given by the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setenv(f"DRIFTMINE_TRAINING__{name}", str(value))
        yield


@pytest.fixture(scope="session")
def examples() -> str:
    """The shipped example logs, as a glob."""
    return str(EXAMPLES / "*.jsonl*")
