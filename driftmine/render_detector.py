"""Tables of the `driftmine detector` commands. Intervals are 95%, by conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from driftmine.render import facts, grid, near

if TYPE_CHECKING:
    from mining.agreement import Agreement
    from mining.card import Card
    from mining.evaluate import Evaluation, Part
    from mining.metrics import Interval
    from mining.scored import Mistake
    from mining.silver import Labelling
    from warehouse.promote import Promotion

UNDEFINED = "n/a"
# Scores in the order in which they are shown: name -> heading.
SCORES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "pr_auc": "PR AUC",
    "roc_auc": "ROC AUC",
    "ece": "ECE",
    "precision_at_trainable": "precision, trainable",
    "recall_at_trainable": "recall, trainable",
}
RATES = {"dsat_rate": "called DSAT", "rate_at_trainable": "P ≥ trainable"}
HEADINGS = SCORES | RATES | {"called_dsat": "called\nDSAT"}
# What is shown of a part of the rows, and of a category.
OF_PART = ("precision", "recall", "f1", "pr_auc", "roc_auc", "ece")
OF_CATEGORY = ("precision", "recall", "f1", "pr_auc", "roc_auc", "called_dsat")


def evaluation(report: Evaluation, page: Path | None) -> RenderableType:
    """What `driftmine detector evaluate` shows."""
    scores = [(name, interval(found)) for name, found in report.scores.items()]
    shown: list[RenderableType] = [facts("Detector", [*head(report), *scores])]
    columns = OF_PART if report.labelled else tuple(RATES)
    if report.labelled:
        shown.append(parts("category", report.by_category, OF_CATEGORY))
    else:
        called = [(name, n, f"{n / report.n:.1%}") for name, n in report.called.items()]
        shown.append(grid("What they were called", ("category", "rows", "share"), called))
    shown += [parts(name, found, columns) for name, found in kinds(report).items()]
    if report.labelled:
        shown += [
            confusion("Rows by label (down) and by what they were called", report.confusion),
            _mistakes(report.mistakes),
        ]
    else:
        bins = [(name, n) for name, n in histogram(report.histogram["all"])]
        shown.append(grid("What the detector says", ("P(DSAT)", "rows"), bins))
    if page:
        shown.append(facts("Written", [("report", near(page.resolve()))]))
    return Group(*(part for block in shown for part in (block, Text(""))))


def head(report: Evaluation) -> Iterable[tuple[str, str]]:
    """What was measured, in words."""
    yield "detector", f"{report.detector} {report.detector_version}"
    thresholds = report.thresholds
    yield "thresholds", f"report {thresholds.report:.3f}, trainable {thresholds.trainable:.3f}"
    if not report.labelled:
        yield "rows", f"{report.n:,} scored; no row has a label, so nothing could be measured"
        return
    yield (
        "rows",
        f"{report.n:,} scored, {report.dsat:,} of them DSAT; {report.left_out:,} left out",
    )
    yield "conversations", f"{report.groups:,}"


def kinds(report: Evaluation) -> dict[str, dict[str, Part]]:
    """The ways in which the rows were split, but for those that nothing is known of."""
    found = {
        "language": report.by_language,
        "source": report.by_source,
        "hard flag": report.by_hard,
    }
    return {name: by for name, by in found.items() if by}


def parts(of: str, found: Mapping[str, Part], columns: Sequence[str]) -> Table:
    """Scores of parts of the rows, their intervals below them."""
    table = _table(of)
    for heading in ("rows", *(HEADINGS[column] for column in columns)):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, part in found.items():
        cells = [_cell(part.scores.get(column)) for column in columns]
        table.add_row(Text(plain(name)), f"{part.n:,}", *cells)
    return table


def confusion(title: str, counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Columns go by their numbers: seven names would not fit on a line."""
    numbers = [str(at) for at in range(1, len(counts) + 1)]
    rows = [
        (f"{number} {name}", *row.values())
        for number, (name, row) in zip(numbers, counts.items(), strict=True)
    ]
    return grid(title, ("", *numbers), rows)


def histogram(counts: Sequence[int]) -> Iterable[tuple[str, int]]:
    """Bins of equal width in [0, 1], by their bounds."""
    width = 1 / len(counts)
    for at, count in enumerate(counts):
        yield f"{at * width:.2f}–{(at + 1) * width:.2f}", count


