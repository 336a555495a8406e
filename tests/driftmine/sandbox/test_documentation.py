"""docs/sandbox.md says what the code does: every number in its tables is compared."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from driftmine.sandbox.habits import HABITS, MENDED
from driftmine.sandbox.product import HOSTILE_TALKS, MOST_ANSWERS
from driftmine.sandbox.results import NightResult, RunResult
from driftmine.sandbox.setup import (
    ABLATIONS,
    LEARNING_RATES,
    PAIRS,
    USERS,
    Setup,
    settings_of,
)
from driftmine.sandbox.tasks import CATEGORIES, WORDS, Casing, Family, Form, Order, Task
from driftmine.sandbox.truth import faults
from driftmine.sandbox.users import _KINDS, _REACTIONS, Behaviour
from driftmine.settings import load

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "sandbox.md").read_text()
TABLES = [block.splitlines() for block in re.findall(r"^(?:\|.*\n)+", TEXT, flags=re.MULTILINE)]
FLAT = " ".join(TEXT.split())


def table(head):
    """First cell -> the others, of the table whose first heading this is."""
    (rows,) = (rows for rows in TABLES if cells(rows[0])[0] == head)
    found = [cells(row) for row in rows[2:]]
    return {first.strip("`"): rest for first, *rest in found}


def cells(row):
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def test_habits():
    assert {name: float(row[0]) for name, row in table("habit").items()} == {**HABITS}
    assert f"in {MENDED:.2f} of all cases" in FLAT


def test_behaviour_of_users():
    usual = {field.name: field.default for field in fields(Behaviour)}
    assert {name: float(row[0]) for name, row in table("probability").items()} == usual


def test_reactions():
    said = {name: tuple(map(int, row)) for name, row in table("fault").items()}
    without = said.pop("none: without cause")
    assert said | {None: without} == {**_REACTIONS}
    heads = next(cells(rows[0]) for rows in TABLES if cells(rows[0])[0] == "fault")
    assert tuple(heads[1:]) == _KINDS


def test_learning_rates():
    said = {name: float(row[0]) for name, row in table("method").items()}
    assert said == LEARNING_RATES


def test_ablations():
    assert tuple(table("`--ablation`")) == ABLATIONS


def test_defaults():
    said = table("option")
    assert [said["--users-per-night"][0], said["--pairs"][0]] == [str(USERS), str(PAIRS)]
    assert float(said["--noise"][0]) == Behaviour().false_complaints == Behaviour().false_content
    assert float(said["--poison"][0]) == Behaviour().hostile


def test_caps(tmp_path):
    setup = Setup(
        method="drift", seed=0, nights=1, users=USERS, pairs=PAIRS, behaviour=Behaviour(),
        learning_rate=1e-5, policy="",
    )  # fmt: skip
    file = tmp_path / "driftmine.toml"
    file.write_text(settings_of(setup))
    for name, (value, _) in table("setting").items():
        found = load(file)
        for part in name.split("."):
            found = getattr(found, part)
        assert str(found) == value, name
    assert len(table("setting")) == 4


@pytest.mark.parametrize("head, kind", [("a run", RunResult), ("a night", NightResult)])
def test_fields_of_the_results(head, kind):
    assert tuple(table(f"field of {head}")) == kind.__struct_fields__


EXAMPLES = {
    Family.NAME: Task(
        family=Family.NAME, language="en", target="en", category="animals", n=3,
        order=Order.ALPHABETICAL, casing=Casing.CAPITALS, form=Form.NUMBERED,
    ),
    Family.SORT: Task(
        family=Family.SORT, language="de", target="de", n=3, order=Order.REVERSED,
        words=(("colours", 3), ("colours", 0), ("colours", 1)),
    ),
    Family.SUM: Task(
        family=Family.SUM, language="es", target="es", addends=(9, 7), form=Form.WORD
    ),
    Family.TRANSLATE: Task(
        family=Family.TRANSLATE, language="en", target="de", says_target=True,
        words=(("animals", 1),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", Family)
def test_examples_are_requests_and_their_answers_are_right(family):
    request, answer = table("family")[family]
    assert request == EXAMPLES[family].request
    assert faults(EXAMPLES[family], "\n".join(re.findall("`(.+?)`", answer))) == frozenset()


def test_numbers_in_the_text():
    assert f"at most {MOST_ANSWERS} answers" in FLAT
    assert f"{HOSTILE_TALKS} conversations a day" in FLAT
    (prompts,) = (field.default for field in fields(Setup) if field.name == "prompts")
    assert f"examined on {prompts} requests of them" in FLAT
    assert "four categories there are eight words" in FLAT
    assert (len(CATEGORIES), WORDS) == (4, 8)


def test_measurements_stand_elsewhere():
    assert TEXT.endswith("## Measured\n\nSee [measurements.md](measurements.md).\n")
    assert (DOCS / "measurements.md").exists()


def test_it_is_linked():
    assert "(docs/sandbox.md)" in (DOCS.parent / "README.md").read_text()
