import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
SCRIPT = Path(__file__).parents[2] / "bench" / "redaction.py"

# Each id ends in the digit that says its half; the card fails Luhn, so it is missed on purpose.
CASES = [
    {"id": "r2", "class": "plain", "text": "é: jo@example.com!", "spans": [[3, 17, "EMAIL"]]},
    {"id": "r4", "class": "plain", "text": "4111 1111 1111 1112", "spans": [[0, 19, "CARD"]]},
    {"id": "r3", "class": "plain", "text": "jo@example.com", "spans": [[0, 4, "EMAIL"]]},
    {"id": "r11", "class": "hash", "text": "commit 3f786850e387550f", "spans": []},
    {"id": "r13", "class": "hash", "text": "by jo@example.com", "spans": []},
]  # fmt: skip


def printed(*arguments: Path | str) -> list[dict]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def run(*arguments: Path) -> dict[tuple[str, str], dict]:
    figures = printed(*arguments)
    return {(figure.pop("half", ""), figure.pop("figure")): figure for figure in figures}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "cases.jsonl"
    filled = (case | {"language": "en", "country": None} for case in CASES)
    path.write_text("".join(json.dumps(case) + "\n" for case in filled))
    return path


@pytest.fixture(scope="module")
def measured(cases):
    return run(cases)


def test_found_and_missed_spans_are_counted_by_kind(measured):
    recall = measured["development", "recall"]
    assert recall["EMAIL"] == [1.0, 0.207, 1, 1]  # Wilson's interval of 1 in 1
    assert recall["CARD"][::3] == [0.0, 1]
    assert recall["all"][::3] == [0.5, 2]


def test_a_span_that_says_too_much_is_found_and_wrong(measured):
    assert measured["held_out", "recall"]["EMAIL"][0] == 1.0
    assert measured["held_out", "precision"]["EMAIL"][::3] == [0.0, 2]


def test_look_alikes_are_counted_by_class(measured):
    assert measured["held_out", "look_alikes_altered"]["hash"][::3] == [0.5, 2]


def test_failures_are_shown_of_the_development_half_only(cases):
    shown = [line for line in printed(cases, "--failures") if line["figure"] == "failure"]
    assert shown == [
        {"figure": "failure", "id": "r4", "missed": ["CARD: 4111 1111 1111 1112"], "wrong": []}
    ]


def test_speed_is_measured(measured):
    assert all(rate > 0 for rate in measured["", "us_per_kb"].values())


def test_the_development_half_is_read_well():
    figures = run()
    assert figures["development", "precision"]["all"][0] >= 0.98
    assert figures["development", "recall"]["all"][0] >= 0.98
    assert figures["development", "look_alikes_altered"]["all"][0] <= 0.02
