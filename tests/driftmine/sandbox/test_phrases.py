import json
import re
from importlib.resources import files

import pytest

LANGUAGES = ("en", "de", "es")
KINDS = {"name", "repeat", "complain", "challenge", "sarcasm", "thank", "next"}
FAULTS = {
    "count", "category", "language", "repeat", "order", "casing", "format", "arithmetic"
}  # fmt: skip
TRAINED_ON = ("dsat-authored.jsonl", "dsat-written.jsonl")
RUN = 5  # words in a row that no phrase shares with what the detector was trained on


def read(package, name):
    lines = (files(package) / "data" / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def words(text):
    """A slot and any figure count as the same word, so that "give me {n}" equals "give me 4"."""
    bare = re.sub(r"\d+", "n", text.casefold().replace("{n}", "n"))
    return re.sub(r"[^\w\s]", "", bare).split()


def runs(text):
    found = words(text)
    return {tuple(found[at : at + RUN]) for at in range(len(found) - RUN + 1)}


PHRASES = read("driftmine.sandbox", "phrases.jsonl")
OPENINGS = read("driftmine.sandbox", "openings.jsonl")
FOLLOW_UPS = [row["follow_up"] for name in TRAINED_ON for row in read("mining", name)]


def test_every_row_has_the_same_keys_and_an_id_of_its_own():
    keys = ["id", "language", "kind", "fault", "text", "from"]
    assert all(list(row) == keys for row in PHRASES)
    assert len({row["id"] for row in PHRASES}) == len(PHRASES)


def test_no_text_stands_twice_in_a_language_and_kind():
    seen = [(row["language"], row["kind"], row["text"].casefold()) for row in PHRASES]
    assert len(set(seen)) == len(seen)


def test_thanks_and_complaints_are_told_apart_by_their_words():
    """But for the bare request, which asks once more as it asks for another."""
    content = {"thank", "next"}
    meant = {}
    for row in PHRASES:
        meant.setdefault((row["language"], *words(row["text"])), set()).add(row["kind"] in content)
    both = {said for said, kinds in meant.items() if len(kinds) == 2}
    assert both == {(language, "request") for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_phrases_of_every_kind_and_fault(language):
    rows = [row for row in PHRASES if row["language"] == language]
    by_kind = {kind: sum(row["kind"] == kind for row in rows) for kind in KINDS}
    by_fault = {fault: sum(row["fault"] == fault for row in rows) for fault in FAULTS}
    assert min(by_kind.values()) >= 5 and sum(by_kind.values()) == len(rows)
    assert min(by_fault.values()) >= 3


def test_a_fault_is_named_by_the_kind_that_names_one_and_by_no_other():
    assert all((row["fault"] in FAULTS) == (row["kind"] == "name") for row in PHRASES)
    assert all(row["fault"] in FAULTS | {None} for row in PHRASES)


def test_slots_are_known_and_stand_where_they_can_be_filled():
    for row in PHRASES:
        slots = set(re.findall(r"\{(.*?)\}", row["text"]))
        assert "{" not in re.sub(r"\{(request|n)\}", "", row["text"]), row["id"]
        assert "n" not in slots or row["fault"] == "count", row["id"]
        assert "request" not in slots or row["kind"] in ("repeat", "next"), row["id"]
        assert "request" in slots or row["kind"] != "next", row["id"]


def test_phrases_state_no_figures_of_their_own():
    assert [row["id"] for row in PHRASES if re.search(r"\d", row["text"])] == []


def test_no_phrase_is_one_that_the_detector_was_trained_on():
    trained = {tuple(words(text)) for text in FOLLOW_UPS}
    assert [row["id"] for row in PHRASES if tuple(words(row["text"])) in trained] == []


def test_no_phrase_shares_a_long_run_of_words_with_one_that_was_trained_on():
    trained = set().union(*map(runs, FOLLOW_UPS))
    shared = {
        row["id"]: both
        for row in PHRASES
        for part in row["text"].split("{request}")
        if (both := runs(part) & trained)
    }
    assert shared == {}


def test_borrowed_phrases_are_verbatim():
    apart = {row["id"]: row["follow_up"] for row in read("mining", "dsat-apart.jsonl")}
    borrowed = [row for row in PHRASES if row["from"]]
    assert borrowed
    assert [row["id"] for row in borrowed if apart.get(row["from"]) != row["text"]] == []


@pytest.mark.parametrize(("language", "count"), [("en", 60), ("de", 25), ("es", 25)])
def test_openings_are_short_different_and_without_figures(language, count):
    texts = [row["text"] for row in OPENINGS if row["language"] == language]
    assert len({tuple(words(text)) for text in texts}) == len(texts) == count
    assert [text for text in texts if not 3 <= len(text.split()) <= 14] == []
    assert not re.search(r"[\d{}]", "".join(texts))
