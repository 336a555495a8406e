"""Samples and other work that outlive a process that was killed."""

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from training import work
from training.prompts import Prompt
from warehouse.records import Message, Role

torch = pytest.importorskip("torch")

from training.policy import Policy, load  # noqa: E402
from training.samplers.base import Sample, Sampling  # noqa: E402
from training.samplers.hf import HfSampler  # noqa: E402
from training.samplers.kept import KeptSampler  # noqa: E402

PARAMETERS = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=6, max_prompt_tokens=64, batch=2)
PROMPTS: list[Prompt] = [(Message(role=Role.USER, content="river " * n),) for n in (3, 1, 5, 2, 4)]


class Counting:
    """Draws as another does, and fails after so many batches."""

    def __init__(self, policy: Policy, until: int = 99) -> None:
        self.inner = HfSampler(policy=policy)
        self.left = until
        self.batches: list[list[Prompt]] = []

    def sample(self, prompts: Sequence[Prompt], parameters: Sampling, seed: int) -> list[Sample]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.batches.append(list(prompts))
        return self.inner.sample(prompts, parameters, seed)


@pytest.fixture(scope="module")
def policy(policy_folder: Path) -> Policy:
    return load(str(policy_folder))


def kept(policy: Policy, path: Path, inner: Counting, key: str = "weights") -> KeptSampler:
    return KeptSampler(inner=inner, policy=policy, path=path, key=key)


def test_a_killed_draw_goes_on_where_it_was(policy: Policy, tmp_path: Path) -> None:
    path, whole = tmp_path / "killed", Counting(policy)
    expected = kept(policy, tmp_path / "whole", whole).sample(PROMPTS, PARAMETERS, 7)
    assert [len(batch) for batch in whole.batches] == [2, 2, 1]
    with pytest.raises(KeyboardInterrupt):
        kept(policy, path, Counting(policy, until=2)).sample(PROMPTS, PARAMETERS, 7)
    path.write_bytes(path.read_bytes() + b'["half a li')
    rest = Counting(policy)
    assert kept(policy, path, rest).sample(PROMPTS, PARAMETERS, 7) == expected
    assert rest.batches == whole.batches[2:]
    none = Counting(policy, until=0)
    assert kept(policy, path, none).sample(PROMPTS, PARAMETERS, 7) == expected


@pytest.mark.parametrize("seed, key", [(8, "weights"), (7, "other weights")])
def test_another_draw_is_drawn(seed: int, key: str, policy: Policy, tmp_path: Path) -> None:
    kept(policy, tmp_path / "s", Counting(policy)).sample(PROMPTS, PARAMETERS, 7)
    again = Counting(policy)
    kept(policy, tmp_path / "s", again, key).sample(PROMPTS, PARAMETERS, seed)
    assert len(again.batches) == 3


def test_answers_stand_in_the_order_of_their_prompts(policy: Policy, tmp_path: Path) -> None:
    found = kept(policy, tmp_path / "s", Counting(policy)).sample(PROMPTS, PARAMETERS, 7)
    assert [list(one.prompt) for one in found] == [policy.prompt_ids(p) for p in PROMPTS]


def test_work_is_found_by_what_it_depends_on(tmp_path: Path) -> None:
    one = work.folder(tmp_path, "policy", {"lr": 1}, [1, 2])
    assert work.folder(tmp_path, "policy", {"lr": 1}, [1, 2]) == one
    assert work.folder(tmp_path, "policy", {"lr": 2}, [1, 2]) != one
    work.finish(one)
    assert not one.exists()
    assert work.forget(tmp_path) == 1
    assert list((tmp_path / "work").iterdir()) == []
    assert work.forget(tmp_path / "elsewhere") == 0


def test_work_that_nobody_came_back_to_goes(tmp_path: Path) -> None:
    now = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    old, new = (work.folder(tmp_path, name) for name in ("old", "new"))
    for path, days in ((old, 8), (new, 6)):
        at = (now - dt.timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    work.sweep(tmp_path, now=now)
    assert (old.exists(), new.exists()) == (False, True)
