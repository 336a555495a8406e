"""Chosen answers drawn from where the line began, once the policy has moved on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from training.options import TrainingOptions
from warehouse.records import DsatTurn

pytest.importorskip("torch")

from tests.training.iterations import learned_from, placed  # noqa: E402
from training import tiny  # noqa: E402

OPTIONS = TrainingOptions(
    max_length=256, max_prompt_tokens=128, max_new_tokens=8, batch_size=4, resample=20
)


def test_answers_are_drawn_from_the_policy_that_is_named(
    policy_folder: Path, tmp_path: Path, make_turns: Callable[[int], list[DsatTurn]]
) -> None:
    moved = tmp_path / "other"
    tiny.make(moved, 1, hidden=32, layers=2, heads=2, warm_up=5)
    turns = make_turns(4)

    def chosen(source: Path, base: Path, name: str, **settings: str) -> list[str]:
        (tmp_path / name).mkdir()
        places = replace(placed(str(source), tmp_path / name), base=str(base))
        learned = learned_from(places, turns, turns[:1], replace(OPTIONS, **settings))
        return [pair.chosen for pair in learned.pairs.pairs]

    by_base = chosen(policy_folder, policy_folder, "base")
    by_policy = chosen(moved, policy_folder, "moved")
    assert chosen(moved, policy_folder, "ablation", draw_from="base") == by_base != by_policy
