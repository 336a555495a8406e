"""What the `driftmine detector` commands do; each returns the exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from driftmine import render_detector as tables
from driftmine.session import Session, need_extra
from warehouse.errors import SettingsError

if TYPE_CHECKING:
    from mining.evaluate import Evaluation
    from mining.labelled import Given
    from mining.metrics import Interval
    from warehouse.catalog import Catalog

Pick = Callable[[Session, "Sequence[Given]"], "Sequence[Given]"]
UNLABELLED = 3  # exit code: finished, but rows are left without a label
NO_LABELS = "no row has a label: the follow-ups were scored, and nothing could be measured"


def evaluate(
    session: Session, file: Path, detector: str, *, scores: Path | None, folder: Path | None
) -> int:
    """Measure a detector on a file; write a score per row, and a report with plots, if asked."""
    need_extra("etl", "spacy")
    from mining.detector import load_detector
    from mining.evaluate import measure
    from mining.labelled import read_labelled
    from mining.options import MiningOptions
    from mining.scored import score, write_scores

    if scores is not None and scores.resolve() == file.resolve():
        raise SettingsError(f"{scores}: --scores would write over the labels. Name another file.")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be is known at once
    rows = read_labelled(file)
    scored = score(load_detector(MiningOptions(detector=detector)), rows)
    if scores is not None:
        write_scores(scored, scores)
    found = measure(scored, seed=0)
    value = flat(found)
    if not found.labelled:
        session.console.note(f"{file}: {NO_LABELS}")
    page = None
    if folder is not None:
        from driftmine.report.evaluation import write_evaluation

        written = write_evaluation(folder, found, scored, file=file, now=session.now)
        page = Path(written.report)
        if written.no_plots:
            session.console.note(written.no_plots)
        value |= msgspec.structs.asdict(written)
    session.console.result(value, lambda: tables.evaluation(found, page))
    return 0


def flat(found: Evaluation) -> dict[str, Any]:
    """The bare scores on top, where a script looks for them; their intervals under `scores`.

    Every score has its key, null where there are no labels or it is undefined.
    """
    values = dict.fromkeys(tables.SCORES) | _values(found.scores)
    note = {} if found.labelled else {"note": NO_LABELS}
    return {**msgspec.to_builtins(found), **values, **note}


def agree(session: Session, a: Path, b: Path) -> int:
    """Measure how far two label files agree."""
    need_extra("etl", "numpy")
    from mining.agreement import agree as compare

    found = compare(a, b)
    value = msgspec.to_builtins(found) | _values(found.scores)
    session.console.result(value, lambda: tables.agreement(found, a, b))
    return 0


def train(
    session: Session,
    files: Sequence[Path],
    out: Path,
    seed: int,
    *,
    encoder: Mapping[str, Any],
    scores: Path | None,
) -> int:
    """Fit a detector and write its folder; `encoder`: fields of an EncoderChoice, base "": none."""
    need_extra("etl", "spacy")
    need_extra("detector", "sklearn")
    from mining.fit import fit
    from mining.fitted import EncoderChoice

    choice = EncoderChoice(**encoder) if encoder["base"] else None
    told = session.console.note
    card = fit(files, out=out, seed=seed, encoder=choice, scores=scores, told=told)
    session.console.result(card, lambda: tables.card(card, out))
    return 0


def promote(session: Session, detector: str) -> int:
    """Show a detector's verdicts."""
    from warehouse.promote import promote as show

    with session.catalog() as catalog:
        found = show(catalog, detector, now=session.now)
    session.console.result(found, lambda: tables.promotion(found))
    return 0


def begin(session: Session, catalog: Catalog) -> None:
    """Before the first mining of a home: its settings say whose verdicts are shown."""
    from mining.job import detector_of
    from warehouse.promote import begin as first

    first(catalog, detector_of(session.settings.mining), now=session.now)


def _values(scores: dict[str, Interval]) -> dict[str, float | None]:
    return {name: interval.value for name, interval in scores.items()}


def label(session: Session, file: Path, out: Path, *, pick: Pick, limit: int | None) -> int:
    """Write silver labels; exit 3 where rows are left without one, and a further run may help."""
    need_extra("etl", "spacy")
    need_extra("judge", "httpx")
    from mining.labelled import read_given
    from mining.silver import label as ask

    options = session.settings.mining.judge
    if not options.base_url:
        raise SettingsError(
            "No judge is set. Name its base_url and model under [mining.judge] in "
            f"{session.home.settings}; see docs/detection.md."
        )
    if out.resolve() == file.resolve():
        raise SettingsError(f"{out}: would be written over the rows. Name another file.")
    out.parent.mkdir(parents=True, exist_ok=True)  # a folder that cannot be is known at once
    rows = pick(session, read_given(file))[:limit]
    with session.console.progress() as progress:
        found = ask(
            rows,
            out,
            options=options,
            account=f"label {session.now.isoformat()}",  # a budget of its own
            progress=session.console.stoppable(progress),
        )
    session.console.result(found, lambda: tables.labelling(found, out))
    return 0 if found.labelled == found.rows else UNLABELLED


def all_rows(session: Session, rows: Sequence[Given]) -> Sequence[Given]:
    """Every row."""
    return rows


def unsure(session: Session, rows: Sequence[Given]) -> Sequence[Given]:
    """The rows that the home's detector leaves to a judge."""
    from mining.detector import load_detector
    from mining.options import JudgeOptions
    from mining.silver import unsure as of_band

    options = session.settings.mining
    detector = load_detector(replace(options, judge=JudgeOptions()))
    return of_band(rows, detector, options.judge)
