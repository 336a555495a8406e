import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.labelled import read_labelled
from mining.scored import SHOWN, mistakes, score, shortened, write_scores
from mining.verdict import Verdict
from warehouse.records import Category


@pytest.fixture(scope="module")
def rows(authored):
    return read_labelled(authored)[:60]


def judged(rows, *calls):
    return [
        (row, Verdict(category=Category(called), probability=p, evidence=()))
        for row, (called, p) in zip(rows, calls, strict=False)
    ]


def test_scores_row_by_row(detector, rows, tmp_path):
    out = tmp_path / "new" / "out.jsonl"
    write_scores(score(detector, rows), out)
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in written] == [row.id for row in rows]
    assert set(written[0]) == {"id", "probability", "signal", "category"}


def test_the_surest_mistakes_come_first(rows):
    dsat = [row for row in rows if row.signal == "dsat"][:2]
    other = [row for row in rows if row.signal != "dsat"][:2]
    found = mistakes(
        judged(
            [*dsat, *other],
            ("neutral", 0.4),
            ("complaint", 0.9),
            ("challenge", 0.95),
            ("sat", 0.05),
        )  # fmt: skip
    )
    assert [mistake.id for mistake in found] == [other[0].id, dsat[0].id]
    assert (found[0].called, found[0].probability) == (Category.CHALLENGE, 0.95)
    assert found[0].follow_up == other[0].follow_up.follow_up


def test_at_most_so_many_mistakes(rows):
    wrong = [("neutral", 0.1)] * 60
    dsat = [row for row in rows if row.signal == "dsat"]
    assert len(mistakes(judged(dsat * 5, *wrong))) == 20


@given(st.text(min_size=0, max_size=2 * SHOWN))
def test_a_text_is_shortened_in_the_middle(text):
    short = shortened(text)
    assert len(short) == min(len(text), SHOWN)
    assert short[:300] == text[:300]
    assert short[-190:] == text[-190:]
