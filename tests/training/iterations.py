"""One iteration outside a cycle."""

from collections.abc import Sequence
from pathlib import Path

from training.examples import of_dsat
from training.iteration import Learned, Material, Places, Stopwatch, learn
from training.methods import Drift, Task
from training.options import TrainingOptions
from training.work import Work
from warehouse.records import DsatTurn

Turns = Sequence[DsatTurn]


def placed(source: str, folder: Path) -> Places:
    return Places(source=source, base=source, folder=folder / "learned", work=Work(folder))


def learned_from(places: Places, turns: Turns, heldout: Turns, options: TrainingOptions) -> Learned:
    method = Drift(guided=options.guided, keep_cut_off=options.keep_cut_off)
    material = Material(
        tasks=tuple(Task(example=of_dsat(turn), method=method) for turn in turns),
        heldout=tuple(of_dsat(turn) for turn in heldout),
        canaries=(),
    )
    return learn(places, material, options, Stopwatch(), None)
