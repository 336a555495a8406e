import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
SCRIPT = Path(__file__).parents[2] / "bench" / "ingest.py"


def run(*words: str):
    command = [sys.executable, str(SCRIPT), *words, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_both_engines_do_the_same_work(workers):
    found = run("cpu", "--conversations", "300", "--repeats", "1", "--workers", workers)
    assert found["lines"] > 300
    assert found["ratio_cpu_s"][0] > 0


def test_every_line_of_a_damaged_log_comes_out():
    found = run("account", "--lines", "2000")
    assert found["found"] == found["expected"]
    assert found["balanced"]
    kinds = found["found"]["rejected"]
    assert sorted(kinds) == ["id_clash", "invalid_json", "invalid_utf8", "line_too_long",
                             "no_user_turn", "wrong_shape"]  # fmt: skip


def test_a_killed_ingestion_ends_as_if_it_had_not_been():
    found = run("kill", "--lines", "1000", "--kills", "1")
    assert (found["kills"], found["wrong"]) == (1, [])


def test_many_small_files_are_timed():
    found = run("files", "--files", "20")
    assert found["files"] == 20
    assert found["ms_per_file"] > 0


def test_memory_is_watched():
    found = run("memory", "--conversations", "200")
    assert all(peak > 50 for peak in found["peak_mib"])
