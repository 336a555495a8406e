import pytest

from mining.card import Thresholds
from mining.conversations import FollowUp
from mining.evaluate import evaluate, measure
from mining.labelled import Labelled, read_labelled
from mining.metrics import Interval
from mining.scored import Scored
from mining.verdict import Verdict
from warehouse.records import Category, SignalKind

UNDEFINED = Interval(None, None, None)
THRESHOLDS = Thresholds(report=0.5, trainable=0.9)


@pytest.fixture
def rows(authored):
    return read_labelled(authored)[:120]


def scored(*rows: tuple) -> Scored:
    """scored(("complaint", "sat", 0.2), ...): label, category called, P(DSAT)."""
    read, verdicts = [], []
    for at, (label, called, p, *more) in enumerate(rows):
        category = Category(label) if label else None
        text = FollowUp(user="q", answer="a", follow_up="f", language="en")
        fields = more[0] if more else {}
        signal = category and category.signal
        row = {"id": f"r{at}", "group": f"r{at}", "category": category, "signal": signal}
        read.append(Labelled(**row | fields, follow_up=text))
        verdicts.append(Verdict(category=Category(called), probability=p, evidence=()))
    return Scored(detector="d", version="1", thresholds=THRESHOLDS, rows=read, verdicts=verdicts)


def test_scores_on_data_it_has_seen(detector, rows):
    found = evaluate(detector, rows, seed=0, resamples=20)
    assert (found.n, found.left_out) == (120, 0)
    assert found.scores["roc_auc"].value > 0.95
    for interval in found.scores.values():
        assert interval.low <= interval.value <= interval.high
    assert set(found.by_language) == {row.follow_up.language for row in rows}
    assert len(found.by_category) == 7


def test_the_same_seed_gives_the_same_intervals(detector, rows):
    one, same, other = (evaluate(detector, rows, seed=s, resamples=20) for s in (0, 0, 1))
    assert one == same != other


def test_rows_that_annotators_differ_on_are_left_out():
    found = measure(
        scored((None, "sat", 0.1), ("complaint", "complaint", 0.8), (None, "sat", 0.1)), seed=0
    )
    assert (found.rows, found.n, found.left_out, found.dsat) == (3, 1, 2, 1)
    assert found.scores["recall"] == Interval(1.0, None, None)
    assert found.scores["roc_auc"] == UNDEFINED


def test_no_dissatisfied_rows():
    found = measure(scored(("sat", "sat", 0.1), ("neutral", "challenge", 0.95)), seed=0)
    assert found.dsat == 0
    for undefined in ("recall", "f1", "pr_auc", "roc_auc", "recall_at_trainable"):
        assert found.scores[undefined] == UNDEFINED
    assert found.scores["precision"].value == 0
    assert found.by_category["complaint"].scores["recall"] == UNDEFINED


def test_no_labels_at_all():
    found = measure(scored((None, "sat", 0.1), (None, "complaint", 0.92)), seed=0)
    assert (found.labelled, found.rows, found.n, found.dsat) == (False, 2, 2, None)
    assert set(found.scores) == {"dsat_rate", "rate_at_trainable"}
    assert found.scores["dsat_rate"].value == found.scores["rate_at_trainable"].value == 0.5
    assert sum(found.histogram["all"]) == 2
    assert found.called["complaint"] == 1
    assert (found.confusion, found.calibration, found.mistakes) == ({}, (), ())


def test_each_category():
    found = measure(
        scored(
            ("complaint", "complaint", 0.9),
            ("complaint", "correction", 0.7),
            ("complaint", "neutral", 0.3),
            ("neutral", "complaint", 0.6),
            ("neutral", "neutral", 0.1),
            (None, "complaint", 0.9, {"signal": SignalKind.DSAT}),
        ),
        seed=0,
        resamples=20,
    )
    complaint = found.by_category["complaint"]
    values = {name: score.value for name, score in complaint.scores.items()}
    assert (complaint.n, complaint.dsat) == (3, 3)
    assert values["precision"] == 0.5
    assert (values["recall"], values["f1"]) == (0.3333, 0.4)
    assert values["called_dsat"] == 0.6667
    assert values["roc_auc"] == 0.8333
    assert found.by_category["neutral"].scores["roc_auc"].value == 0.8333
    assert found.by_category["neutral"].scores["called_dsat"].value == 0.5
    assert found.confusion["complaint"] == {
        **dict.fromkeys(Category, 0), "complaint": 1, "correction": 1, "neutral": 1,
    }  # fmt: skip
    assert sum(sum(row.values()) for row in found.confusion.values()) == 5  # not the nameless


def test_parts():
    rows = [
        ("sat", "sat", 0.1, {"source": "s1", "hard": True}),
        ("sat", "sat", 0.1, {"source": "s2", "hard": False}),
        ("sat", "sat", 0.1, {"source": "s1"}),
    ]
    found = measure(scored(*rows), seed=0, resamples=5)
    assert {name: part.n for name, part in found.by_source.items()} == {"s1": 2, "s2": 1}
    assert {*found.by_hard} == {"hard", "not_hard", "unknown"}
    nothing = measure(scored(("sat", "sat", 0.1)), seed=0, resamples=5)
    assert (nothing.by_source, nothing.by_hard) == ({}, {})


def test_many_sources_are_one_from_the_twentieth_on():
    rows = [("sat", "sat", 0.1, {"source": f"s{at:02}"}) for at in range(25)]
    found = measure(scored(*rows), seed=0, resamples=5)
    assert len(found.by_source) == 21
    assert found.by_source["other"].n == 5
