"""Whose folder a run's is: found again, and refused where it is another's."""

import shutil
from dataclasses import replace

import msgspec
import pytest

from driftmine.sandbox import places as module
from driftmine.sandbox.examine import Examined
from driftmine.sandbox.places import Places
from driftmine.sandbox.setup import Setup
from driftmine.sandbox.users import Behaviour
from driftmine.settings import load
from warehouse.errors import SettingsError


@pytest.fixture
def policy(tmp_path):
    """What is copied is files; nothing here loads them."""
    folder = tmp_path / "policies" / "tiny"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def setup(policy):
    return Setup(
        method="drift", seed=0, nights=2, users=9, pairs=9, behaviour=Behaviour(),
        learning_rate=1e-5, policy=str(policy),
    )  # fmt: skip


@pytest.fixture
def begun(tmp_path, setup):
    places = Places(root=tmp_path / "run")
    places.begin(setup)
    return places


def test_a_run_has_a_policy_of_its_own(begun, policy):
    assert load(begun.home.settings).training.policy == str(begun.policy)
    assert (begun.policy / "model.safetensors").read_bytes() == b"weights"


def test_more_nights_may_be_asked_for(begun, setup):
    begun.begin(replace(setup, nights=5))


def test_the_same_policy_may_lie_elsewhere(begun, setup, policy, tmp_path):
    """Its line goes on: what the home is told is where the run's own copy lies, as before."""
    before = begun.home.settings.read_text()
    moved = shutil.move(policy, tmp_path / "moved")
    begun.begin(replace(setup, policy=str(moved)))
    assert begun.home.settings.read_text() == before


def test_another_policy_is_refused(begun, setup, policy):
    (policy / "model.safetensors").write_bytes(b"others")
    with pytest.raises(SettingsError, match="of another policy"):
        begun.begin(setup)


def test_what_a_setup_means_in_another_version_is_refused(begun, setup, monkeypatch):
    now = module.settings_of
    monkeypatch.setattr(module, "settings_of", lambda s: now(s).replace("per_user", "per_head"))
    with pytest.raises(SettingsError, match="other settings"):
        begun.begin(setup)


def test_a_copy_that_was_broken_off_is_made_anew(tmp_path, setup, monkeypatch):
    places = Places(root=tmp_path / "run")
    with monkeypatch.context() as broken:
        broken.setattr(module.Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            places.begin(setup)
    assert not places.policy.exists()
    places.begin(setup)
    assert {file.name for file in places.policy.iterdir()} == {"model.safetensors", "config.json"}


@pytest.mark.parametrize("file", ["setup.json", "nights/0.json"])
def test_a_file_that_is_damaged_names_the_run_and_not_all_runs(begun, setup, file):
    path = begun.root / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.encode({"setup": 1}))
    with pytest.raises(SettingsError, match=f"Remove {begun.root} to begin anew"):
        begun.begin(setup) if file == "setup.json" else begun.read(path, Examined)
