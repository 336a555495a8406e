"""Looks at a policy in the middle of its update, and the end that they may put to it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from training.options import LoraOptions, StopOptions

torch = pytest.importorskip("torch")

from tests.training.test_update import OPTIONS, Pairs, pairs, trained, weights  # noqa: E402
from training import update  # noqa: E402
from training.look import looker  # noqa: E402
from training.policy import Policy, load  # noqa: E402
from training.watch import Look  # noqa: E402

__all__ = ["pairs", "trained"]


def test_an_update_that_leaves_every_limit_behind_is_ended(trained: Policy, pairs: Pairs) -> None:
    def look(step: int) -> Look:
        return Look(step=step, kl=9.0 * step, length_ratio=1.0, chosen_change=0.0)

    options = replace(OPTIONS, epochs=4, stop=StopOptions(looks=11, max_kl=20))
    report = update.update(trained, pairs, options, look=look)
    assert [one.step for one in report.looks] == [1, 2, 3]
    assert report.steps == 3 == len(report.curve)
    assert report.stopped == ("kl: 27 nats an answer, the limit is 20",)


ENDS = {
    "its last step kept": (1, 3, 0),
    "its last step taken again": (2, 2, 0),
    "adapters": (1, 3, 4),
}


@pytest.mark.parametrize("every, resumed_at, rank", ENDS.values(), ids=ENDS)
def test_an_early_end_outlives_the_process(
    every: int, resumed_at: int, rank: int, policy_folder: Path, pairs: Pairs, tmp_path: Path
) -> None:
    """Killed after its update: no step more is taken, and no look is taken again."""

    def look(step: int) -> Look:
        return Look(step=step, kl=math.nan if step == 3 else 0, length_ratio=1, chosen_change=0)

    def none(step: int) -> Look:
        raise AssertionError(step)

    options = replace(
        OPTIONS, epochs=4, stop=StopOptions(looks=11), checkpoint_steps=every,
        lora=LoraOptions(rank=rank),
    )  # fmt: skip
    killed, again = load(str(policy_folder)), load(str(policy_folder))
    first = update.update(killed, pairs, options, work=tmp_path, look=look)
    assert (first.steps, len(first.looks), len(first.stopped)) == (3, 3, 1)
    found = update.update(again, pairs, options, work=tmp_path, look=none)
    assert repr(found) == repr(replace(first, resumed_at=resumed_at)), "but a NaN is its own"
    expected = weights(killed)
    assert all(torch.equal(one, expected[name]) for name, one in weights(again).items())


def test_looks_before_a_kill_are_told_too(
    policy_folder: Path, pairs: Pairs, tmp_path: Path
) -> None:
    taken: list[int] = []

    def look(step: int) -> Look:
        taken.append(step)
        return Look(step=step, kl=0, length_ratio=1, chosen_change=0)

    def kill(done: int, total: int, _: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    options = replace(OPTIONS, epochs=2, stop=StopOptions(looks=5), checkpoint_steps=2)
    with pytest.raises(KeyboardInterrupt):
        update.update(
            load(str(policy_folder)), pairs, options, work=tmp_path, look=look, progress=kill
        )
    found = update.update(load(str(policy_folder)), pairs, options, work=tmp_path, look=look)
    assert [one.step for one in found.looks] == [1, 2, 3, 4, 5] == taken
    assert (found.resumed_at, found.steps, found.stopped) == (2, 6, ())


LOOKS = {
    "as before": (0.0, 1.0, 0.0, []),
    "shorter": (0.0, 0.2, 0.5, []),
    "far": (5.1, 1.0, 0.0, ["kl"]),
    "long": (0.0, 2.1, 0.0, ["length_ratio"]),
    "falling": (0.0, 1.0, -0.6, ["chosen_drop"]),
    "not a number": (math.nan, 1.0, math.nan, ["kl", "chosen_drop"]),
}


@pytest.mark.parametrize("kl, length, chosen, broken", LOOKS.values(), ids=LOOKS)
def test_looks(kl: float, length: float, chosen: float, broken: list[str]) -> None:
    look = Look(step=1, kl=kl, length_ratio=length, chosen_change=chosen)
    assert [line.split(":")[0] for line in look.objections(StopOptions())] == broken


def test_a_look_measures_how_far_a_policy_has_come(trained: Policy, pairs: Pairs) -> None:
    options = replace(OPTIONS, max_new_tokens=8)
    look = looker(trained, pairs, options)
    assert look is not None
    now = look(0)
    assert (now.kl, now.length_ratio, now.chosen_change) == (0.0, 1.0, 0.0)
    update.update(trained, pairs, replace(options, learning_rate=1e-3))
    later = look(3)
    # Steps as long as these make even what is to be preferred less likely.
    assert later.kl > 1 and later.chosen_change < -0.1
    assert looker(trained, (), options) is None
    assert looker(trained, pairs, replace(options, stop=StopOptions(looks=0))) is None
