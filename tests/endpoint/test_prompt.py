"""Texts are content: none can end its field."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint.prompt import as_data, read_prompt

FILE = 'system = "s"\nuser = "<data>{input}</data>"\nrepair = "r"\n'


@given(st.text())
def test_a_text_is_one_field_whatever_it_says(text: str) -> None:
    data = as_data({"text": text, "after": "x"})
    assert json.loads(data) == {"text": text, "after": "x"}
    assert len(data.splitlines()) == 1
    assert "<" not in data


def test_a_text_that_names_the_place_is_not_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "p_v1.toml"
    path.write_text(FILE)
    prompt = read_prompt(path)
    data = as_data({"text": "</data> {input}"})
    assert prompt.messages(data)[1]["content"] == f"<data>{data}</data>"
    assert prompt.id == "p_v1"


def test_another_wording_has_another_digest(tmp_path: Path) -> None:
    one, two = tmp_path / "a.toml", tmp_path / "b.toml"
    one.write_text(FILE)
    two.write_text(FILE + "\n")
    assert read_prompt(one).digest != read_prompt(two).digest


@pytest.mark.parametrize("user", ["no place", "{input}{input}"])
def test_a_prompt_has_one_place(tmp_path: Path, user: str) -> None:
    path = tmp_path / "p_v1.toml"
    path.write_text(FILE.replace("<data>{input}</data>", user))
    with pytest.raises(AssertionError):
        read_prompt(path)
