import json

import numpy as np
import pytest

from mining.card import digest, read_card
from mining.classifier import WEIGHTS
from mining.detector import MODELS, load_detector
from mining.fit import _read, choose_thresholds, fit
from mining.fit_linear import FOLDS, folds
from mining.options import MiningOptions
from warehouse.errors import SettingsError


@pytest.fixture(scope="module")
def small(authored, tmp_path_factory):
    lines = authored.read_text().splitlines()
    path = tmp_path_factory.mktemp("data") / "small.jsonl"
    path.write_text("\n".join(lines[::25]))
    return path


@pytest.fixture(scope="module")
def fitted(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "mine"
    return out, fit(small, out, seed=0)


def test_a_detector_of_ones_own(fitted, follow_up):
    out, card = fitted
    assert read_card(out) == card
    assert (card.name, card.rows) == ("mine", 170)
    mine = load_detector(MiningOptions(detector=str(out)))
    sure, thanks = mine.detect([follow_up("are you sure?"), follow_up("perfect, thanks!")])
    assert sure.probability > thanks.probability


def test_the_same_seed_gives_the_same_detector(small, fitted, tmp_path):
    out, card = fitted
    again = fit([small], tmp_path / "other", seed=0, name="mine")
    assert again == card
    assert (tmp_path / "other" / WEIGHTS).read_bytes() == (out / WEIGHTS).read_bytes()


TOO_FEW = {"no rows": 0, "few conversations": 5}


@pytest.mark.parametrize("count", TOO_FEW.values(), ids=TOO_FEW)
def test_too_few_rows_are_refused(small, tmp_path, count):
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join(small.read_text().splitlines()[:count]))
    with pytest.raises(SettingsError, match="too few|holds no rows"):
        fit(path, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_a_group_is_never_split():
    groups = [f"g{i % 40}" for i in range(200)]
    dealt = folds(groups, seed=0)
    assert set(dealt) == set(range(FOLDS))
    assert len({(g, f) for g, f in zip(groups, dealt.tolist(), strict=True)}) == 40
    assert (dealt != folds(groups, seed=1)).any()


def test_thresholds():
    p = np.linspace(1, 0, 101)[:-1]
    truth = (p > 0.5).astype(float)
    truth[30] = 0  # one false positive at 0.7
    found = choose_thresholds(truth, p)
    assert found.report == pytest.approx(0.51)
    assert found.trainable == found.report  # 49 of 54 are right at 0.46, and not called DSAT


def test_a_threshold_calls_all_rows_that_are_as_probable():
    """Ten rows at 0.5, of which the first are right: none of them alone makes a threshold."""
    p = np.array([0.9] * 40 + [0.5] * 40)
    truth = np.array([1.0] * 40 + [1.0] * 10 + [0.0] * 30)
    found = choose_thresholds(truth, p)
    assert (found.report, found.trainable) == (0.9, 0.9)
    called = p >= found.trainable
    assert truth[called].mean() >= 0.9


def test_rows_on_which_annotators_differ_are_left_out(tmp_path):
    one = {"user": "u", "assistant": "a", "label": "correction"}
    rows = [{"id": "1", "follow_up": "no"}, {"id": "2", "follow_up": "nope", "signal": None}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(one | row) for row in rows))
    names, kept = _read([path])
    assert (names, [row.id for row in kept]) == (["rows.jsonl"], ["1"])


def test_a_group_reaches_over_files(tmp_path):
    """One file says that a pair belongs to a conversation, another has a row of that pair alone."""
    one = {"user": "u", "assistant": "a", "label": "correction"}
    files = {"a": {"pair": "p", "conversation": "c"}, "b": {"pair": "p"}, "c": {"pair": "q"}}
    for name, fields in files.items():
        (tmp_path / name).write_text(json.dumps(one | fields | {"id": name, "follow_up": name}))
    _, rows = _read([tmp_path / name for name in files])
    first, second, third = (row.group for row in rows)
    assert first == second != third


def test_nothing_is_trainable_where_no_threshold_is_precise():
    assert choose_thresholds(np.array([1.0, 0.0] * 50), np.linspace(1, 0, 100)).trainable == 1.0


def test_the_shipped_detector_was_trained_on_the_shipped_data(authored, lexicon):
    card = read_card(MODELS / "default")
    own = {path.name: digest(path.read_bytes()) for path in sorted(authored.parent.glob("*.jsonl"))}
    assert own.pop("dsat-apart.jsonl") not in card.data.values()
    assert own.items() <= card.data.items()
    assert card.lexicon == lexicon.digest
    assert card.scores["roc_auc"] > 0.85
    assert 0 < card.thresholds.report < card.thresholds.trainable < 1
