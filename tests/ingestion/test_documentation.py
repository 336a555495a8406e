import re
from pathlib import Path

from ingestion import normalize
from warehouse.records import ReasonCode

TEXT = (Path(__file__).parents[2] / "docs" / "ingestion.md").read_text()


def test_every_reason_is_explained():
    section = TEXT.partition("### Rejects")[2].partition("### Duplicates")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == [code.value for code in ReasonCode]


def test_every_role_is_listed():
    rows = re.findall(r"^\| (?:a role: )?((?:`\w+`(?:, )?)+) \| `(\w+)` \|$", TEXT, re.M)
    listed = {name: role for names, role in rows for name in re.findall(r"`(\w+)`", names)}
    assert listed == {name: role.value for name, role in normalize._ROLES.items()}
