"""`driftmine detector compare`, as a user runs it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mining.card import read_card
from mining.detector import MODELS

DEFAULT = f"default@{read_card(MODELS / 'default').version}"
CHATS = {
    "canberra": ("capital of Australia?", "Sydney.", "No, that's wrong, it's Canberra"),
    "again": ("capital of Australia?", "Sydney.", "No, that's wrong, it's Canberra"),
    "sure": ("when did it end?", "In 1947.", "are you sure?", "Yes.", "perfect, thanks!"),
    "markup": ("q", "a \x9b2J", "no, that is wrong again [bold]\u202e"),
}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default, but for its name and for a threshold that little reaches."""
    folder = tmp_path_factory.mktemp("detectors") / "strict"
    shutil.copytree(MODELS / "default", folder)
    card = json.loads((folder / "card.json").read_text())
    card |= {"name": "strict", "thresholds": {"report": 0.999, "trainable": 1.0}}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def home(driftmine: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("compare") / "home"
    roles = ("user", "assistant")
    for day in (20, 21):
        path = home.parent / f"{day}.jsonl"
        path.write_text("".join(
            json.dumps({"id": f"{name}-{day}", "messages": [
                {"role": roles[i % 2], "content": f"{text}{' !' * (day - 20)}"}
                for i, text in enumerate(texts)
            ]}) + "\n"
            for name, texts in CHATS.items()
        ))  # fmt: skip
        driftmine("ingest", path, "--home", home, "--log-date", f"2026-11-{day}", "--quiet")
    mined = driftmine("mine", "--to", "2026-11-21", "--home", home, "--quiet")
    assert mined.exit_code == 0
    return home


@pytest.fixture(scope="module")
def ask(driftmine: Callable, home: Path) -> Callable:
    return lambda *words: driftmine("detector", "compare", *words, "--home", home)


def test_what_is_run_now_is_what_mining_stored(ask: Callable) -> None:
    found = ask("default", DEFAULT, "--json").json()
    assert (found["a"]["stored"], found["b"]["stored"]) == (False, True)
    assert (found["n"], found["only_in_a"], found["only_in_b"]) == (5, 5, 0)
    assert found["all"]["a"] == found["all"]["b"]
    assert found["all"]["a"]["trainable"] > 0
    assert found["agreement"]["value"] == 1
    assert found["only_a"] == found["only_b"] == []


def test_two_detectors_and_nothing_is_published(
    driftmine: Callable, ask: Callable, home: Path, other: Path
) -> None:
    query = "SELECT commit_id FROM warehouse_info"
    before = driftmine("sql", query, "--home", home, "--json").stdout
    found = ask("default", other, "--examples", 9, "--json").json()
    assert (found["n"], found["b"]["detector"]) == (10, "strict")
    assert found["dsat_rate_a"] > found["dsat_rate_b"]
    assert found["all"]["b"]["trainable"] == 0
    assert found["dsat_in_a"] == len(found["only_a"]) > 0
    assert found["only_b"] == []
    assert CHATS["canberra"][2] in {one["follow_up"] for one in found["only_a"]}
    assert driftmine("sql", query, "--home", home, "--json").stdout == before
    few = ask(other, "default", "--from", "2026-11-21", "--examples", 1, "--json").json()
    assert (few["nights"], few["n"], len(few["only_b"])) == (["2026-11-21"], 5, 1)
    assert few["dsat_in_b"] > 1
    shown = ask("default", other).stdout
    for words in (
        "DSAT by A alone",
        "kappa",
        "trainable",
        "run now",
        "follow-up: no, that is wrong",
    ):
        assert words in shown
    assert not set(shown) & {"\x1b", "\x9b", "\u202e"}


REFUSED = {
    "an unknown name": (("nobody", "default"), DEFAULT),
    "nights that one has not judged": ((DEFAULT, "default", "--from", "2026-11-21"), "in common"),
    "no night": (("default", "default", "--from", "2026-11-21", "--to", "2026-11-21"), "no date"),
}


@pytest.mark.parametrize("words, says", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_compared(ask: Callable, words: tuple, says: str) -> None:
    done = ask(*words, "--json")
    assert done.exit_code == 2
    assert says in done.json()["message"]


def test_the_command_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()
    for words in ("driftmine detector compare A B", "--from", "--to", "--examples", "dsat_in_a"):
        assert words in text
