"""Results as tables that a person can read at 3 a.m."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from driftmine.report.updates import judged

if TYPE_CHECKING:
    from driftmine.home import Home
    from driftmine.night import NightReport
    from ingestion.job import IngestReport
    from mining.job import MineReport
    from training.report import TrainReport


# What several nights of ingestion add up to.
_COUNTS = (
    "lines_in", "conversations", "near_duplicates", "turns", "seed_pairs", "rejected",
    "duplicates", "suppressed",
)  # fmt: skip


def facts(title: str, rows: Iterable[tuple[str, object]]) -> Text:
    """Names on the left, values on the right; lines are never folded, so they can be pasted."""
    shown = [(name, _shown(value)) for name, value in rows]
    width = max((len(name) for name, _ in shown), default=0)
    # Text, not str: brackets in a user's text are no markup.
    lines = [Text(title, style="italic")]
    lines += [
        Text.assemble("  ", (name.ljust(width), "bold"), "  ", value) for name, value in shown
    ]
    return Text("\n").join(lines)


def grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """An ordinary table; numbers to the right."""
    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold", padding=(0, 1))
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    return table


def added(reports: Sequence[IngestReport]) -> dict[str, Any]:
    """The counts of several dates as one."""
    total: dict[str, Any] = {name: sum(getattr(r, name) for r in reports) for name in _COUNTS}
    for name in ("rejected_by_reason", "redacted"):
        by_name: Counter[str] = Counter()
        for report in reports:
            by_name.update(getattr(report, name))
        total[name] = dict(by_name.most_common())
    return total


def ingested(
    total: dict[str, Any], reports: Sequence[IngestReport], files: int, held: str
) -> RenderableType:
    """The table at the end of `driftmine ingest`; `held`: what the data-quality limits said."""
    if not reports:
        return Text(f"Nothing to do: the warehouse holds all {files} logs already.")
    new = sum(len(report.new_files) for report in reports)
    rows = [
        ("logs", f"{new} new of {files}"),
        ("lines in", total["lines_in"]),
        ("conversations", _with_twins(total["conversations"], total["near_duplicates"])),
        ("turns", total["turns"]),
        ("seed pairs", total["seed_pairs"]),
        ("rejected", _counted(total["rejected"], total["rejected_by_reason"])),
        ("duplicates", total["duplicates"]),
        ("suppressed", total["suppressed"]),
        ("redacted", _counted(sum(total["redacted"].values()), total["redacted"])),
    ]
    if held:
        rows.append(("NOT INGESTED", held))
    nights = sorted({night for report in reports for night in report.nights})
    dates = ", ".join(map(str, nights)) if len(nights) < 5 else f"{nights[0]} to {nights[-1]}"
    return facts(f"Ingested into {dates or 'nothing new'}", rows)


def _with_twins(conversations: int, twins: int) -> str:
    return f"{conversations:,}" + (f" ({twins} of them near-duplicates)" if twins else "")


def mined(reports: Sequence[MineReport]) -> RenderableType:
    """The table at the end of `driftmine mine`."""
    columns = ("log date", "follow-ups", "DSAT", "trainable", "detector", "mined")
    rows = [
        (
            str(report.log_date),
            report.follow_ups,
            report.dsat,
            report.trainable,
            f"{report.detector} {report.detector_version}",
            "now" if report.published else "before",
        )
        for report in reports
    ]
    return grid("", columns, rows) if rows else Text("Nothing to mine: no turns of these dates.")


def trained(report: TrainReport) -> RenderableType:
    """The table at the end of `driftmine train`."""
    rows = [
        *(("NOTE", note) for note in report.notes),
        ("version", report.version),
        ("parent", report.parent),
        ("batch", f"{report.batch_size} turns"),
        ("pairs", _counted(report.pairs, report.pairs_by_method)),
        ("no pair", _counted(sum(report.filtered.values()), report.filtered)),
        ("prompts cut", report.truncated_prompts),
        *_moved(report),
        ("gate", gate(report.promoted, report.gate.reasons)),
        ("seconds", ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())),
    ]
    return facts("Update", rows)


def _moved(report: TrainReport) -> Iterable[tuple[str, object]]:
    """How the update went, and what it did to held-out turns."""
    done, moved = report.update, report.metrics
    again = f", from step {done.resumed_at} on" if done.resumed_at else ""
    yield "update", f"{done.steps} steps{again}, loss {done.first_loss:.4f} to {done.last_loss:.4f}"
    before, after = report.gradients
    if before and after:
        yield "DPO gradient", f"{before.norm:.3g} to {after.norm:.3g} (bound {after.bound:.3g})"
    if moved is None:
        return
    yield "KL", f"{moved.kl:.3f} nats an answer to the parent, {moved.kl_base:.3f} to the base"
    yield "answers", f"{moved.length_ratio:.2f} times as long, {moved.distinct_share:.0%} distinct"
    yield from judged(asdict(moved))
    for part in moved.slices:
        change = part.change
        yield (
            part.name,
            f"{part.before:.3f} to {part.after:.3f} ({change.low:+.3f} {change.high:+.3f})",
        )


def gate(promoted: bool, reasons: Sequence[str]) -> str:
    """The gate's answer as a sentence."""
    return "passed: it is the champion now" if promoted else f"held: {'; '.join(reasons)}"


