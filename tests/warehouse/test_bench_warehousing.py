"""bench/warehousing.py runs, on a warehouse of a thousand turns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
pytest.importorskip("pyiceberg", reason="needs the extra `bench`")
pytest.importorskip("deltalake", reason="needs the extra `bench`")

SCRIPT = Path(__file__).parents[2] / "bench" / "warehousing.py"
SMALL = ("--turns", "1000", "--nights", "3", "--files", "2", "--many", "12", "--repeats", "1")


def has(found: dict, **wanted: object) -> None:
    assert found | wanted == found


MEASURES = {
    "publish": {"files": 6, "replaced": 6, "n": 1},
    "queries": {"n": 1},
    "many": {"files": 12},
    "acquire": {"n": 1},
    "erase": {},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all: the warehouse is made once."""
    return tmp_path_factory.mktemp("bench")


@pytest.mark.parametrize("measure", MEASURES)
def test_it_measures(measure: str, folder: Path) -> None:
    command = [sys.executable, str(SCRIPT), measure, *SMALL, "--folder", str(folder), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    has(found, **MEASURES[measure])
    spreads = [value for value in found.values() if isinstance(value, list)]
    assert all(least <= median <= most for median, least, most in spreads)
    assert spreads or "skipped" in found
