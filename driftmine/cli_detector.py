"""The commands around a detector of dissatisfaction."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from driftmine.flags import HOME, HomeOption, JsonOption, QuietOption, call, date

detector_app = typer.Typer(
    help="Evaluate, compare, promote or train a detector of dissatisfaction."
)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the program."""
    app.add_typer(detector_app, name="detector", no_args_is_help=True)


@detector_app.command("evaluate")
def evaluate(
    file: Annotated[Path, typer.Argument(help="Follow-ups, labelled or not, JSONL.")],
    detector: Annotated[str, typer.Option(help="'default', or a detector's folder.")] = "default",
    scores: Annotated[Path | None, typer.Option(help="Write a score per row here, JSONL.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write report.html and the plots here."),
    ] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a detector on labelled follow-ups; without labels, only score them."""
    from driftmine import detectors

    words = {"scores": scores, "folder": report}
    call(home, as_json, quiet, lambda s: detectors.evaluate(s, file, detector, **words))


@detector_app.command("agree")
def agree(
    a: Annotated[Path, typer.Argument(help="Labels of one annotator, JSONL.")],
    b: Annotated[Path, typer.Argument(help="Labels of another, of the same follow-ups.")],
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how far two files of labels agree, matched by id: Cohen's kappa."""
    from driftmine import detectors

    call(home, as_json, quiet, lambda s: detectors.agree(s, a, b))


@detector_app.command("compare")
def compare(
    a: Annotated[str, typer.Argument(help="A detector, or a stored version, name@version.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First log date; default all.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Log date to stop before.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, metavar="N", help="Of changes, each way.")] = 5,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare two detectors on the warehouse's turns; nothing is published."""
    from driftmine import compare as work

    words: dict[str, Any] = {
        "first": date(since) if since else dt.date.min,
        "end": date(until) if until else dt.date.max,
        "examples": examples,
    }
    call(home, as_json, quiet, lambda s: work.compare(s, a, b, **words))


@detector_app.command("promote")
def promote(
    detector: Annotated[
        str, typer.Argument(metavar="NAME@VERSION", help="As the view detector_versions has it.")
    ],
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show readers and trainers a detector's verdicts, in every night that it has mined."""
    from driftmine import detectors

    call(home, as_json, quiet, lambda s: detectors.promote(s, detector))


@detector_app.command("train")
def train(
    files: Annotated[list[Path], typer.Argument(help="Labelled follow-ups, JSONL.")],
    out: Annotated[Path, typer.Option(help="Folder to write the detector to.")],
    seed: Annotated[int, typer.Option(help="Of the folds and the fit.")] = 0,
    scores: Annotated[
        Path | None, typer.Option(help="Write what is said of each row out of fold here, JSONL.")
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(metavar="MODEL", help="Also fine-tune this encoder: a folder or a name."),
    ] = "",
    epochs: Annotated[float, typer.Option(min=0.01, help="Of fine-tuning.")] = 3.0,
    learning_rate: Annotated[float, typer.Option(min=1e-9, help="Of fine-tuning.")] = 5e-5,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Keep only so many of its layers.")
    ] = None,
    languages: Annotated[
        str, typer.Option(help="ISO 639-1 codes that it is asked about, by commas; '': all.")
    ] = "en",
    kind: Annotated[
        str, typer.Option(help="onnx: small, without torch. transformers: whole, for a GPU.")
    ] = "onnx",
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fit a detector to labelled follow-ups."""
    from driftmine import detectors

    if kind not in ("onnx", "transformers"):
        raise typer.BadParameter(f"--kind {kind}: write onnx or transformers.")
    asked: dict[str, Any] = {
        "base": encoder,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "layers": layers,
        "languages": tuple(code for code in languages.split(",") if code),
        "kind": kind,
    }
    words: dict[str, Any] = {"encoder": asked, "scores": scores}
    call(home, as_json, quiet, lambda s: detectors.train(s, files, out, seed, **words))


@detector_app.command("label")
def label(
    file: Annotated[Path, typer.Argument(metavar="IN", help="Follow-ups, labelled or not, JSONL.")],
    out: Annotated[Path, typer.Argument(help="File to write the labelled ones to.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Label only so many rows.")] = None,
    uncertain: Annotated[
        bool,
        typer.Option("--uncertain", help="Only rows that the detector of [mining] is unsure of."),
    ] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let the judge of [mining.judge] label follow-ups, for `detector train`."""
    from driftmine import detectors

    pick = detectors.unsure if uncertain else detectors.all_rows
    call(home, as_json, quiet, lambda s: detectors.label(s, file, out, pick=pick, limit=limit))