def _mistakes(found: Sequence[Mistake]) -> RenderableType:
    if not found:
        return Text("No mistakes.")
    table = _table("label", "called", "P(DSAT)")
    # One line each: the page has the texts.
    table.add_column("the surest mistakes", no_wrap=True, overflow="ellipsis", ratio=1)
    table.expand = True
    for mistake in found:
        label = str(mistake.label or mistake.signal)
        text = Text(plain(mistake.follow_up))
        table.add_row(label, str(mistake.called), f"{mistake.probability:.2f}", text)
    return table


def _table(*columns: str) -> Table:
    """Without a frame: eight columns fit on a terminal's 80 characters."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def agreement(found: Agreement, a: Path, b: Path) -> RenderableType:
    """What `driftmine detector agree` shows."""
    rows = [
        ("A", near(a.resolve())),
        ("B", near(b.resolve())),
        ("only in A", found.only_in_a),
        ("only in B", found.only_in_b),
        ("without a label", found.unlabelled),
        ("7 categories, n", found.n),
        ("  kappa", interval(found.scores["kappa"])),
        ("  agreement", interval(found.scores["agreement"])),
        ("DSAT or not, n", found.n_dsat),
        ("  kappa", interval(found.scores["kappa_dsat"])),
        ("  agreement", interval(found.scores["agreement_dsat"])),
    ]
    table = confusion("Rows by A (down) and by B", found.confusion)
    return Group(facts("Agreement", rows), table)


def card(shown: Card, out: Path) -> RenderableType:
    """What `driftmine detector train` made."""
    rows = [
        ("detector", f"{shown.name} {shown.version}"),
        ("folder", near(out.resolve())),
        ("rows", shown.rows),
        ("thresholds", f"report {shown.thresholds.report:.3f}, "
                       f"trainable {shown.thresholds.trainable:.3f}"),
        *((f"{name} (out of fold)", value) for name, value in shown.scores.items()),
    ]  # fmt: skip
    return facts("Detector", rows)


def interval(found: Interval) -> str:
    """A score and its bounds on one line."""
    if found.value is None:
        return UNDEFINED
    bounds = _bounds(found)
    return f"{found.value:.3f}" + (f" ({bounds})" if bounds else "")


def plain(text: str) -> str:
    """A user's text on one line: no character that could steer a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def promotion(found: Promotion) -> RenderableType:
    """What `driftmine detector promote` changed."""
    others = ", ".join(f"{plain(name)} in {n:,}" for name, n in found.other_nights.items())
    rows = [
        ("detector", plain(found.detector)),
        ("commit", found.commit_id or "none: it was promoted last already"),
        ("nights that changed", found.changed_nights),
        ("nights without its verdicts", f"they go on showing {others}" if others else "none"),
    ]
    return facts("Promoted", rows)


def _cell(found: Interval | None) -> Text:
    if found is None:
        return Text("")
    if found.value is None:
        return Text(UNDEFINED)
    # ".46–1.0" and not "0.46–1.00", so that the table fits.
    bounds = _bounds(found).replace("0.", ".").replace("1.00", "1.0")
    return Text.assemble(f"{found.value:.3f}\n", (bounds, "dim"))


def _bounds(found: Interval) -> str:
    return "" if found.low is None else f"{found.low:.2f}–{found.high:.2f}"


def labelling(found: Labelling, out: Path) -> RenderableType:
    """What `driftmine detector label` shows."""
    judge = found.judge
    left = judge.failed | judge.not_asked
    rows = [
        ("labelled", f"{found.labelled:,} of {found.rows:,} rows"),
        ("labels", counted(found.by_label)),
        ("without a label", counted(left)),
        ("judge", f"{found.model}, {found.prompt}"),
        ("answers", f"{judge.answered:,} new, {judge.cached:,} of earlier runs"),
        ("requests", f"{judge.requests:,}, {judge.repaired:,} replies repaired"),
        ("tokens", f"{judge.tokens_in:,} in, {judge.tokens_out:,} out"),
        ("cost", f"{judge.cost:.4f}"),
        ("written", out),
    ]
    return facts("Silver labels", rows)


def counted(counts: Mapping[str, int]) -> str:
    """Counts by name in one line."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"
