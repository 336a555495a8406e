"""Samples and other work that outlive a process that was killed."""

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from training.prompts import Prompt
from training.work import Work, forget, sweep, unfinished
from warehouse.errors import ErasureUnfinished
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


def test_samples_of_a_killed_process_are_gone_on_with(policy: Policy, tmp_path: Path) -> None:
    killed, other, again = (Work(tmp_path) for _ in range(3))
    kept(policy, killed.samples, Counting(policy)).sample(PROMPTS, PARAMETERS, 7)
    kept(policy, other.samples, Counting(policy)).sample(PROMPTS, PARAMETERS, 8)
    killed.close()
    other.close()
    expected = kept(policy, killed.samples, Counting(policy, until=0))
    found = kept(policy, again.samples, Counting(policy, until=0)).sample(PROMPTS, PARAMETERS, 7)
    assert found == expected.sample(PROMPTS, PARAMETERS, 7)
    again.finish()
    assert unfinished(tmp_path) == [other.samples], "that of others is left to them"


def test_samples_of_a_process_at_work_stay(policy: Policy, tmp_path: Path) -> None:
    """Two trainers on the same turns at once."""
    one, other = Work(tmp_path), Work(tmp_path)
    for each in (one, other):
        kept(policy, each.samples, Counting(policy)).sample(PROMPTS, PARAMETERS, 7)
    one.finish()
    assert unfinished(tmp_path) == [other.samples]
    other.finish()
    assert list((tmp_path / "work").iterdir()) == []


def test_an_update_is_found_by_what_it_depends_on(tmp_path: Path) -> None:
    killed = Work(tmp_path)
    one = killed.update("policy", {"lr": 1}, [1, 2])
    assert killed.update("policy", {"lr": 1}, [1, 2]) == one
    killed.close()
    again = Work(tmp_path)
    assert again.update("policy", {"lr": 2}, [1, 2]) != one
    assert again.update("policy", {"lr": 1}, [1, 2]) == one
    beside = Work(tmp_path)
    own = beside.update("policy", {"lr": 1}, [1, 2])
    assert own != one, "another process is at work there"
    again.finish()
    assert unfinished(tmp_path) == [own]


def test_who_had_nothing_to_keep_leaves_nothing(tmp_path: Path) -> None:
    Work(tmp_path).close()
    assert list((tmp_path / "work").iterdir()) == []


def test_all_of_it_is_forgotten(tmp_path: Path) -> None:
    killed = Work(tmp_path)
    killed.update("policy")
    killed.samples.write_text("[]")
    killed.close()
    (tmp_path / "work" / "samples-1.jsonl.lock").touch()  # of one that was killed at its start
    assert forget(tmp_path) == 2
    assert list((tmp_path / "work").iterdir()) == []
    assert forget(tmp_path / "elsewhere") == 0


def test_what_a_trainer_at_work_has_is_not_forgotten_in_silence(tmp_path: Path) -> None:
    killed, busy = Work(tmp_path), Work(tmp_path)
    killed.update("one")
    killed.close()
    with pytest.raises(ErasureUnfinished, match="Wait for it to end, or end it, and erase again"):
        forget(tmp_path)  # it has nothing yet, and may have turns of the user
    assert unfinished(tmp_path) == [], "all else is gone"
    update = busy.update("other")
    with pytest.raises(ErasureUnfinished, match=update.name):
        forget(tmp_path)
    assert unfinished(tmp_path) == [update]
    busy.finish()
    assert forget(tmp_path) == 0


def test_work_that_nobody_came_back_to_goes(tmp_path: Path) -> None:
    now = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    killed, busy = Work(tmp_path), Work(tmp_path)
    old, new = (killed.update(name) for name in ("old", "new"))
    killed.close()
    slow = busy.update("slow")
    alone = tmp_path / "work" / "samples-1.jsonl.lock"  # of one that was killed at its start
    alone.touch()
    for path, days in ((old, 8), (new, 6), (slow, 8), (alone, 8)):
        at = (now - dt.timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    sweep(tmp_path, now=now)
    assert unfinished(tmp_path) == sorted((new, slow))
    assert not alone.exists()
