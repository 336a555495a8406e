"""A cycle that is killed, or whose machine is too small, and the one after it."""

import datetime as dt
import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training import registry
from training.options import StopOptions
from warehouse.catalog import Catalog
from warehouse.errors import ErasureUnfinished, PolicyUnusable, TrainingFailed

torch = pytest.importorskip("torch")

from tests.training.test_cycle import (  # noqa: E402
    OPEN_GATE,
    OPTIONS,
    Night,
    catalog,
    fresh,
    models,
    night,
)
from training import cycle, iteration, policy  # noqa: E402
from training.cycle import check_base, settle, train  # noqa: E402
from training.report import Start, TrainReport  # noqa: E402
from training.samplers.base import Sample, Sampling  # noqa: E402
from training.samplers.hf import HfSampler  # noqa: E402
from training.work import forget, unfinished  # noqa: E402

__all__ = ["catalog", "fresh", "models", "night"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers to train on were drawn, a batch each."""
    drawn: list[int] = []
    sample = HfSampler.sample

    def count(self: HfSampler, prompts: Any, parameters: Sampling, seed: int) -> list[Sample]:
        if parameters.top_p < 1:  # not those that policies are compared by
            drawn.append(len(prompts))
        return sample(self, prompts, parameters, seed)

    monkeypatch.setattr(HfSampler, "sample", count)
    return drawn


def killed(monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> None:
    """Run a cycle that is killed after the second step of its update."""
    update = iteration.update

    def at_step(done: int, total: int, _: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(iteration, "update", lambda *a, **o: update(*a, **o | {"progress": at_step}))
        run()


def test_a_killed_cycle_s_work_is_found_by_the_next(
    night: Night,  # noqa: F811
    models: Path,  # noqa: F811
    drawn: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed in the middle of the update: no sample is drawn again, and no step taken again."""
    options = replace(OPTIONS, checkpoint_steps=1)
    killed(monkeypatch, lambda: night(options))
    assert sum(drawn) >= 12
    assert len(unfinished(models)) == 2
    drawn.clear()
    report = night(options)
    assert report is not None and report.update.resumed_at == 1
    assert report.update.steps == len(report.update.curve) == 3
    assert drawn == []
    assert list((models / "work").iterdir()) == []
    assert registry.verify(models, report.version) == []


def test_a_batch_that_is_trained_on_once_more_goes_on_too(
    night: Night,  # noqa: F811
    catalog: Catalog,  # noqa: F811
    models: Path,  # noqa: F811
    drawn: list[int],
    policy_folder: Path,
    now: dt.datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = night()
    assert first is not None

    def again() -> TrainReport | None:
        return train(
            catalog, models=models, options=replace(OPTIONS, checkpoint_steps=1),
            default_policy=policy_folder, now=now,
            reuse=registry.read(models, first.version).batch_id,
        )  # fmt: skip

    killed(monkeypatch, again)
    drawn.clear()
    report = again()
    assert report is not None and report.update.resumed_at == 1
    assert drawn == []


def test_who_may_hold_turns_of_a_user_is_at_work(
    night: Night,  # noqa: F811
    models: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An erasure sees a trainer from before its lease until its version is there."""
    told: list[str] = []

    def seen(name: str) -> None:
        real = getattr(cycle, name)

        def looked(*given: Any) -> Any:
            with pytest.raises(ErasureUnfinished):
                forget(models)
            told.append(name)
            return real(*given)

        monkeypatch.setattr(cycle, name, looked)

    for name in ("_leased", "learn", "_register"):
        seen(name)
    assert night() is not None
    assert told == ["_leased", "learn", "_register"]
    assert forget(models) == 0


def test_samples_outlive_a_machine_that_is_too_small(
    night: Night,  # noqa: F811
    drawn: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_small(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patch, pytest.raises(TrainingFailed, match="max_pass_tokens"):
        patch.setattr(iteration, "update", too_small)
        night()
    drawn.clear()
    report = night(replace(OPTIONS, max_pass_tokens=400))
    assert report is not None and report.update.pass_pairs == 1
    assert drawn == []


@pytest.mark.parametrize("file", ["model.safetensors", "manifest.json"])
def test_damage_to_a_killed_run_s_version_stops_no_later_night(
    file: str,
    night: Night,  # noqa: F811
    catalog: Catalog,  # noqa: F811
    models: Path,  # noqa: F811
    now: dt.datetime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Killed between its commit and its name; then a disk goes bad."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registry, "reveal", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        night()
    (staged,) = (models / "versions").glob(".*")
    (staged / file).write_bytes(b"bad")
    told = [settle(catalog, models, now=now) for _ in range(2)]
    assert registry.current(models, "champion") is None
    versions = registry.versions(models)
    assert told == [tuple(versions), ()], "a night tells of it once"
    assert len(versions) == (file == "model.safetensors"), "what is nothing any more goes"
    for version in versions:
        assert f"{version} passed its gate, but the champion stays" in caplog.text
        assert "model.safetensors: changed" in caplog.text and "Put the files back" in caplog.text


def test_a_full_disk_is_named_and_the_batch_given_back(
    night: Night,  # noqa: F811
    models: Path,  # noqa: F811
    fresh: Callable[[], int],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fresh()

    def full(self: policy.Policy, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    with monkeypatch.context() as patch, pytest.raises(TrainingFailed) as caught:
        patch.setattr(policy.Policy, "save", full)
        night()
    assert "The disk is full" in str(caught.value) and "models prune" in str(caught.value)
    assert fresh() == before
    assert list((models / "versions").iterdir()) == []
    report = night()
    assert report is not None and registry.verify(models, report.version) == []


def test_an_update_that_ended_early_is_registered_and_held(night: Night) -> None:  # noqa: F811
    hot = replace(
        OPTIONS, learning_rate=3e-3, epochs=2, stop=StopOptions(looks=5, max_kl=0.5), gate=OPEN_GATE
    )
    report = night(hot)
    assert report is not None and not report.promoted
    assert report.update.stopped and report.update.steps < 6
    assert report.gate.reasons[0].startswith("the update was ended early: ")


def test_a_base_that_is_gone_is_said_before_anything_is_leased(tmp_path: Path) -> None:
    there = Start(source="v1", parent="v1", base=str(tmp_path))
    check_base(there)
    check_base(replace(there, base="org/model"))
    check_base(replace(there, source="/nowhere", base="/nowhere"))
    with pytest.raises(PolicyUnusable, match="line began with is gone"):
        check_base(replace(there, base=str(tmp_path / "policy")))


def test_of_two_trainers_the_second_is_held(
    night: Night,  # noqa: F811
    models: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has turns of its own; what the second compared with is the champion no more."""
    first: list[Any] = []
    judge = cycle.judge

    def slowly(*given: Any) -> Any:
        if not first:  # the second trainer begins and ends before the first has judged
            first.append(None)
            first.append(night(replace(OPTIONS, max_turns=9)))
        return judge(*given)

    monkeypatch.setattr(cycle, "judge", slowly)
    second = night(replace(OPTIONS, max_turns=9))
    assert second is not None and not second.promoted
    assert second.gate.reasons == (
        f"champion: it is {first[1].version} by now, and this candidate was compared with "
        f"{second.parent}; train again",
    )
    assert registry.current(models, "champion") == first[1].version
    assert registry.current(models, "candidate") == second.version
    assert second.version.split("-")[0] == "v0002"


def test_one_turn_is_enough_for_a_batch(night: Night) -> None:  # noqa: F811
    report = night(replace(OPTIONS, min_turns=1, max_turns=1, resample=20))
    assert report is not None and (report.batch_size, report.update.steps) == (1, 1)
