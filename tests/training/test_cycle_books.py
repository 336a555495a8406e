"""What a cycle leases, registers and names, whatever was trained: that was done before."""

import datetime as dt
import errno
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.registering import register
from training import prune, registry
from warehouse import streams
from warehouse.catalog import Catalog
from warehouse.errors import LeaseLost, PolicyUnusable, TrainingFailed
from warehouse.records import DsatTurn

torch = pytest.importorskip("torch")

from tests.training.iterations import learned_from, placed  # noqa: E402
from tests.training.test_cycle import (  # noqa: E402
    HOUR,
    OPEN_GATE,
    OPTIONS,
    Night,
    catalog,
    entries,
    fresh,
    models,
    night,
)
from training import cycle  # noqa: E402
from training.cycle import settle, start_of, train  # noqa: E402
from training.iteration import Judged, Learned, Places, judge  # noqa: E402
from training.report import Start  # noqa: E402

__all__ = ["catalog", "fresh", "models", "night"]


@pytest.fixture(scope="module")
def trained(
    policy_folder: Path, make_turns: Callable[[int], list[DsatTurn]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Learned, Judged]:  # fmt: skip
    """What one iteration leaves: the weights' folder, and its figures."""
    places = placed(str(policy_folder), tmp_path_factory.mktemp("trained"))
    turns = make_turns(11)
    learned = learned_from(places, turns[:9], turns[9:], OPTIONS)
    return places.folder, learned, judge(places, learned, OPTIONS)


@pytest.fixture
def booked(
    night: Night, trained: tuple[Path, Learned, Judged], monkeypatch: pytest.MonkeyPatch
) -> Night:
    """A night that is leased, registered and gated, and whose training was done before."""
    folder, learned, judged = trained

    def learn(places: Places, *_: object) -> Learned:
        shutil.copytree(folder, places.folder, dirs_exist_ok=True)
        return learned

    monkeypatch.setattr(cycle, "learn", learn)
    monkeypatch.setattr(cycle, "judge", lambda *_: judged)
    return night


def test_a_held_candidate_is_registered_and_not_served(booked: Night, models: Path) -> None:
    report = booked(replace(OPTIONS, gate=replace(OPEN_GATE, min_heldout=1000)))
    assert report is not None and not report.promoted
    assert report.gate.reasons[0].startswith("held_out_pairs")
    assert registry.current(models, "champion") is None
    assert registry.current(models, "candidate") == report.version


def test_a_batch_is_trained_on_once_more_where_that_is_said(
    booked: Night, catalog: Catalog, models: Path, fresh: Callable[[], int], policy_folder: Path,
    now: dt.datetime,
) -> None:  # fmt: skip
    first = booked()
    assert first is not None
    batch, left = registry.read(models, first.version).batch_id, fresh()
    again = train(
        catalog, models=models, options=replace(OPTIONS, learning_rate=1e-6), reuse=batch,
        default_policy=policy_folder, now=now + HOUR,
    )  # fmt: skip
    assert again is not None and again.parent == first.version
    assert streams.lineage(catalog, again.version) == streams.lineage(catalog, first.version)
    assert fresh() == left, "no turn was used up"
    with pytest.raises(LeaseLost, match="none of that name that was finished"):
        train(catalog, models=models, options=OPTIONS, default_policy=policy_folder, now=now,
              reuse="default-000099")  # fmt: skip


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("part", ["learn", "judge", "manifest_of"])
def test_a_failure_gives_the_batch_back(
    part: str,
    error: type[BaseException],
    booked: Night,
    models: Path,
    fresh: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fresh()
    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(cycle, part, _raise(error))
        booked()
    assert fresh() == before
    assert entries(models) == []


def test_memory_that_runs_out_is_named(booked: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle, "learn", _raise(torch.OutOfMemoryError))
    with pytest.raises(TrainingFailed, match="Memory ran out.*batch_size"):
        booked()


def test_a_run_killed_after_its_commit_is_completed_by_the_next(
    booked: Night, models: Path, catalog: Catalog, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registry, "reveal", _raise(KeyboardInterrupt))
        booked()
    assert registry.versions(models) == []
    settle(catalog, models, now=now)
    (version,) = entries(models)
    assert registry.current(models, "champion") == version
    assert registry.verify(models, version) == []
    settle(catalog, models, now=now)
    assert len(registry.history(models)) == 1


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device", "history.jsonl")


@pytest.mark.parametrize("step", ["reveal", "set_alias", "promote"])
def test_a_disk_that_is_full_once_the_version_counts(
    step: str, booked: Night, models: Path, catalog: Catalog, fresh: Callable[[], int],
    now: dt.datetime, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It is not said that nothing was registered; the next run gives the version its place."""
    before = fresh()
    with monkeypatch.context() as patch, pytest.raises(TrainingFailed) as caught:
        patch.setattr(registry, step, full)
        booked()
    (known,) = streams.registered(catalog)
    assert re.match(rf"{known.version} is registered.*history\.jsonl: No space", str(caught.value))
    assert fresh() < before
    assert settle(catalog, models, now=now) == (known.version,)
    assert registry.current(models, "champion") == known.version
    assert settle(catalog, models, now=now) == ()


def test_what_cannot_be_cleared_away_undoes_no_version(
    booked: Night, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cycle.Work, "finish", full)
    report = booked()
    assert report is not None and registry.current(models, "champion") == report.version


def test_a_file_among_the_versions_is_none_of_ours(
    booked: Night, models: Path, catalog: Catalog, now: dt.datetime
) -> None:
    booked()
    stray = models / "versions" / ".nfs0001"
    stray.touch()
    settle(catalog, models, now=now)
    assert stray.exists()


def test_a_rollback_is_not_undone_by_the_next_run(
    booked: Night, models: Path, catalog: Catalog, now: dt.datetime
) -> None:
    first, second = booked(), booked(hours=1)
    assert first is not None and second is not None
    registry.rollback(models, now=now)
    settle(catalog, models, now=now)
    assert registry.current(models, "champion") == first.version


def test_a_pruned_version_does_not_come_back(
    booked: Night, catalog: Catalog, models: Path, now: dt.datetime
) -> None:
    held = booked(replace(OPTIONS, gate=replace(OPEN_GATE, min_heldout=1000)))
    assert held is not None
    newer = register(models, "default-000099")
    registry.set_alias(models, "candidate", newer)
    planned = prune.plan(models, keep=1)
    assert planned.removed == (held.version,)
    (models / "versions" / held.version).rename(models / "versions" / f".pruned.{held.version}")
    settle(catalog, models, now=now)
    assert entries(models) == [newer]
    assert registry.pruned(models) == [held.version]
    assert [model.version for model in streams.registered(catalog)] == [held.version]


def test_where_a_cycle_starts(booked: Night, models: Path, policy_folder: Path) -> None:
    base, other = str(policy_folder), "org/other"
    assert start_of(models, "", policy_folder) == Start(source=base, parent=base, base=base)
    with pytest.raises(PolicyUnusable, match="champion"):
        start_of(models, "champion", policy_folder)
    report = booked()
    assert report is not None
    source = str(registry.folder(models, report.version))
    served = report.version
    champion = Start(source=source, parent=served, base=base, champion=served, champion_now=served)
    for named in ("", base, "champion", "candidate", report.version):
        assert start_of(models, named, policy_folder) == champion
    assert start_of(models, other, policy_folder) == replace(
        champion, source=other, parent=other, base=other
    )


@pytest.mark.parametrize("named", [True, False], ids=["named anew", "with its home"])
def test_a_base_that_was_moved_is_the_same_base(
    named: bool, booked: Night, models: Path, policy_folder: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    shutil.copytree(policy_folder, here)
    report = booked(replace(OPTIONS, policy=str(here)))
    assert report is not None
    moved = here.rename(tmp_path / "there")
    found = start_of(models, str(moved) if named else "", moved)
    assert (found.parent, found.base) == (report.version, str(moved))
    assert start_of(models, report.version, moved).base == str(moved)


def test_another_base_in_its_place_is_another(
    booked: Night, models: Path, policy_folder: Path, tmp_path: Path
) -> None:
    report = booked()
    assert report is not None
    other = tmp_path / "other"
    shutil.copytree(policy_folder, other)
    for weights in other.glob("*.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert start_of(models, str(other), policy_folder).parent == str(other)


def _raise(error: type[BaseException]) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail
