"""What the learning rate does to an update, and what the gate says of it.

    driftmine nightly --home HOME --logs LOGS...        # once, to have turns to train on
    python bench/gate.py HOME [--rates 5e-7 2e-6 1e-5 5e-5]

Works on a copy of the home's warehouse and policy: one update a rate, each on the same batch from
the same policy, with the home's settings. Prints a Markdown row a rate.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from driftmine.home import Home
from driftmine.settings import load
from training.cycle import train
from training.options import TrainingOptions
from training.report import TrainReport
from warehouse.catalog import Catalog


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-7, 2e-6, 1e-5, 5e-5])
    given = parser.parse_args()
    home, options = Home(given.home), load(Home(given.home).settings).training
    print("| learning rate | pairs | KL, nats | margin | length ratio | seconds | gate |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as copied:
        shutil.copytree(home.warehouse, Path(copied) / "warehouse")
        catalog = Catalog.open(Path(copied) / "warehouse")
        for number, rate in enumerate(given.rates):
            # A stream and a registry of its own: every rate gets the same turns and parent.
            trial = replace(options, learning_rate=rate, stream=f"gate-{number}")
            print(row(rate, run(catalog, home, trial, Path(copied) / f"models-{number}")))


def run(catalog: Catalog, home: Home, options: TrainingOptions, models: Path) -> TrainReport:
    report = train(
        catalog, models=models, options=options, default_policy=home.policy,
        now=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    assert report is not None, "the home has too few trainable turns"
    return report


def row(rate: float, report: TrainReport) -> str:
    moved = report.metrics
    assert moved is not None, "the home has no held-out turns"
    gate = "promotes" if report.promoted else f"holds: {'; '.join(report.gate.reasons)}"
    return (
        f"| {rate:g} | {report.pairs} | {moved.kl:.2f} | {moved.pairs.margin:.2f} | "
        f"{moved.length_ratio:.2f} | {sum(report.seconds.values()):.1f} | {gate} |"
    )


if __name__ == "__main__":
    main()
