"""`driftmine detector promote`, as a user runs it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mining.card import read_card
from mining.detector import MODELS

VERSION = read_card(MODELS / "default").version
DEFAULT, OTHER = f"default@{VERSION}", f"other@{VERSION}"
NIGHT = "2026-11-20"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The default by another name."""
    folder = tmp_path / "other"
    shutil.copytree(MODELS / "default", folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"name": "other"}))
    return folder


@pytest.fixture
def at_home(driftmine: Callable, tmp_path: Path) -> Callable:
    """A home whose only night is ingested."""
    texts = ("capital of Australia?", "Sydney.", "No, that's wrong, it's Canberra")
    messages = [
        {"role": role, "content": text}
        for role, text in zip(("user", "assistant", "user"), texts, strict=True)
    ]
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"id": "c", "messages": messages}) + "\n")
    home = tmp_path / "home"
    driftmine("ingest", log, "--log-date", NIGHT, "--home", home, "--quiet")
    return lambda *words: driftmine(*words, "--home", home)


def shown(at_home: Callable) -> list[str]:
    query = "SELECT detector || '@' || detector_version AS by FROM signals JOIN dsat_turns USING "
    query += "(turn_id, detector, detector_version)"
    return [row["by"] for row in at_home("sql", query, "--format", "json").json()["rows"]]


def test_beside_then_promoted_then_back(at_home: Callable, other: Path) -> None:
    (first,) = at_home("mine", "--json").json()["dates"]
    assert (first["published"], first["shown"]) == (True, DEFAULT)
    due = at_home("backfill", "--stage", "mine", "--from", NIGHT, "--to", "2026-11-21",
                  "--detector", other, "--dry-run", "--json").json()  # fmt: skip
    assert due["dates"][0]["why"] == {f"{OTHER} beside {DEFAULT}": 1}
    done = at_home("mine", "--detector", other, "--json")
    assert done.json()["dates"][0]["shown"] == DEFAULT
    assert f"driftmine detector promote {OTHER}" in done.stderr
    assert shown(at_home) == [DEFAULT]
    assert at_home("mine", "--json").json()["dates"][0]["published"] is False

    promoted = at_home("detector", "promote", OTHER, "--json").json()
    assert (promoted["changed_nights"], promoted["other_nights"]) == (1, {})
    assert shown(at_home) == [OTHER]
    assert "it was promoted last already" in at_home("detector", "promote", OTHER).stdout
    assert at_home("detector", "promote", DEFAULT).exit_code == 0
    assert shown(at_home) == [DEFAULT]


def test_an_experiment_before_the_first_mining_is_not_promoted_by_being_first(
    at_home: Callable, other: Path
) -> None:
    assert at_home("mine", "--detector", other, "--json").json()["dates"][0]["shown"] == OTHER
    at_home("mine", "--quiet")
    assert shown(at_home) == [DEFAULT]


def test_the_nightly_run_says_where_its_detector_is_not_the_promoted_one(
    at_home: Callable, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTMINE_TRAINING__MIN_TURNS", "99")
    words = ("nightly", "--logs", tmp_path / "log.jsonl", "--log-date", NIGHT)
    first = at_home(*words, "--json").json()
    assert (first["not_shown"], first["nothing_to_do"]) == ("", False)
    assert at_home(*words, "--json").json()["nothing_to_do"] is True
    at_home("mine", "--detector", other, "--quiet")
    at_home("detector", "promote", OTHER)
    late = (tmp_path / "log.jsonl").read_text().replace('"c"', '"d"').replace("Sydney", "Perth")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(late)
    report = at_home(*words, "--json").json()
    assert f"show the verdicts of {OTHER}" in report["not_shown"]
    assert at_home(*words, "--json").json()["nothing_to_do"] is True
    assert shown(at_home) == [OTHER]


def test_what_has_mined_nothing(at_home: Callable) -> None:
    at_home("mine", "--quiet")
    done = at_home("detector", "promote", OTHER, "--json")
    assert done.exit_code == 2
    assert f"Known: {DEFAULT}" in done.json()["message"]


def test_the_command_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()
    assert "driftmine detector promote" in text
