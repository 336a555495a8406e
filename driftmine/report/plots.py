"""Plots of a detector's evaluation, as PNG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from driftmine.report.drawing import BAND, CALM, INK, SEAM, SOFT, png
from mining import curves
from mining.evaluate import Evaluation
from mining.metrics import Array, Interval
from mining.scored import Scored, probabilities, truth
from warehouse.records import Category, SignalKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("precision_recall", "roc", "calibration", "histogram", "confusion")
SIZE = (6.0, 5.2)  # inches

Plot = Callable[["Figure", Evaluation, Array, Array], None]


def draw(found: Evaluation, scored: Scored) -> dict[str, bytes]:
    """The plots that these rows allow: name -> PNG. Raises MissingExtra without matplotlib.

    Without labels that is the histogram alone; without rows of both kinds there is no curve.
    """
    kept = scored.measured()
    y, p = truth(kept), probabilities(kept)
    todo: dict[str, Plot] = {}
    if found.labelled and 0 < y.sum() < len(y):
        todo |= {"precision_recall": _precision_recall, "roc": _roc}
    if found.labelled:
        todo["calibration"] = _calibration
    todo["histogram"] = _histogram
    if any(sum(row.values()) for row in found.confusion.values()):
        todo["confusion"] = _confusion
    return {name: png(plot, SIZE, found, y, p) for name, plot in todo.items()}


def _precision_recall(figure: Figure, found: Evaluation, y: Array, p: Array) -> None:
    axes = _unit_square(figure, "recall", "precision")
    axes.set_title(f"Precision and recall of DSAT{_counts(found)}")
    recall, precision = curves.precision_recall(y, p)
    axes.step(
        np.append(0, recall), np.append(precision[0], precision), where="pre", color=SEAM,
        label=f"detector, area {_told(found.scores['pr_auc'])}",
    )  # fmt: skip
    for name, marker, threshold in _operating_points(found):
        called = p >= threshold
        if called.any():
            at = (y[called].sum() / y.sum(), y[called].mean())
            label = f"{name} threshold {threshold:.2f}: precision {at[1]:.2f}, recall {at[0]:.2f}"
            _point(axes, at, marker, label)
    axes.axhline(y.mean(), color=SOFT, linestyle="--", linewidth=1, label=f"chance {y.mean():.2f}")
    _legend(figure)


def _roc(figure: Figure, found: Evaluation, y: Array, p: Array) -> None:
    axes = _unit_square(figure, "false positive rate", "true positive rate")
    axes.set_title(f"ROC of DSAT{_counts(found)}")
    false, true = curves.roc(y, p)
    axes.plot(false, true, color=SEAM, label=f"detector, area {_told(found.scores['roc_auc'])}")
    for name, marker, threshold in _operating_points(found):
        called = p >= threshold
        at = (float(called[y == 0].mean()), float(called[y == 1].mean()))
        label = f"{name} threshold {threshold:.2f}: false {at[0]:.2f}, true {at[1]:.2f}"
        _point(axes, at, marker, label)
    axes.plot([0, 1], [0, 1], color=SOFT, linestyle="--", linewidth=1, label="chance 0.50")
    _legend(figure)


def _calibration(figure: Figure, found: Evaluation, y: Array, p: Array) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _unit(upper, "", "share that is DSAT")
    upper.set_title(f"Calibration: ECE {_told(found.scores['ece'])}{_counts(found)}")
    upper.plot([0, 1], [0, 1], color=SOFT, linestyle="--", linewidth=1, label="calibrated")
    bins = [b for b in found.calibration if b.n]
    mean = [b.mean_probability for b in bins]
    rate = np.array([b.dsat_rate for b in bins])
    bounds = np.array([(b.rate_low, b.rate_high) for b in bins], dtype=np.float64).T
    upper.errorbar(
        mean, rate, yerr=np.maximum(np.abs(bounds - rate), 0), fmt="o-", color=SEAM,
        ecolor=SEAM, elinewidth=1, capsize=2.5, markersize=5, label="bin, 95% Wilson interval",
    )  # fmt: skip
    upper.legend(loc="upper left")
    counts = [b.n for b in found.calibration]
    middles = [(b.low + b.high) / 2 for b in found.calibration]
    bars = lower.bar(middles, counts, width=0.9 * (bins[0].high - bins[0].low), color=CALM)
    lower.bar_label(bars, labels=[f"{n:,}" for n in counts], fontsize=8, color=SOFT, padding=1)
    lower.set_ylim(0, max(counts) * 1.3)
    lower.set_xlabel("P(DSAT)")
    lower.set_ylabel("rows")
    lower.grid(axis="x", visible=False)


def _confusion(figure: Figure, found: Evaluation, y: Array, p: Array) -> None:
    figure.set_size_inches(7.0, 5.2)
    axes = figure.subplots()
    names = [str(category) for category in Category]
    counts = np.array([[found.confusion[row][column] for column in names] for row in names])
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("seam", ["#ffffff", BAND, SEAM])
    image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        dark = shares[row, column] > 0.75
        tone = "white" if dark else INK if counts[row, column] else SOFT
        weight = "bold" if row == column else "normal"
        text = f"{counts[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", color=tone, weight=weight)
    turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, color=INK, **turned)
    labels = [f"{name}  {n:,}" for name, n in zip(names, totals, strict=True)]
    axes.set_yticks(range(len(names)), labels, color=INK)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.tick_params(which="both", length=0)
    axes.grid(which="minor", color="white", linewidth=2, visible=True)
    dsat = sum(category.signal is SignalKind.DSAT for category in Category)
    axes.axhline(dsat - 0.5, color=SOFT, linewidth=0.8)  # what is DSAT, and what is not
    axes.axvline(dsat - 0.5, color=SOFT, linewidth=0.8)
    axes.set_xlabel("called by the detector")
    axes.set_ylabel("label, and rows that have it")
    axes.set_title(f"Confusion of categories, n = {totals.sum():,}")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label("share of the label's rows")
    bar.outline.set_visible(False)


def _histogram(figure: Figure, found: Evaluation, y: Array, p: Array) -> None:
    axes = figure.subplots()
    bins = curves.HISTOGRAM_BINS
    edges = np.linspace(0, 1, bins + 1)
    split = {"not DSAT by label": (p[y == 0], CALM), "DSAT by label": (p[y == 1], SEAM)}
    for name, (some, colour) in (split if found.labelled else {"all rows": (p, CALM)}).items():
        label = f"{name}, n = {len(some):,}"
        heights = curves.histogram(some, bins)
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(heights, edges, color=colour, linewidth=1.6, label=label)
    for name, _, threshold in _operating_points(found):
        style = "-" if name == "report" else ":"
        label = f"{name} threshold {threshold:.2f}"
        axes.axvline(threshold, color=INK, linestyle=style, linewidth=1.2, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("P(DSAT)")
    axes.set_ylabel(f"rows per bin of {1 / bins:.2f}")
    axes.set_title("P(DSAT) by truth" if found.labelled else f"P(DSAT), n = {found.n:,}")
    _legend(figure, columns=2)


def _operating_points(found: Evaluation) -> Iterator[tuple[str, str, float]]:
    yield "report", "o", found.thresholds.report
    yield "trainable", "D", found.thresholds.trainable


def _point(axes: Axes, at: tuple[float, float], marker: str, label: str) -> None:
    axes.plot(
        *at, linestyle="", marker=marker, markersize=8, color=INK, markeredgecolor="white",
        label=label, zorder=3, clip_on=False,
    )  # fmt: skip


def _unit_square(figure: Figure, x: str, y: str) -> Axes:
    axes: Axes = figure.subplots()
    _unit(axes, x, y)
    return axes


def _unit(axes: Axes, x: str, y: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _legend(figure: Figure, columns: int = 1) -> None:
    """Below the axes: inside, it would cover a curve somewhere."""
    figure.legend(loc="outside lower left", ncols=columns)


def _counts(found: Evaluation) -> str:
    return f", n = {found.n:,} ({found.dsat:,} DSAT)"


def _told(score: Interval) -> str:
    if score.value is None:
        return "n/a"
    bounds = "" if score.low is None else f" ({score.low:.2f}–{score.high:.2f})"
    return f"{score.value:.2f}{bounds}"
