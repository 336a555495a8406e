import re
from pathlib import Path

import msgspec
import pytest

from ingestion.redact.options import Kind, RedactionOptions
from ingestion.redact.patterns import load_rules
from ingestion.redact.redactor import Redactor
from ingestion.redact.regions import COUNTRIES

TEXT = (Path(__file__).parents[2] / "docs" / "redaction.md").read_text()
EXAMPLES = re.findall(r"^\| ([A-Z_]+) \| .* \| `(.*)` \|$", TEXT, re.M)


def redact(text):
    return Redactor().redact([text], language="en", country=None).texts[0]


def test_every_kind_has_an_example():
    assert sorted(kind for kind, _ in EXAMPLES) == sorted(Kind)


@pytest.mark.parametrize("kind, text", EXAMPLES)
def test_the_example_is_redacted(kind, text):
    assert redact(text).endswith(f"[{kind}_1]")


def test_the_first_example():
    before, after = re.findall(r"^    (I am .*?)  +→  +(.*)$", TEXT, re.M)[0]
    assert redact(before) == after


def test_every_country_with_a_number_is_named():
    section = TEXT.partition("**NATIONAL_ID.**")[2].partition("**SECRET.**")[0]
    codes = {rule.id[:2].upper() for rule in load_rules([Kind.NATIONAL_ID])}
    named = {code for name, code in COUNTRIES.items() if name in section.lower() and len(name) > 2}
    assert codes - named == set()


def test_the_settings_are_the_defaults():
    toml = re.findall(r"```toml\n(.*?)```", TEXT, re.S)[0]
    settings = msgspec.toml.decode(toml)["ingestion"]["redaction"]
    assert msgspec.convert(settings, RedactionOptions) == RedactionOptions()


def test_the_precedence_is_that_of_the_kinds():
    told = " ".join(TEXT.split()).partition("the first of ")[2].partition(" is taken")[0]
    assert told.split(", ") == list(Kind)
