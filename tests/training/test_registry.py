"""The registry: whole versions or none, aliases that move in one step, and back."""

import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from tests.training.registering import HELD, NOW, REPORT, manifest, register
from training import registry
from training.manifest import card
from training.options import Method
from training.settle import adopt, complete_moves
from warehouse.errors import PolicyUnusable, TrainingFailed


def hidden(models: Path) -> list[Path]:
    return [path for path in (models / "versions").iterdir() if path.name.startswith(".")]


def test_a_version_says_what_it_is(tmp_path: Path) -> None:
    version = register(tmp_path, "default-000001")
    assert registry.versions(tmp_path) == [version]
    assert version.startswith("v0001-")
    read = registry.read(tmp_path, version)
    assert read.files.keys() == {"model.safetensors", "README.md"}
    assert (read.batch_id, read.turn_ids, read.created_at) == ("default-000001", ("a", "b"), NOW)
    readme = (registry.folder(tmp_path, version) / "README.md").read_text(encoding="utf-8")
    assert "| kl | 0.1 | 0.5 | yes |" in readme
    assert not hidden(tmp_path)


CARDS = {
    "drift": "rejected are answers that users were dissatisfied with",
    "iterdpo": "of several drawn answers",
    "spin": "chosen are answers that users were satisfied with",
    "seed": "chosen are answers that users accepted",
}


@pytest.mark.parametrize("method", get_args(Method))
def test_a_card_says_what_its_method_s_pairs_are(method: str) -> None:
    one = manifest("v0001-00000000", "b", REPORT)
    told = " ".join(card(replace(one, settings={"method": method})).split())
    assert [name for name, words in CARDS.items() if words in told] == [method]


def test_versions_count_on_past_the_fourth_digit(tmp_path: Path) -> None:
    names = ["v9999-00000000", "v10000-00000000", "v0002-ffffffff"]
    for name in (*names, ".default-000001.ab", "notes"):
        (tmp_path / "versions" / name).mkdir(parents=True)
    assert registry.versions(tmp_path) == ["v0002-ffffffff", "v9999-00000000", "v10000-00000000"]
    assert registry.next_version(tmp_path, "b").startswith("v10001-")


@pytest.mark.parametrize(
    "name", ["training_args.bin", "optimizer.pt", "a.pkl", "x.pth", "sub/scheduler.pt"]
)
def test_pickles_are_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(TrainingFailed, match=r"would have to be unpickled.*safetensors only"),
        registry.staging(tmp_path, "b") as staged,
    ):
        (staged / name).parent.mkdir(exist_ok=True)
        (staged / name).write_bytes(b"")
        registry.seal(staged, manifest("v0001-00000000", "b"))
    assert registry.versions(tmp_path) == hidden(tmp_path) == []


def test_a_failure_before_the_seal_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), registry.staging(tmp_path, "b") as staged:
        (staged / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt
    assert registry.versions(tmp_path) == hidden(tmp_path) == []


ADOPTION = {
    "the catalog knows it": (True, set(), ["v0001-00000000"], 0),
    "nobody knows it": (False, set(), [], 0),
    "nobody knows it yet, its trainer lives": (False, {"default-000001"}, [], 1),
}


@pytest.mark.parametrize("known, alive, visible, left", ADOPTION.values(), ids=ADOPTION)
def test_what_a_killed_run_had_sealed(
    tmp_path: Path, known: bool, alive: set[str], visible: list[str], left: int
) -> None:
    with registry.staging(tmp_path, "default-000001") as staged:
        (staged / "model.safetensors").write_bytes(b"whole")
        sha256 = registry.seal(staged, manifest("v0001-00000000", "default-000001"))
    assert registry.versions(tmp_path) == []
    adopt(tmp_path, {"v0001-00000000": sha256 if known else "of another"}, alive)
    assert registry.versions(tmp_path) == visible
    assert len(hidden(tmp_path)) == left


def test_what_a_killed_run_had_begun_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "versions" / ".default-000001.ab").mkdir(parents=True)
    with registry.staging(tmp_path, "a/b-000002"):
        adopt(tmp_path, {}, {"a/b-000002"})
        assert len(hidden(tmp_path)) == 1
        adopt(tmp_path, {}, set())
        assert not hidden(tmp_path)


