import time
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining import phrases
from mining.labelled import read_labelled
from mining.quotation import own_words
from mining.rulefile import HEAD_CHARS, LexiconFile, Scope
from mining.rules import LEXICON, Lexicon, load_lexicon
from warehouse.errors import SettingsError
from warehouse.records import Category, SignalKind

LOADED = load_lexicon(phrases.load)
POSITIVE = [(rule.id, text) for rule in LOADED.rules.values() for text in rule.positive]
NEGATIVE = [(rule.id, text) for rule in LOADED.rules.values() for text in rule.negative]
REFUSALS = {rule_id for rule_id in LOADED.rules if rule_id.startswith("declines_")}

RULE = """
language = "en"
[[rules]]
id = "wrong_v1"
category = "correction"
scope = "head"
weight = 1.0
source = "test"
patterns = ["wrong"]
positive = ["wrong"]
negative = ["right"]
"""
BROKEN = {
    "an id twice": (RULE + RULE.split("\n", 2)[2], "stands twice"),
    "an id without version": (RULE.replace("wrong_v1", "wrong"), "name it like"),
    "patterns and phrases": (RULE + 'phrases = ["so wrong"]', "patterns or phrases"),
    "neither": (RULE.replace('patterns = ["wrong"]', ""), "patterns or phrases"),
    "lookahead": (RULE.replace('["wrong"]', '["(?=wrong)"]', 1), "RE2 cannot read"),
    "an unknown key": (RULE + "wieght = 2", "wieght"),
    "an unknown category": (RULE.replace('"correction"', '"anger"'), "anger"),
    "a weight that is no number": (RULE.replace("1.0", '"high"'), "weight"),
}


def hits(lexicon: Lexicon, text: str) -> dict[str, tuple[int, int]]:
    return {hit.rule.id: (hit.start, hit.end) for hit in lexicon.find(own_words(text))}


@pytest.mark.parametrize("rule_id, text", POSITIVE, ids=[f"{r}: {t}" for r, t in POSITIVE])
def test_positive_examples_hit(lexicon, rule_id, text):
    if rule_id in REFUSALS:
        assert lexicon.refuses(text)
        return
    start, end = hits(lexicon, text)[rule_id]
    assert 0 <= start < end <= len(text)
    if lexicon.rules[rule_id].scope is Scope.HEAD:
        assert end <= HEAD_CHARS


@pytest.mark.parametrize("rule_id, text", NEGATIVE, ids=[f"{r}: {t}" for r, t in NEGATIVE])
def test_negative_examples_do_not(lexicon, rule_id, text):
    assert rule_id not in hits(lexicon, text)
    assert not (rule_id in REFUSALS and lexicon.refuses(text))


@pytest.mark.parametrize("rule", LOADED.rules.values(), ids=LOADED.rules)
def test_a_rule_weighs_towards_its_category(rule):
    assert rule.positive and rule.negative and rule.source
    if rule.id not in REFUSALS:
        assert (rule.weight > 0) == (rule.category.signal is SignalKind.DSAT)


@pytest.mark.parametrize("content, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused(tmp_path, content, message):
    (tmp_path / "en.toml").write_text(content)
    with pytest.raises(SettingsError, match=message):
        load_lexicon(phrases.load, tmp_path)


def test_the_digest_follows_the_files(tmp_path):
    (tmp_path / "en.toml").write_text(RULE)
    first = load_lexicon(phrases.load, tmp_path).digest
    (tmp_path / "en.toml").write_text(RULE.replace("1.0", "1.1"))
    assert load_lexicon(phrases.load, tmp_path).digest != first


SCOPES = {
    "head, at the start": ("that's wrong" + " x" * 300, True),
    "head, too late": ("x " * 60 + "that's wrong", False),
    "short, but long": ("no" + "!" * 40, False),
    "edges, at the end": ("x " * 5000 + "that's not what I asked", True),
    "edges, in the middle": ("x " * 500 + "that's not what I asked" + " x" * 500, False),
}


@pytest.mark.parametrize("text, expected", SCOPES.values(), ids=SCOPES)
def test_scope(lexicon, text, expected):
    assert bool(hits(lexicon, text)) == expected


def test_a_long_text_costs_no_more_than_its_edges(lexicon):
    text = 'no, that\'s "wrong" again? ' * 40_000
    start = time.process_time()
    for _ in range(10):
        hits(lexicon, text)
    assert time.process_time() - start < 0.5


@settings(max_examples=200)
@given(st.text(max_size=900))
def test_spans_lie_inside_the_text(text):
    for hit in LOADED.find(own_words(text)):
        assert 0 <= hit.start < hit.end <= len(text)


LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "ja", "pt", "ru", "zh")


def rule_files() -> dict[str, list[LexiconFile]]:
    files: dict[str, list[LexiconFile]] = {}
    for path in LEXICON.glob("*.toml"):
        file = msgspec.toml.decode(path.read_bytes(), type=LexiconFile)
        files.setdefault(file.language, []).append(file)
    return files


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_rules_of_every_category_and_knows_refusals(language):
    files = rule_files()[language]
    assert {rule.category for file in files for rule in file.rules} == set(Category)
    assert any(file.refusals for file in files)


def test_no_file_is_too_long_to_read():
    assert max(len(path.read_text().splitlines()) for path in LEXICON.glob("*.toml")) <= 300


def test_rules_of_a_language_leave_others_alone(lexicon, authored):
    language = {r.id: name for name, files in rule_files().items() for f in files for r in f.rules}
    abroad = Counter()
    for row in read_labelled(authored):
        written = row.follow_up.language
        for rule in hits(lexicon, row.follow_up.follow_up):
            if language[rule] not in ("any", "en", written) and written != "mul":
                abroad[rule] += 1
    assert max(abroad.values(), default=0) <= 3, abroad


FOLDED = {
    "accents left out": ("esta mal", "es_wrong_v1"),
    "umlauts spelled": ("Kuerzer bitte", "de_restyle_v1"),
    "no hamza": ("انا قلت بدون سكر", "ar_said_already_v1"),
    "a vowel sign": ("كمّل", "ar_continue_v1"),
    "no nukta": ("गलत है", "hi_wrong_v1"),
    "Hindi in Latin letters": ("galat hai", "hi_latin_wrong_v1"),
    "traditional characters": ("你算錯了", "zh_wrong_v2"),
    "full width": ("ＷＲＯＮＧ！", "bare_no_v1"),
    "yo": ("ещё раз", "ru_again_v1"),
}


@pytest.mark.parametrize("text, rule", FOLDED.values(), ids=FOLDED)
def test_ways_of_writing(lexicon, text, rule):
    start, end = hits(lexicon, text)[rule]
    assert 0 <= start < end <= len(text)
