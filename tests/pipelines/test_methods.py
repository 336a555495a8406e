"""Every method from the command line, on the example logs, to a registered version."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from driftmine.settings import Settings
from training import registry
from training.examples import of_dsat
from training.methods import guided_prompt
from training.samplers.base import Sampling
from warehouse import streams
from warehouse.catalog import Catalog

torch = pytest.importorskip("torch")

from training.policy import load  # noqa: E402
from training.samplers.hf import HfSampler  # noqa: E402

HELD = 3  # exit code: done, and the gate said no
SAMPLES = {"drift": 1, "iterdpo": 2, "spin": 1, "seed": 0}  # drawn for an example


@pytest.fixture(scope="module")
def home(
    driftmine: Callable,
    examples: str,
    small_updates: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Mined logs, and nothing trained."""
    home = tmp_path_factory.mktemp("methods") / "home"
    driftmine("init", "--home", home)
    driftmine("ingest", examples, "--log-date", "2026-11-01", "--home", home)
    driftmine("mine", "--home", home)
    return home


def test_the_tiny_policy_has_an_answer_to_long_prompts(home: Path) -> None:
    turns = streams.heldout(Catalog.open(home / "warehouse"), holdout=0.999, n=40)
    samples = HfSampler(policy=load(str(home / "policy"))).sample(
        [guided_prompt(of_dsat(turn)) for turn in turns],
        Sampling(temperature=0.7, top_p=0.9, max_new_tokens=8, max_prompt_tokens=384, batch=40),
        seed=0,
    )
    assert len(samples) == 40
    assert sum(not sample.text.strip() for sample in samples) <= 1


@pytest.mark.parametrize("method", SAMPLES)
def test_a_method_ends_in_a_version(
    method: str, home: Path, driftmine: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTMINE_TRAINING__STREAM", method)
    monkeypatch.setenv("DRIFTMINE_TRAINING__DRAWS", "2")
    monkeypatch.setenv("DRIFTMINE_TRAINING__MIN_TURNS", "2")
    words = ("train", "--method", method, "--max-turns", "6", "--home", home, "--json")
    shown = driftmine(*words, "--dry-run").json()
    done = driftmine(*words)
    assert done.exit_code in (0, HELD), done.stderr
    report = done.json()
    assert report["method"] == method
    assert report["batch_size"] == shown["batch_size"] > 1
    assert report["pairs_by_method"] == {method: report["pairs"]}
    assert report["pairs"] + sum(report["filtered"].values()) == report["batch_size"]
    before, after = report["gradients"]
    assert before["bound"] <= before["norm"] and after["bound"] <= after["norm"]
    assert {part["name"] for part in report["metrics"]["slices"]} >= {"format", "refusals"}
    manifest = registry.read(home / "models", report["version"])
    assert manifest.settings["method"] == method
    assert len(manifest.turn_ids) == report["batch_size"]
    assert not list((home / "models" / "work").iterdir()), "no unfinished work is left"


def test_a_batch_with_replay_tells_its_parts(
    home: Path, driftmine: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"STREAM": "mixed", "REPLAY_SHARE": "0.5", "REPLAY": "sat"}.items():
        monkeypatch.setenv(f"DRIFTMINE_TRAINING__{name}", value)
    words = ("train", "--max-turns", "8", "--home", home, "--json")
    report = driftmine(*words).json()
    assert report["pairs_by_method"].keys() == {"drift", "spin"}
    assert report["pairs_by_method"]["spin"] <= 4


def test_a_learning_rate_far_too_high_is_held(
    home: Path, driftmine: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = registry.current(home / "models", registry.CHAMPION)
    for name, value in {"STREAM": "hot", "LEARNING_RATE": "3e-3", "STOP__LOOKS": "0"}.items():
        monkeypatch.setenv(f"DRIFTMINE_TRAINING__{name}", value)
    done = driftmine("train", "--max-turns", "8", "--home", home, "--json")
    assert done.exit_code == HELD
    report = done.json()
    assert not report["promoted"]
    assert any(reason.startswith("kl: ") for reason in report["gate"]["reasons"])
    assert report["training"]["margin"] > 0.5, "the margin looks splendid"
    assert registry.current(home / "models", registry.CHAMPION) == champion
    assert registry.current(home / "models", registry.CANDIDATE) == report["version"]


def test_a_new_home_holds_out_what_its_gate_asks_for(home: Path) -> None:
    """Or the first night that a new user runs ends with a held candidate."""
    settings = Settings(**tomllib.loads((home / "driftmine.toml").read_text()))
    own = tomllib.loads((home / "driftmine.toml").read_text())["training"]
    catalog = Catalog.open(home / "warehouse")
    held = streams.heldout(catalog, holdout=own["holdout"], n=32)
    assert len(held) >= settings.training.gate.min_heldout


def test_iterdpo_by_a_reward_model_needs_one(
    home: Path, driftmine: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTMINE_TRAINING__SCORER", "reward")
    done = driftmine("train", "--method", "iterdpo", "--home", home, "--json")
    assert done.exit_code == 2
    assert "reward_model" in done.json()["message"]
