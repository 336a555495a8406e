"""`driftmine explain`, as a user runs it."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chat_server import say, serving
from warehouse.catalog import Catalog
from warehouse.leases import acquire, finish
from warehouse.manifest import ModelVersion
from warehouse.selection import Wanted

ESCAPES = "\x1b[2J\x1b]0;owned\x07 [bold red]no[/] \u202egnorw\r"
CHATS = {
    "canberra": ("capital of Australia?", "Sydney.", "No, that's wrong, it's Canberra"),
    "twice": ("when did it end?", "In 1947.", "are you sure?", "Yes.", "perfect, thanks!"),
    "shed": ("open my shed", "I'm sorry, but I can't help with that.", "it's my own shed!"),
    "silent": ("hi", "hello"),
    "steering": (f"q {ESCAPES}", f"a {ESCAPES}", f"that is wrong {ESCAPES}"),
}
HOUR = dt.timedelta(hours=1)


def log_of(folder: Path) -> Path:
    roles = ("user", "assistant")
    path = folder / "chats.jsonl"
    path.write_text("".join(
        json.dumps({"id": name, "messages": [
            {"role": roles[i % 2], "content": text} for i, text in enumerate(texts)
        ]}) + "\n"
        for name, texts in CHATS.items()
    ))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def home(driftmine: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("explain") / "home"
    driftmine("ingest", log_of(home.parent), "--home", home, "--log-date", "2026-11-20", "--quiet")
    assert driftmine("mine", "--home", home, "--quiet").exit_code == 0
    return home


@pytest.fixture(scope="module")
def ask(driftmine: Callable, home: Path) -> Callable:
    return lambda *words: driftmine("explain", *words, "--home", home)


def test_every_stage_is_shown(ask: Callable) -> None:
    shown = ask("canberra").stdout
    assert "[1] assistant: Sydney." in shown
    assert "«No, that»'s wrong, it's Canberra" in shown
    for words in ("contradicts_v1", "correction", "linear model", "the two together",
                  "encoder", "are certain", "at or above trainable", "trainable now",
                  "trained on", "default 2."):  # fmt: skip
        assert words in shown
    assert "NOT AS STORED" not in shown


def test_json_is_one_object_with_the_same(ask: Callable) -> None:
    found = ask("canberra", "--json").json()
    (one,) = found["follow_ups"]
    assert [turn["content"] for turn in found["turns"]] == list(CHATS["canberra"])
    assert one["signs"][0]["rule"] == "contradicts_v1"
    assert sum(one["linear"]["classes"].values()) == pytest.approx(1)
    assert (one["encoder"], one["not_asked"]) == (None, "certain")
    assert (one["signal"], one["trainable"], one["trained"]) == ("dsat", True, [])
    (stored,) = one["stored"]
    assert (stored["current"], stored["trainable"]) == (True, True)
    assert one["probability"] == pytest.approx(stored["probability"])
    assert stored["report_threshold"] == found["thresholds"]["report"]
    assert found["other_versions"] == []


def test_one_turn(ask: Callable) -> None:
    both = ask("twice", "--json").json()["follow_ups"]
    assert [found["turn_index"] for found in both] == [2, 4]
    assert ask("twice", "--turn", 4, "--json").json()["follow_ups"] == both[1:]
    done = ask("twice", "--turn", 1, "--json")
    assert done.exit_code == 2
    assert "Follow-ups of this conversation: 2, 4" in done.json()["message"]


def test_why_it_is_not_trained_on(ask: Callable) -> None:
    (one,) = ask("shed", "--json").json()["follow_ups"]
    assert (one["trainable"], one["untrainable_reason"]) == (False, "refusal_pushback")
    assert one["stored"][0]["untrainable_reason"] == "refusal_pushback"
    assert "no: refusal_pushback" in ask("shed").stdout


def test_a_conversation_without_a_follow_up(ask: Callable) -> None:
    assert "No follow-up" in ask("silent").stdout


def test_ids_may_be_shortened(ask: Callable) -> None:
    assert ask("canb", "--json").json()["conversation_id"] == "canberra"
    several = ask("s")
    assert several.exit_code == 2
    assert "'shed', 'silent', 'steering'" in several.stderr


@pytest.mark.parametrize("name", ["nobody", "", "%", "canberra' OR 1=1 --"])
def test_an_id_that_is_none(ask: Callable, name: str) -> None:
    done = ask(name, "--json")
    assert done.exit_code == 2
    assert "No conversation has that id" in done.json()["message"]


def test_what_users_wrote_can_do_nothing(ask: Callable) -> None:
    shown = ask("steering").stdout
    assert "[bold red]no[/]" in shown
    assert not set(shown) & {"\x1b", "\x07", "\r", "\u202e"}
    assert "\u202e" in ask("steering", "--json").json()["turns"][0]["content"], "as it is stored"


def test_what_a_turn_has_trained(
    driftmine: Callable, home: Path, ask: Callable, tmp_path: Path
) -> None:
    now = dt.datetime.now(dt.UTC)
    catalog = Catalog.open(home / "warehouse")
    lease = acquire(
        catalog, Wanted(turns=9), stream="default", holdout=0, ttl=HOUR, now=now, seed=0
    )
    (one,) = ask("canberra", "--json").json()["follow_ups"]
    assert one["leased"] == "default-000001"
    model = ModelVersion(
        version="v1", parent="base", batch_id=lease.batch_id, created_at=now, promoted=True,
        manifest_sha256="",
    )  # fmt: skip
    finish(catalog, lease, model, now)
    catalog.close()
    (one,) = ask("canberra", "--json").json()["follow_ups"]
    assert one["leased"] is None
    (trained,) = one["trained"]
    assert (trained["batch_id"], trained["model_version"]) == ("default-000001", "v1")
    assert (trained["parent"], trained["promoted"], trained["later"]) == ("base", True, [])
    assert "batch default-000001 made v1 (promoted), from base" in ask("canberra").stdout


def test_another_version_than_the_stored_one_is_said(
    driftmine: Callable, ask: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from mining.detector import MODELS

    other = tmp_path / "other"
    shutil.copytree(MODELS / "default", other)
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps(card | {"name": "other"}))
    monkeypatch.setenv("DRIFTMINE_MINING__DETECTOR", str(other))
    found = ask("canberra", "--json").json()
    assert (found["detector"], found["other_versions"]) == ("other", [f"default@{card['version']}"])
    assert "NOT AS STORED" in ask("canberra").stdout


THRESHOLDS = {"as they were": (None, True), "moved since": ("0.999999", False)}


@pytest.mark.parametrize("report, as_stored", THRESHOLDS.values(), ids=THRESHOLDS)
def test_a_signal_that_is_not_the_stored_one_is_said(
    ask: Callable, monkeypatch: pytest.MonkeyPatch, report: str | None, as_stored: bool
) -> None:
    if report is not None:
        monkeypatch.setenv("DRIFTMINE_MINING__THRESHOLD", report)
    found = ask("canberra", "--json").json()
    (one,) = found["follow_ups"]
    assert (found["other_versions"], one["as_stored"], one["judged"]) == ([], as_stored, False)
    assert ("NOT AS STORED" in ask("canberra").stdout) is not as_stored


def test_a_judge_is_not_asked_and_its_stored_word_is_said(
    driftmine: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr("training.tiny.make", lambda folder, seed: folder.mkdir())
    driftmine("init", "--home", home)
    log = log_of(tmp_path)
    with serving(say('{"category": "complaint", "confidence": 1.0}')) as server:
        (home / "driftmine.toml").write_text(
            f'[mining.judge]\nbase_url = "{server.url}"\nmodel = "m"\nlow = 0.0\nhigh = 1.0\n'
        )
        driftmine("ingest", log, "--home", home, "--log-date", "2026-11-20", "--quiet")
        assert driftmine("mine", "--home", home, "--quiet").exit_code == 0
        asked = len(server.seen)
        found = driftmine("explain", "twice", "--home", home, "--json").json()
        shown = driftmine("explain", "twice", "--home", home).stdout
        assert asked and len(server.seen) == asked
    assert found["other_versions"] == []
    assert {(one["as_stored"], one["judged"]) for one in found["follow_ups"]} == {(False, True)}
    assert "[2] NOT AS STORED" in shown
    assert "no judge is asked here" in shown


def test_the_command_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()
    for words in ("driftmine explain CONVERSATION_ID", "--turn N", "--json"):
        assert words in text