def night(report: NightReport, home: Home) -> RenderableType:
    """The table at the end of `driftmine nightly`, and what to look at next."""
    if report.nothing_to_do:
        return Text(
            f"Nothing to do for {report.log_date}: no new logs, nothing left to mine; "
            f"{report.training}.\nThe night's report: {near(Path(report.page))}"
        )
    parts: list[RenderableType] = [facts(f"Night of {report.log_date}", _night_rows(report))]
    if report.dsat_by_model:
        rates = [
            (model, count.follow_ups, count.dsat, f"{count.rate:.1%}")
            for model, count in report.dsat_by_model.items()
        ]
        parts.append(
            grid("Dissatisfaction by model", ["model", "follow-ups", "DSAT", "rate"], rates)
        )
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in report.seconds.items())
    parts.append(Text(f"Seconds: {seconds}; peak memory {report.peak_memory_mb:,} MB"))
    parts.append(facts("Look at next", _next_steps(report, home)))
    return Group(*parts)


def _next_steps(report: NightReport, home: Home) -> Iterable[tuple[str, object]]:
    program, root = _program(), shlex.quote(near(home.root))
    yield "the report", near(Path(report.page))
    yield "in SQL", f'{program} sql --home {root} "FROM dsat_rate_daily"'
    yield "in DuckDB", near(home.warehouse / "warehouse.duckdb")
    if report.model_version:
        yield "the model", f"{program} models show {report.model_version} --home {root}"


def _program() -> str:
    """The program as it was called, so that what is printed can be pasted."""
    called = Path(sys.argv[0])
    return "driftmine" if called.name != "driftmine" or shutil.which("driftmine") else near(called)


def near(path: Path) -> str:
    """A path as short as it can be said from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _night_rows(report: NightReport) -> Iterable[tuple[str, object]]:
    if report.held_logs:
        yield "NOT INGESTED", report.held_logs
    if report.not_shown:
        yield "NOT SHOWN", report.not_shown
    yield "lines in", report.lines_in
    yield "rejected", _counted(report.rejected, report.rejected_by_reason)
    yield "duplicates", report.duplicates
    yield "suppressed", report.suppressed
    yield "redacted", _counted(sum(report.redacted.values()), report.redacted)
    if report.seed_pairs:
        yield "seed pairs", report.seed_pairs
    yield "conversations", _with_twins(report.conversations, report.near_duplicates)
    yield "turns", report.turns
    yield "follow-ups", report.follow_ups
    yield "DSAT", _counted(report.dsat, report.dsat_by_category)
    yield "trainable", report.trainable
    if report.completed:
        yield "completed", f"{', '.join(report.completed)}, of a run that was killed"
    if report.model_version is None:
        yield "update", f"none: {report.training}"
        return
    yield "batch", f"{report.batch_size} turns, {report.pairs} preference pairs"
    yield "model", report.model_version
    yield "gate", gate(report.promoted, report.gate)


def _counted(total: int, parts: dict[str, int]) -> str:
    detail = ", ".join(f"{name} {count:,}" for name, count in parts.items())
    return f"{total:,} ({detail})" if detail else f"{total:,}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
