import json

import pytest

from mining.agreement import agree
from mining.metrics import Interval
from warehouse.errors import SettingsError


@pytest.fixture
def labels(tmp_path):
    def write(name: str, *rows: dict):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    return write


def rows(*categories: str | None) -> list[dict]:
    return [{"id": f"f{at}", "label": category} for at, category in enumerate(categories)]


def test_two_annotators(labels):
    a = labels("a", *rows("sat", "complaint", "neutral", "correction", None, "sat"))
    b = labels(
        "b", *rows("sat", "correction", "neutral", "sat", "sat"), {"id": "x", "label": "sat"}
    )
    found = agree(a, b, resamples=50)
    assert (found.n, found.n_dsat, found.unlabelled) == (4, 4, 1)
    assert (found.only_in_a, found.only_in_b) == (1, 1)
    assert found.scores["agreement"].value == 0.5
    assert found.scores["kappa"].value == pytest.approx((0.5 - 0.25) / (1 - 0.25), abs=1e-4)
    assert found.scores["agreement_dsat"].value == 0.75
    assert found.scores["kappa_dsat"].value == 0.5
    assert found.scores["kappa"].low <= found.scores["kappa"].value <= found.scores["kappa"].high
    assert found.confusion["complaint"]["correction"] == 1
    assert sum(sum(row.values()) for row in found.confusion.values()) == 4


def test_a_file_agrees_with_itself(authored, labels):
    found = agree(authored, authored, resamples=5)
    assert found.scores["kappa"] == Interval(1.0, 1.0, 1.0)
    assert found.n == 4250


def test_signals_alone_have_no_seven_way_kappa(labels):
    signals = [{"id": str(at), "signal": s} for at, s in enumerate(("dsat", "sat", "neutral"))]
    found = agree(labels("a", *signals), labels("b", *signals), resamples=5)
    assert (found.n, found.n_dsat) == (0, 3)
    assert found.scores["kappa"] == Interval(None, None, None)
    assert found.scores["kappa_dsat"].value == 1.0


REFUSED = {
    "no id in common": (
        rows("sat"),
        [{"id": "x", "label": "sat"}],
        "0 follow-ups have the same id",
    ),
    "nothing labelled in both": (rows("sat", None), rows(None, "sat"), "none of them is labelled"),
    "an id twice": (rows("sat"), rows("sat") * 2, "b.jsonl: the id f0 comes twice"),
}


@pytest.mark.parametrize("a, b, says", REFUSED.values(), ids=REFUSED)
def test_refused(labels, a, b, says):
    with pytest.raises(SettingsError, match=says):
        agree(labels("a", *a), labels("b", *b))
