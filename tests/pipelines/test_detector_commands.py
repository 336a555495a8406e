"""`driftmine detector evaluate` and `agree`, as a user runs them."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AUTHORED = ROOT / "mining" / "data" / "dsat-authored.jsonl"
NUMBERS = {
    "n", "precision", "recall", "f1", "pr_auc", "roc_auc", "ece", "precision_at_trainable",
    "recall_at_trainable",
}  # fmt: skip
PLOTS = {"precision_recall", "roc", "calibration", "histogram", "confusion"}
HOSTILE = "<script>alert('x')</script>{{ 7 * 7 }}\x1b[2J"
ROW = {"id": "r", "user": "q", "assistant": "a", "follow_up": "no, that is wrong"}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [json.loads(line) for line in AUTHORED.read_text().splitlines()[:80]]


@pytest.fixture
def write(tmp_path: Path) -> Callable:
    def lines(name: str, rows: list[dict]) -> Path:
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    return lines


def test_numbers_scores_and_a_report(
    driftmine: Callable, rows: list, write: Callable, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra `detector`")
    differ = ROW | {"id": "d", "label": None, "signal": None, "novel_key": [1]}
    file, folder, scores = write("f", [*rows, differ]), tmp_path / "r", tmp_path / "new" / "s.jsonl"
    words = ("detector", "evaluate", file, "--report", folder, "--scores", scores)
    found = driftmine(*words, "--json").json()
    assert all(isinstance(found[name], int | float) for name in NUMBERS)
    assert (found["n"], found["rows"], found["left_out"]) == (80, 81, 1)
    for name in NUMBERS - {"n"}:
        interval = found["scores"][name]
        assert interval["low"] <= interval["value"] == found[name] <= interval["high"]
    written = [json.loads(line) for line in scores.read_text().splitlines()]
    assert [line["id"] for line in written] == [row["id"] for row in [*rows, differ]]
    assert set(written[0]) == {"id", "probability", "signal", "category"}
    assert {Path(plot).stem for plot in found["plots"]} == PLOTS
    for plot in found["plots"]:
        assert Path(plot).read_bytes().startswith(b"\x89PNG")
    page = Path(found["report"]).read_text()
    assert page.count("data:image/png;base64,") == len(PLOTS)
    shown = driftmine(*words).stdout
    for heading in ("roc_auc", "category", "language", "source", "hard flag", "report.html"):
        assert heading in shown


def test_no_labels_at_all(driftmine: Callable, rows: list, write: Callable, tmp_path: Path) -> None:
    texts = [{key: row[key] for key in ("user", "assistant", "follow_up")} for row in rows]
    file, folder, scores = write("f", texts), tmp_path / "r", tmp_path / "s.jsonl"
    words = ("detector", "evaluate", file, "--report", folder, "--scores", scores)
    done = driftmine(*words, "--json")
    found = done.json()
    assert "no row has a label" in done.stderr
    assert "no row has a label" in found["note"]
    assert (found["n"], found["labelled"], found["dsat"]) == (80, False, None)
    assert all(found[name] is None for name in NUMBERS - {"n"})
    assert 0 < found["dsat_rate"] < 1
    assert sum(found["histogram"]["all"]) == 80
    ids = [json.loads(line)["id"] for line in scores.read_text().splitlines()]
    assert all(re.fullmatch("sha-[0-9a-f]{16}", name) for name in ids)
    assert "No row has a label" in (folder / "report.html").read_text()
    assert "no row has a label" in driftmine(*words).stdout


def test_no_dissatisfied_rows(driftmine: Callable, rows: list, write: Callable) -> None:
    file = write("f", [row for row in rows if row["signal"] != "dsat"])
    found = driftmine("detector", "evaluate", file, "--json").json()
    for name in ("recall", "f1", "pr_auc", "roc_auc", "recall_at_trainable"):
        assert found[name] is None
    assert re.search(r"roc_auc +n/a", driftmine("detector", "evaluate", file).stdout)


def test_without_matplotlib_there_are_all_the_numbers(
    driftmine: Callable, rows: list, write: Callable, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "roc.png").write_bytes(b"of an earlier evaluation")
    done = driftmine("detector", "evaluate", write("f", rows), "--report", folder, "--json")
    assert done.exit_code == 0
    assert "pip install '.[detector]'" in done.stderr
    assert done.json()["plots"] == []
    assert isinstance(done.json()["roc_auc"], float)
    page = (folder / "report.html").read_text()
    assert ".[detector]" in page
    assert "<img" not in page
    assert [path.name for path in folder.iterdir()] == ["report.html"]


def test_what_users_wrote_can_do_nothing(
    driftmine: Callable, write: Callable, tmp_path: Path
) -> None:
    texts = dict.fromkeys(("user", "assistant", "follow_up", "source", "language"), HOSTILE)
    # Two labels for one text: whatever it is called, one of the rows is a mistake.
    rows = [texts | {"id": f"{signal} {HOSTILE}", "signal": signal} for signal in ("dsat", "sat")]
    words = ("detector", "evaluate", write("f", rows), "--report", tmp_path / "r")
    assert "\x1b" not in driftmine(*words).stdout
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<script" not in page
    assert "http" not in re.sub('base64,[^"]*', "", page)
    assert "49" not in page.partition("The surest mistakes")[2]
    assert page.count("&lt;script&gt;") >= 6


LABELLED = json.dumps(ROW | {"label": "complaint"})
BAD = {
    "empty": ("", 2, "holds no rows"),
    "no JSON lines": ("a,b\n1,2\n", 2, "line 1: no labelled follow-up"),
    "one bad line": (f"{LABELLED}\n{LABELLED[:-1]}\n{LABELLED}", 2, "line 2: "),
    "an unknown label": (LABELLED.replace("complaint", "anger"), 2, "'anger'"),
}


@pytest.mark.parametrize("text, code, says", BAD.values(), ids=BAD)
def test_bad_files(driftmine: Callable, tmp_path: Path, text: str, code: int, says: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    good = tmp_path / "good.jsonl"
    good.write_text(LABELLED)
    for words in (("evaluate", path), ("agree", good, path)):
        done = driftmine("detector", *words, "--json")
        assert done.exit_code == done.json()["exit_code"] == code
        assert str(path) in done.json()["message"]
        assert says in done.json()["message"]


@pytest.mark.parametrize("name", ["none.jsonl", "."], ids=["no file", "a folder"])
def test_files_that_cannot_be_read(driftmine: Callable, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for words in (("evaluate", path), ("agree", path, path)):
        done = driftmine("detector", *words, "--json")
        assert done.exit_code == 1
        assert done.json()["error"] == "SourceUnavailable"
        assert f"{path}: cannot be read" in done.json()["message"]


@pytest.mark.parametrize("option", ["--report", "--scores"])
def test_outputs_that_cannot_be_written(
    driftmine: Callable, rows: list, write: Callable, option: str
) -> None:
    file = write("f", rows)
    out = write("a-file-and-no-folder", rows) / "below"
    done = driftmine("detector", "evaluate", file, option, out / "x", "--json")
    assert done.exit_code == 1
    assert "a-file-and-no-folder" in done.json()["message"]
    assert "Check the path" in done.json()["message"]


def test_scores_never_replace_the_labels(driftmine: Callable, rows: list, write: Callable) -> None:
    file = write("f", rows)
    done = driftmine("detector", "evaluate", file, "--scores", file, "--json")
    assert done.exit_code == 2
    assert len(file.read_text().splitlines()) == 80


def test_two_annotators_and_an_annotator_with_a_detector(
    driftmine: Callable, rows: list, write: Callable, tmp_path: Path
) -> None:
    other = [{"id": row["id"], "label": row["label"]} for row in rows[10:]] + [{"id": "x"}]
    a, b = write("a", rows), write("b", [{"id": rows[9]["id"], "label": "sat"}, *other])
    found = driftmine("detector", "agree", a, b, "--json").json()
    assert (found["n"], found["only_in_a"], found["only_in_b"]) == (71, 9, 1)
    assert 0.9 < found["kappa"] <= 1
    assert found["scores"]["kappa"]["low"] <= found["kappa"]
    assert sum(sum(row.values()) for row in found["confusion"].values()) == 71
    shown = driftmine("detector", "agree", a, b).stdout
    assert "kappa" in shown
    assert "7 neutral" in shown

    scores = tmp_path / "s.jsonl"
    driftmine("detector", "evaluate", a, "--scores", scores)
    found = driftmine("detector", "agree", a, scores, "--json").json()
    assert (found["n"], found["n_dsat"]) == (80, 80)
    assert found["kappa_dsat"] > 0.9


def test_every_word_of_these_commands_is_documented() -> None:
    text = (ROOT / "docs" / "detection.md").read_text()
    for word in ("detector evaluate", "detector agree", "detector train", "--detector", "--scores",
                 "--report", "--json", *NUMBERS, *(f"{plot}.png" for plot in PLOTS)):  # fmt: skip
        assert word in text
