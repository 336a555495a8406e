"""Pruning: what hangs on nothing goes, and a kill between any two steps changes nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.registering import NOW, register
from training import prune, registry
from training.settle import adopt, complete_moves
from warehouse.errors import PolicyUnusable


def line(models: Path, *parents: int | None) -> list[str]:
    """Versions in order; each names the one at that index as its parent, None: the base."""
    made: list[str] = []
    for n, parent in enumerate(parents):
        of = "/policies/base" if parent is None else made[parent]
        made.append(register(models, f"default-{n:06d}", parent=of))
    return made


def plan(models: Path, keep: int = 1, **words: Any) -> list[str]:
    return list(prune.plan(models, keep=keep, **words).removed)


def test_old_versions_go_that_nothing_hangs_on(tmp_path: Path) -> None:
    made = line(tmp_path, None, None, None, None)
    planned = prune.plan(tmp_path, keep=2)
    assert list(planned.removed) == made[:2]
    assert planned.kept == dict.fromkeys(made[2:], "one of the newest 2")
    assert planned.bytes > 0
    prune.prune(tmp_path, planned, now=NOW)
    assert registry.versions(tmp_path) == made[2:]
    assert registry.pruned(tmp_path) == made[:2]
    assert [(m.version, m.why) for m in registry.history(tmp_path)] == [
        (version, "pruned") for version in made[:2]
    ]
    assert registry.recorded(tmp_path, made[0]).turn_ids == ("a", "b")


def test_what_is_kept_keeps_all_of_its_parents(tmp_path: Path) -> None:
    made = line(tmp_path, None, 0, None, 1, None)
    for name, alias in ((made[3], "champion"), (made[4], "candidate")):
        registry.set_alias(tmp_path, alias, name)
    planned = prune.plan(tmp_path, keep=1)
    assert list(planned.removed) == [made[2]]
    assert planned.kept == {
        made[3]: "champion",
        made[1]: f"parent of {made[3]}",
        made[0]: f"parent of {made[1]}",
        made[4]: "candidate",
    }


def test_a_parent_named_by_its_folder_is_kept(tmp_path: Path) -> None:
    first = register(tmp_path, "default-000001")
    register(tmp_path, "default-000002", parent=str(registry.folder(tmp_path, first)))
    assert plan(tmp_path) == []


def test_the_policy_of_the_settings_is_kept(tmp_path: Path) -> None:
    made = line(tmp_path, None, None, None)
    assert plan(tmp_path, named=(made[0],)) == [made[1]]


def test_a_champion_on_record_is_kept_before_its_alias_moves(tmp_path: Path) -> None:
    made = line(tmp_path, None, None, None)
    registry.record(tmp_path, registry.Move(at=NOW, version=made[0], former=None, why="gate"))
    assert plan(tmp_path) == [made[1]]


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_no_parent_and_no_alias_is_ever_lost(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    models = tmp_path_factory.mktemp("models")
    n = data.draw(st.integers(1, 6))
    parents = [data.draw(st.none() | st.integers(0, i - 1)) if i else None for i in range(n)]
    made = line(models, *parents)
    champion = data.draw(st.sampled_from(made))
    registry.set_alias(models, "champion", champion)
    prune.prune(models, prune.plan(models, keep=data.draw(st.integers(1, 3))), now=NOW)
    left = registry.versions(models)
    assert {champion, made[-1]} <= set(left)
    assert all(Path(registry.read(models, name).parent).name in (*left, "base") for name in left)
    assert sorted([*left, *registry.pruned(models)]) == made


STEPS: dict[str, tuple[Any, str]] = {
    "before the rename": (os, "rename"),
    "before its manifest is kept": (prune, "write_whole"),
    "before it is on record": (registry, "record"),
    "before it is deleted": (shutil, "rmtree"),
}


@pytest.mark.parametrize("where, step", STEPS.values(), ids=STEPS)
def test_a_kill_at_any_step(
    where: Any, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = line(tmp_path, None, None)
    sha256 = registry.sha256_of(registry.folder(tmp_path, one) / "manifest.json")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(where, step, _killed)
        prune.prune(tmp_path, prune.plan(tmp_path, keep=1), now=NOW)
    went = step != "rename"
    assert registry.versions(tmp_path) == [two] if went else [one, two]
    assert registry.pruned(tmp_path) == ([one] if went else [])
    adopt(tmp_path, {one: sha256}, set())
    assert registry.versions(tmp_path) == ([two] if went else [one, two]), "never resurrected"
    prune.prune(tmp_path, prune.plan(tmp_path, keep=1), now=NOW)
    assert [p.name for p in (tmp_path / "versions").iterdir()] == [two]
    assert registry.recorded(tmp_path, one).version == one
    assert [(m.version, m.why) for m in registry.history(tmp_path)] == [(one, "pruned")]


def test_a_folder_half_deleted_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = line(tmp_path, None, None)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", _half)
        prune.prune(tmp_path, prune.plan(tmp_path, keep=1), now=NOW)
    adopt(tmp_path, {}, set())
    prune.complete(tmp_path, now=NOW)
    assert [p.name for p in (tmp_path / "versions").iterdir()] == [two]
    assert registry.recorded(tmp_path, one).version == one


REFUSED: dict[str, Callable[[Path, str], object]] = {
    "promote": lambda models, name: registry.promote(models, name, now=NOW),
    "load": registry.folder,
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED)
def test_what_was_pruned_says_so(use: Callable[[Path, str], object], tmp_path: Path) -> None:
    one, _ = line(tmp_path, None, None)
    prune.prune(tmp_path, prune.plan(tmp_path, keep=1), now=NOW)
    with pytest.raises(PolicyUnusable, match=f"{one}: its weights were given up.*models list"):
        use(tmp_path, one)


def test_a_rollback_to_a_pruned_version_says_so(tmp_path: Path) -> None:
    one, two = line(tmp_path, None, None)
    for version in (one, two):
        registry.promote(tmp_path, version, now=NOW)
    prune.prune(tmp_path, prune.plan(tmp_path, keep=1), now=NOW)
    with pytest.raises(PolicyUnusable, match=f"{one}: its weights were given up"):
        registry.rollback(tmp_path, now=NOW)
    complete_moves(tmp_path)
    assert registry.current(tmp_path, "champion") == two


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def _half(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    raise KeyboardInterrupt
