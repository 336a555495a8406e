import re
import tomllib
from pathlib import Path

import pytest

from ingestion import normalize
from ingestion.formats import mapping
from ingestion.formats.detect import HEAD, READERS, detect
from ingestion.formats.mapping_options import Mapping
from ingestion.formats.raw import RawPair
from ingestion.logs.lines import Line
from warehouse.records import Role

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
DIALOGUE = [(Role.USER, "How tall is K2?"), (Role.ASSISTANT, "8,611 m.")]


def _fenced(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", section, re.M | re.S)


SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S))
EXAMPLES = [(name, block) for name in SECTIONS for block in _fenced(SECTIONS[name], "json")]


def _dialogues(reader, example):
    """What each record of an example says; of a pair, with the better answer."""
    lines = (Line(index, line.encode()) for index, line in enumerate(example.split("\n")))
    raws = [reader.read(record.data) for record in reader.regroup(lines)]
    return [
        [*_said(raw.prompt), (Role.ASSISTANT, raw.chosen)]
        if isinstance(raw, RawPair)
        else _said(raw.turns)
        for raw in raws
    ]


def _said(turns):
    said = [(normalize.role(turn.role), turn.content) for turn in turns]
    return [(role, content) for role, content in said if role is not Role.SYSTEM]


def test_every_format_is_in_the_table_and_has_a_section():
    assert set(re.findall(r"^\| \[(\w+)\]\(#\1\) \|", TEXT, re.M)) == set(READERS)
    assert set(SECTIONS) == set(READERS)
    assert {name for name, _ in EXAMPLES} == set(READERS)


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_the_examples_are_of_their_format(name, example):
    assert detect(example.encode().splitlines()).name == name


@pytest.mark.parametrize("name, example", EXAMPLES)
def test_all_examples_say_the_same(name, example):
    dialogues = _dialogues(READERS[name], example)
    assert dialogues and all(dialogue == DIALOGUE for dialogue in dialogues)


def test_the_example_of_a_mapping_says_the_same():
    section = TEXT.partition("\n## A shape of your own\n")[2]
    (settings,) = _fenced(section, "toml")
    (example,) = _fenced(section, "json")
    reader = mapping.reader(Mapping(**tomllib.loads(settings)["ingestion"]["mapping"]))
    assert _dialogues(reader, example) == [DIALOGUE]
    assert detect([example.encode()]) is None, "a shape of one's own need not be named"


def test_the_number_of_records_looked_at_is_told():
    assert f"first {HEAD} records" in TEXT
