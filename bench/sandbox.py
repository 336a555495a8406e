"""The sandbox, measured: several seeds of several runs, side by side, one process each.

    python bench/sandbox.py methods               the methods, each at its own best rate
    python bench/sandbox.py rates                 how those rates were chosen, on a seed of its own
    python bench/sandbox.py collapse              DRIFT at a high rate, with the gate and without it
    python bench/sandbox.py poison                hostile users, with the caps and without them
    python bench/sandbox.py ablations

What is finished lies in --home and is not done again; the page there is of the run that ended last.
Other options (`--nights 5`) are those of every run. Prints Markdown; --json FILE keeps all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

SEEDS = (0, 1, 2)
DEVELOPMENT = 100  # never among those that are reported
RANKED = ("--method", "iterdpo", "--reward-noise", "1")
METHODS = {
    "drift": ("--method", "drift"),
    "iterdpo": ("--method", "iterdpo"),
    "iterdpo, reward model": RANKED,
    "spin": ("--method", "spin"),
}
RATES = (5e-5, 1e-4, 2e-4, 3e-4, 4e-4)  # of every method
COLLAPSE = 2e-3
HOSTILE = 0.2
ABLATIONS = (
    "off-request", "unguided", "from-base", "perfect-detector", "no-gate", "no-threshold",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One row of a table."""

    name: str
    words: tuple[str, ...]  # of the command


def cases(what: str) -> list[Case]:
    """What is measured."""
    rate = f"{COLLAPSE:g}"
    match what:
        case "methods":
            return [Case(name, words) for name, words in METHODS.items()]
        case "rates":
            return [
                Case(
                    f"{name} {one:g}",
                    (*METHODS[name], "--lr", f"{one:g}", "--ablation", "no-gate"),
                )
                for name in METHODS
                for one in RATES
            ]
        case "collapse":
            return [
                Case("no gate", ("--lr", rate, "--ablation", "no-gate")),
                Case("gate", ("--lr", rate)),
            ]
        case "poison":
            hostile = ("--poison", f"{HOSTILE:g}")
            return [
                Case("nobody hostile", ()),
                Case("hostile, caps", hostile),
                Case("hostile, no caps", (*hostile, "--ablation", "no-caps")),
                Case("hostile, no caps, no gate", (*hostile, *_ablated("no-caps", "no-gate"))),
            ]
    return [Case("all there", ()), *(Case(name, _ablated(name)) for name in ABLATIONS)]


def _ablated(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("--ablation", name))


def run(case: Case, seed: int, home: Path, also: Sequence[str]) -> dict[str, Any]:
    """One run, in a process and on a thread of its own."""
    command = [
        sys.executable, "-m", "driftmine", "sandbox", *case.words, "--first-seed", str(seed),
        *also, "--home", str(home), "--json", "--quiet",
    ]  # fmt: skip
    one = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **one})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    (seeds,) = json.loads(done.stdout)["methods"].values()
    found: dict[str, Any] = seeds[str(seed)]
    return found


def table(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """A row a case: the mean over seeds (and their standard deviation)."""
    nights = len(next(iter(found.values()))[0]["nights"])
    heads = ["run", "base", *(f"night {i + 1}" for i in range(nights))]
    heads += [
        "gain, by seed",
        "drawn, base and end",
        "greedy, base and end",
        "told, base and end",
        "mined DSAT by night",
        "P",
        "R",
        "KL",
        "held",
    ]
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for name, runs in found.items():
        yield "| " + " | ".join([name, *_row(runs, nights)]) + " |"


def _row(runs: Sequence[dict[str, Any]], nights: int) -> Iterator[str]:
    by_night = [[run["nights"][i] for run in runs] for i in range(nights)]
    yield _mean([run["base_reward"] for run in runs])
    for some in by_night:
        yield _mean([night["true_reward"] for night in some])
    gains = [run["nights"][-1]["true_reward"] - run["base_reward"] for run in runs]
    yield ", ".join(f"{gain:+.3f}" for gain in gains)
    for field in ("drawn", "greedy", "told"):
        base = fmean(run[f"base_{field}"] for run in runs)
        yield f"{base:.3f} → {_mean([night[f'{field}_reward'] for night in by_night[-1]])}"
    yield " → ".join(f"{fmean(n['dsat_mined'] for n in some):.3f}" for some in by_night)
    every = [night for run in runs for night in run["nights"]]
    for field in ("detector_precision", "detector_recall"):
        found = [night[field] for night in every if night[field] is not None]
        yield f"{fmean(found):.2f}" if found else ""
    kls = ([n["kl"] for n in some if n["kl"] is not None] for some in by_night)
    yield " → ".join(f"{fmean(some):.2f}" if some else "none" for some in kls)
    held = sum(bool(night["version"]) and not night["promoted"] for night in every)
    yield f"{held} of {sum(bool(night['version']) for night in every)}"


def _mean(values: Sequence[float]) -> str:
    spread = f" ({stdev(values):.3f})" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{spread}"


def main() -> None:
    """Run, then print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("what", choices=("methods", "rates", "collapse", "poison", "ablations"))
    parser.add_argument("--home", type=Path, default=Path("build/bench-sandbox"))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--only", help="cases whose name begins so")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked, also = parser.parse_known_args()
    seeds = asked.seeds or ([DEVELOPMENT] if asked.what == "rates" else list(SEEDS))
    some = [case for case in cases(asked.what) if case.name.startswith(asked.only or "")]
    todo = [(case, seed) for seed in seeds for case in some]
    with ThreadPoolExecutor(asked.processes) as pool:
        done = list(pool.map(lambda one: run(*one, asked.home, also), todo))
    found: dict[str, list[dict[str, Any]]] = {}
    for (case, _), result in zip(todo, done, strict=True):
        found.setdefault(case.name, []).append(result)
    if asked.json:
        asked.json.write_text(json.dumps(found))
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
