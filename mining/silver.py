"""Silver labels: follow-ups labelled by a model, to train a detector on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from endpoint.asking import Report
from endpoint.outcome import Outcome, Unanswered
from mining.detector import Detector
from mining.judge import asker, prompt, question, uncertain
from mining.labelled import Given
from mining.options import JudgeOptions
from mining.scored import score
from warehouse.durable import write_whole
from warehouse.errors import SourceUnavailable

if TYPE_CHECKING:
    from endpoint.timing import Timing

Progress = Callable[[int, int, str], object]


class Labelling(msgspec.Struct, frozen=True, kw_only=True):
    """What labelling some follow-ups came to."""

    rows: int  # that were to be labelled
    labelled: int  # and stand in the file now
    by_label: dict[str, int]
    model: str
    prompt: str
    judge: Report


def unsure(rows: Sequence[Given], detector: Detector, options: JudgeOptions) -> list[Given]:
    """The rows whose P(DSAT) by the detector lies in the judge's band."""
    scored = score(detector, [row.labelled for row in rows])
    probabilities = np.array([verdict.probability for verdict in scored.verdicts], dtype=np.float64)
    return [rows[at] for at in uncertain(probabilities, options)]


def label(
    rows: Sequence[Given],
    out: Path,
    *,
    options: JudgeOptions,
    account: str,
    progress: Progress | None = None,
    timing: Timing | None = None,
) -> Labelling:
    """Ask about every row, and write those that got a label into `out`, in their order.

    A row keeps its keys; `label` and `signal` are the model's, and `judge` says whose. Answers are
    kept as they come: whatever ends this, doing it again asks only what is not answered.

    Raises SettingsError, MissingExtra; SourceUnavailable where the endpoint or the store is out of
    order, and then `out` stays as it was.
    """
    judge = asker(options, account=account, timing=timing)
    try:
        answers = judge.ask([question(row.labelled.follow_up) for row in rows], progress)
    finally:
        judge.close()
    _check(answers.report, len(rows), options)
    lines = []
    labels: Counter[str] = Counter()
    for row, said in zip(rows, answers.values, strict=True):
        if isinstance(said, Unanswered):
            continue
        labels[said.category] += 1
        by = {"model": options.model, "prompt": prompt().id, "confidence": said.confidence}
        mine = {"label": said.category, "signal": said.category.signal, "judge": by}
        lines.append({**msgspec.json.decode(row.line), **mine})
    write_whole(out, msgspec.json.Encoder().encode_lines(lines))
    return Labelling(
        rows=len(rows),
        labelled=len(lines),
        by_label=dict(labels.most_common()),
        model=options.model,
        prompt=prompt().id,
        judge=answers.report,
    )


def _check(report: Report, rows: int, options: JudgeOptions) -> None:
    """Raises SourceUnavailable where the rest of the questions would have failed alike."""
    if Outcome.STORE_UNUSABLE in report.not_asked:
        raise SourceUnavailable(
            f"{options.store}: cannot be used, so no budget can be kept. Check its folder "
            "(`driftmine init` makes the home's) and that nothing else wrote it, then run again."
        )
    if Outcome.GAVE_UP in report.not_asked:
        why = ", ".join(f"{count} {reason}" for reason, count in report.failed.items())
        raise SourceUnavailable(
            f"The judge's endpoint failed too often in a row ({why}), so the rest was not asked. "
            f"{report.answered + report.cached} of {rows} answers are kept. Mend it, then run the "
            "same command again."
        )