def test_promote_and_roll_back(tmp_path: Path) -> None:
    one, two, three = (register(tmp_path, f"default-{n:06d}") for n in range(3))
    for version in (one, two, three):
        registry.promote(tmp_path, version, now=NOW)
    assert registry.resolve(tmp_path, "champion") == three
    assert (tmp_path / "aliases" / "champion" / "model.safetensors").exists()
    assert registry.rollback(tmp_path, now=NOW) == two
    assert registry.rollback(tmp_path, now=NOW) == one
    assert registry.current(tmp_path, "champion") == one
    with pytest.raises(PolicyUnusable, match=f"no champion before {one}.*promote VERSION"):
        registry.rollback(tmp_path, now=NOW)
    moves = [(move.version, move.former, move.why) for move in registry.history(tmp_path)]
    assert moves[2:] == [
        (three, two, "operator"),
        (two, three, "rollback"),
        (one, two, "rollback"),
    ]


def test_what_the_gate_held_is_not_promoted(tmp_path: Path) -> None:
    version = register(tmp_path, "default-000001", REPORT | {"promoted": False, "gate": HELD})
    with pytest.raises(PolicyUnusable, match=rf"{version}: held by its gate \(kl: 9.8\)"):
        registry.promote(tmp_path, version, now=NOW)
    assert registry.history(tmp_path) == []


def test_what_was_changed_is_not_promoted(tmp_path: Path) -> None:
    version = register(tmp_path, "default-000001")
    (registry.folder(tmp_path, version) / "model.safetensors").write_bytes(b"other")
    with pytest.raises(PolicyUnusable, match=rf"{version}: not what .*model.safetensors: changed"):
        registry.promote(tmp_path, version, now=NOW)
    assert registry.history(tmp_path) == []


def test_a_champion_that_was_changed_is_not_rolled_back_to(tmp_path: Path) -> None:
    one, two = (register(tmp_path, f"default-{n:06d}") for n in range(2))
    for version in (one, two):
        registry.promote(tmp_path, version, now=NOW)
    (registry.folder(tmp_path, one) / "own.py").write_bytes(b"")
    with pytest.raises(PolicyUnusable, match="own.py: not in the manifest.*from a copy"):
        registry.rollback(tmp_path, now=NOW)
    assert registry.current(tmp_path, "champion") == two


def test_a_move_on_record_is_carried_out_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = (register(tmp_path, f"default-{n:06d}") for n in range(3))
    registry.promote(tmp_path, one, now=NOW)
    registry.promote(tmp_path, two, now=NOW)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr("os.replace", _fail_on_aliases)
        registry.promote(tmp_path, three, now=NOW)
    assert registry.current(tmp_path, "champion") == two
    assert registry.current(tmp_path, "candidate") is None
    complete_moves(tmp_path)
    assert (
        registry.current(tmp_path, "champion") == registry.current(tmp_path, "candidate") == three
    )
    assert registry.rollback(tmp_path, now=NOW) == two


_replace = os.replace


def _fail_on_aliases(source: Path, target: Path) -> None:
    if Path(target).parent.name == "aliases":
        raise OSError("killed")
    _replace(source, target)


@pytest.mark.parametrize("name", ["champion", "v0009-00000000", "../aliases"])
def test_unknown_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyUnusable, match="no model is called.*models list"):
        registry.folder(tmp_path, name)


def test_verify(tmp_path: Path) -> None:
    version = register(tmp_path, "default-000001")
    assert registry.verify(tmp_path, version) == []
    folder = registry.folder(tmp_path, version)
    (folder / "model.safetensors").write_bytes(b"other")
    (folder / "README.md").unlink()
    (folder / "added.txt").write_bytes(b"")
    assert registry.verify(tmp_path, version) == [
        "README.md: missing",
        "added.txt: not in the manifest",
        "model.safetensors: changed",
    ]
