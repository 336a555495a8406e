"""Published figures of WildBench and AlpacaEval, computed again from their judges' replies.

    python bench/judge_replies.py JUDGE-REPLIES.json [--resamples 1000] [--seed 0]

Prints one JSON line a model: what was published, what training/judging makes of the same replies,
and, for AlpacaEval, 'LC (minimal)' beside the length-controlled rate, which is another figure.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.judging.wildbench import Group, adjusted, macro
from training.judging.winrate import alpaca_eval_win_rate, length_controlled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("replies", type=Path)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    replies = json.loads(given.replies.read_text(encoding="utf-8"))
    for line in (*wildbench(replies), *alpaca_eval(replies, given.seed, given.resamples)):
        print(json.dumps(line))


def wildbench(replies: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for model, found in replies["wildbench"].items():
        told, scores = found["published"], found["scores_1_to_10"]
        tasks = {Group(name): score for name, score in told["task_categorized_scores"].items()}
        yield {
            "benchmark": "wildbench", "model": model, "n": len(scores),
            "adjusted": adjusted(scores), "adjusted_published": told["adjusted_score"],
            "macro": macro(tasks), "macro_published": told["adjusted_task_macro_score"],
        }  # fmt: skip


def alpaca_eval(replies: dict[str, Any], seed: int, resamples: int) -> Iterator[dict[str, Any]]:
    for model, found in replies["alpaca_eval_2"].items():
        told, preferences = found["published"], found["preference_1_to_2"]
        plain = alpaca_eval_win_rate(preferences)
        lc = length_controlled(
            [p - 1 for p in preferences], found["chars_model"], found["chars_reference"],
            [str(n) for n in range(len(preferences))], seed=seed, resamples=resamples,
        )  # fmt: skip
        yield {
            "benchmark": "alpaca_eval_2", "model": model, "n": plain.n,
            "win_rate": plain.percent, "win_rate_published": told["win_rate"],
            "standard_error": plain.standard_error,
            "standard_error_published": told["standard_error"],
            "lc_minimal": lc.rate.value * 100, "low": lc.rate.low * 100, "high": lc.rate.high * 100,
            "length_controlled_published": told["length_controlled_winrate"],
            "apart": lc.rate.value * 100 - told["length_controlled_winrate"],
            "slope": lc.slope,
        }  # fmt: skip


if __name__ == "__main__":
    main()
