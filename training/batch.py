"""What a cycle trains on: tasks of a leased batch, by the method that the settings name. Pure."""

from __future__ import annotations

from training.examples import of_dsat, of_sat, of_seed
from training.methods import Drift, IterDpo, Method, Seed, Spin, Task
from training.options import TrainingOptions
from warehouse.leases import Lease


def tasks(lease: Lease, options: TrainingOptions) -> list[Task]:
    """A task each: turns by the settings' method, what satisfied by SPIN, revised by the seed's."""
    keep = options.keep_cut_off
    spin, seed = Spin(keep_cut_off=keep), Seed()
    of_turns: Method = drift(options)
    if options.method == "iterdpo":
        of_turns = IterDpo(draws=options.draws, keep_cut_off=keep)
    return [
        *(Task(example=of_dsat(turn), method=of_turns) for turn in lease.turns),
        *(Task(example=of_sat(turn), method=spin) for turn in lease.satisfied),
        *(Task(example=of_seed(pair), method=seed) for pair in lease.seeds),
    ]


def drift(options: TrainingOptions) -> Drift:
    """What turns that are held out are paired by too, whatever the method."""
    return Drift(guided=options.guided, keep_cut_off=options.keep_cut_off)
