"""Plots: which there are, and that drawing them changes nothing for anybody else."""

import subprocess
import sys
from pathlib import Path

import pytest

from mining.detector import load_detector
from mining.evaluate import measure
from mining.labelled import Labelled, read_labelled
from mining.options import MiningOptions
from mining.scored import score

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra `detector`")
from driftmine.report import plots  # noqa: E402

ROOT = Path(__file__).parents[2]
ALL = {"precision_recall", "roc", "calibration", "histogram", "confusion"}
CURVES = {"precision_recall", "roc"}
KEPT = {
    "both kinds": (lambda row: row, ALL),
    "no DSAT": (lambda row: row if row.signal != "dsat" else None, ALL - CURVES),
    "signals alone": (lambda row: replaced(row, category=None), ALL - {"confusion"}),
    "no labels": (lambda row: replaced(row, category=None, signal=None), {"histogram"}),
}  # fmt: skip


def replaced(row: Labelled, **fields: object) -> Labelled:
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    return Labelled(**values | fields)


@pytest.mark.parametrize("keep, names", KEPT.values(), ids=KEPT)
def test_the_plots_that_the_rows_allow(keep, names):
    rows = read_labelled(ROOT / "mining" / "data" / "dsat-authored.jsonl")[:60]
    scored = score(load_detector(MiningOptions()), [row for row in map(keep, rows) if row])
    before = dict(matplotlib.rcParams)
    drawn = plots.draw(measure(scored, seed=0, resamples=5), scored)
    assert set(drawn) == names <= set(plots.NAMES)
    assert all(png.startswith(b"\x89PNG") for png in drawn.values())
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_loaded():
    code = (
        "import sys; from driftmine.report import drawing, plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "with drawing.loaded(): pass\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
