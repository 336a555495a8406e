import sys
from dataclasses import dataclass

import pytest

from ingestion.redact import presidio, stages
from ingestion.redact.options import RedactionOptions
from ingestion.redact.presidio import PresidioRedactor
from ingestion.redact.redactor import Redactor
from ingestion.redact.stages import InTurn, load_redactor
from warehouse.errors import MissingExtra


@dataclass
class Entity:
    """The shape of presidio_analyzer.RecognizerResult."""

    entity_type: str
    start: int
    end: int
    score: float


class Engine:
    """The call shape of presidio_analyzer.AnalyzerEngine, with names that it knows by heart."""

    supported_languages = ["en"]
    known = {"Zoë Doe": ("PERSON", 0.85), "Doe": ("PERSON", 0.6), "Hof": ("LOCATION", 0.85),
             "Spring": ("LOCATION", 0.2), "EMAIL": ("PERSON", 0.85)}  # fmt: skip

    def __init__(self):
        self.lengths = []

    def analyze(self, text, language, entities=None, **_):
        assert language in self.supported_languages, "the engine raises ValueError here"
        self.lengths.append(len(text))
        return [
            Entity(kind, at, at + len(name), score)
            for name, (kind, score) in self.known.items()
            if kind in entities
            for at in range(len(text))
            if text.startswith(name, at)
        ]


def redact(*texts, language="en", stage=None):
    stage = stage or PresidioRedactor(Engine())
    return stage.redact(texts, language=language, country=None)


CASES = {
    "a name and a place": ("é, I am Zoë Doe from Hof", "é, I am [PERSON_1] from [LOCATION_1]"),
    "the same name again": ("Zoë Doe, Zoë Doe", "[PERSON_1], [PERSON_1]"),
    "the likelier of two that overlap": ("Zoë Doe", "[PERSON_1]"),
    "what it doubts stays": ("in Spring", "in Spring"),
    "placeholders stay": (
        "[EMAIL_1] of Doe, not [PERSON_1]",
        "[EMAIL_1] of [PERSON_2], not [PERSON_1]",
    ),
}


@pytest.mark.parametrize("text, redacted", CASES.values(), ids=CASES)
def test_entities_are_replaced(text, redacted):
    assert redact(text).texts == [redacted]


@pytest.mark.parametrize("language", ["de", None])
def test_a_language_that_it_does_not_know_passes(language):
    found = redact("Zoë Doe", language=language)
    assert (found.texts, found.counts) == (["Zoë Doe"], {})


def test_long_texts_go_in_pieces_at_gaps(monkeypatch):
    monkeypatch.setattr(presidio, "PIECE", 20)
    engine = Engine()
    text = "a word or\ntwo, Zoë Doe and " + "x" * 45 + " Hof"
    found = redact(text, stage=PresidioRedactor(engine))
    assert found.texts == [text.replace("Zoë Doe", "[PERSON_1]").replace("Hof", "[LOCATION_1]")]
    assert max(engine.lengths) <= 20
    assert sum(engine.lengths) == len(text)


def test_it_works_on_what_the_rules_left():
    stage = InTurn(Redactor(), PresidioRedactor(Engine()))
    found = redact("Zoë Doe, jo@example.com", "Doe", stage=stage)
    assert found.texts == ["[PERSON_1], [EMAIL_1]", "[PERSON_2]"]
    assert found.counts == {"EMAIL": 1, "PERSON": 2}


def test_without_its_package_it_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtra, match=r"pip install '.\[presidio\]'"):
        load_redactor(RedactionOptions(presidio=True))


def test_without_its_model_it_is_refused_and_downloads_nothing(monkeypatch):
    class Package:
        @staticmethod
        def AnalyzerEngine():  # noqa: N802
            raise AssertionError("would download the model")

    monkeypatch.setitem(sys.modules, "presidio_analyzer", Package)
    monkeypatch.setattr(presidio, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="en_core_web_lg"):
        load_redactor(RedactionOptions(presidio=True))


def test_settings_choose_the_stages(monkeypatch):
    assert isinstance(load_redactor(RedactionOptions()), Redactor)
    monkeypatch.setattr(stages, "load_presidio", lambda: PresidioRedactor(Engine()))
    stage = load_redactor(RedactionOptions(presidio=True))
    assert redact("Doe, jo@example.com", stage=stage).texts == ["[PERSON_1], [EMAIL_1]"]
