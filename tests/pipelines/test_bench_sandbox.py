"""bench/sandbox.py and bench/off_request.py run, on one night of few users."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
pytest.importorskip("apache_beam")
pytest.importorskip("torch")

BENCH = Path(__file__).parents[2] / "bench"
SMALL = ("--nights", "1", "--users-per-night", "120", "--pairs", "40")
RUN = "sandbox/drift-users-120-pairs-40-seed7"


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def called(script: str, *words: str) -> list[list[str]]:
    command = [sys.executable, str(BENCH / script), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [cells(row) for row in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all: what is finished is not done again."""
    return tmp_path_factory.mktemp("bench")


# The first is that whose night is looked at once more below.
CASES = {
    "poison": "nobody hostile",
    "ablations": "perfect-detector",
    "methods": "iterdpo, reward model",
}


@pytest.mark.parametrize("what, case", CASES.items(), ids=CASES)
def test_a_row_a_case(what: str, case: str, home: Path) -> None:
    found = home / f"{what}.json"
    told = ("--only", case, "--seeds", "7", "--home", str(home), "--json", str(found))
    heads, _, row = called("sandbox.py", what, *told, *SMALL)
    assert len(heads) == len(row) and heads[:3] == ["run", "base", "night 1"]
    (run,) = json.loads(found.read_text())[case]
    (night,) = run["nights"]
    gain = night["true_reward"] - run["base_reward"]
    assert row[0] == case and row[3] == f"{gain:+.3f}"
    assert 24 <= night["pairs"] <= 40
    if case == "perfect-detector":
        assert night["detector_precision"] == night["detector_recall"] == 1


def test_what_a_limit_keeps_of_a_night(home: Path) -> None:
    """Of a run that is there already where the tests before left it, and else is made here."""
    called("sandbox.py", "poison", "--only", "nobody", "--seeds", "7", "--home", str(home), *SMALL)
    _, _, *rows = called("off_request.py", str(home / RUN))
    kept = [int(pairs) for _, pairs, *_ in rows]
    assert kept == sorted(kept) and kept[-1] == 40
    shares = [float(share) for _, _, *shares in rows for share in shares]
    assert all(0 <= share <= 1 for share in shares)
    assert all(float(both) <= min(float(w), float(r)) for _, _, _, w, r, both in rows)
