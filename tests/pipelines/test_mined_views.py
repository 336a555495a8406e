"""From conversations through mining to `sat_turns` and `revised_pairs`: what they mean."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ASKED, ANSWER, WRONG = "capital of Australia?", "Sydney.", "No, that's wrong"
BETTER, STILL, BEST = "Melbourne.", "No, that's still wrong", "Canberra."
THANKS, NEXT = "perfect, thanks!", "How many people live in Vienna?"
NIGHT, LATER = "2026-11-20", "2026-11-21"
CHATS = {
    "revised": (ASKED, ANSWER, WRONG, BEST, THANKS),
    "at the second attempt": (ASKED, ANSWER, WRONG, BETTER, STILL, BEST, THANKS),
    "twice": (ASKED, ANSWER, WRONG, BEST, THANKS, "Bonn.", WRONG, "Berlin.", THANKS),
    "something else in between": (ASKED, ANSWER, WRONG, BEST, NEXT, "Two million.", THANKS),
    "content at once": (ASKED, BEST, THANKS),
    "never content": (ASKED, ANSWER, WRONG, BEST),
    "content the next day": (ASKED, ANSWER, WRONG, BEST),
}


def roles(texts: tuple[str, ...]) -> list[str]:
    """Users begin; before an empty first text stands the system."""
    system = ["system"] if texts[0] == "" else []
    return (system + ["user", "assistant"] * len(texts))[: len(texts)]


def log(folder: Path, night: str, chats: dict[str, tuple[str, ...]]) -> Path:
    path = folder / f"{night}.jsonl"
    path.write_text("".join(
        json.dumps({"id": name, "messages": [
            {"role": role, "content": text} for role, text in zip(roles(texts), texts, strict=True)
        ]}) + "\n"
        for name, texts in chats.items()
    ))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def rows(driftmine: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable:
    folder = tmp_path_factory.mktemp("views")
    went_on = {"content the next day": (*CHATS["content the next day"], THANKS)}
    for night, chats in ((NIGHT, CHATS), (LATER, went_on)):
        path = log(folder, night, chats)
        words = ("--home", folder / "home", "--quiet")
        assert driftmine("ingest", path, "--log-date", night, *words).exit_code == 0
        assert driftmine("mine", *words).exit_code == 0

    def ask(query: str) -> list[dict]:
        done = driftmine("sql", query, "--home", folder / "home", "--format", "json")
        return done.json()["rows"]

    return ask


def test_what_users_were_content_with(rows: Callable) -> None:
    found = rows("SELECT conversation_id, answer, feedback, log_date FROM sat_turns")
    assert {row["feedback"] for row in found} == {THANKS}
    assert sorted((row["conversation_id"], row["answer"]) for row in found) == [
        ("at the second attempt", BEST), ("content at once", BEST),
        ("content the next day", BEST), ("revised", BEST),
        ("something else in between", "Two million."), ("twice", "Berlin."), ("twice", BEST),
    ]  # fmt: skip
    (late,) = [row for row in found if row["conversation_id"] == "content the next day"]
    assert late["log_date"] == LATER


def test_what_was_revised_and_then_accepted(rows: Callable) -> None:
    found = rows("FROM revised_pairs")
    assert sorted(
        (row["conversation_id"], row["rejected"], row["feedback"], row["chosen"]) for row in found
    ) == [
        ("at the second attempt", BETTER, STILL, BEST), ("revised", ANSWER, WRONG, BEST),
        ("twice", "Bonn.", WRONG, "Berlin."), ("twice", ANSWER, WRONG, BEST),
    ]  # fmt: skip
    assert {row["acceptance"] for row in found} == {THANKS}
    (one,) = [row for row in found if row["conversation_id"] == "revised"]
    assert [message["content"] for message in one["prompt"]] == [ASKED]
    assert one["probability"] > one["sat_probability"]
    assert one["dsat_turn_id"] != one["sat_turn_id"]
    assert one["log_date"] == NIGHT


def test_the_same_id_in_another_stream_is_another_conversation(
    driftmine: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second one has follow-ups where the first one has answers.
    other = ("", ASKED, BEST, NEXT, "Two million.", THANKS)
    for source, said in (("a", {"1": CHATS["revised"]}), ("b", {"1": other})):
        monkeypatch.setenv("DRIFTMINE_INGESTION__SOURCE", source)
        (tmp_path / source).mkdir()
        words = ("--log-date", NIGHT, "--home", tmp_path / "home", "--quiet")
        driftmine("ingest", log(tmp_path / source, NIGHT, said), *words)
    driftmine("mine", "--home", tmp_path / "home", "--quiet")
    query = "SELECT rejected, chosen FROM revised_pairs"
    done = driftmine("sql", query, "--home", tmp_path / "home", "--format", "json")
    assert done.json()["rows"] == [{"rejected": ANSWER, "chosen": BEST}]
