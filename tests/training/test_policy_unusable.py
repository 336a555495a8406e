"""Policies that come with code of their own, and folders that are damaged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warehouse.errors import PolicyUnusable

torch = pytest.importorskip("torch")

from training.policy import load  # noqa: E402


@pytest.fixture
def copied(policy_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(policy_folder, tmp_path / "policy"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes))


OWN = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own"

class Own(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_code_that_is_trusted_by_name_runs_and_is_told(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "hf"))
    (copied / "own.py").write_text(OWN)
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"}
    edit(copied / "config.json", model_type="own", architectures=["Own"], auto_map=classes)
    policy = load(str(copied), trusted=True)
    assert policy.notes[0].startswith("CODE OF THE POLICY'S OWN WAS RUN: [training] trust_remote")
    policy.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "own.py").exists(), "so that the version can be loaded"
    assert type(load(str(tmp_path / "saved"), trusted=True).model).__name__ == "Own"
    with pytest.raises(PolicyUnusable, match="cannot be loaded as a policy"):
        load(str(tmp_path / "saved"))
    (copied / "more.pt").write_bytes(b"")
    with pytest.raises(PolicyUnusable, match=r"more\.pt beside"):
        load(str(copied), trusted=True)


def test_trusting_code_that_there_is_none_of_says_nothing(policy_folder: Path) -> None:
    assert load(str(policy_folder), trusted=True).notes == ()


def _halve(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _lose_a_weight(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights.pop("model.layers.1.input_layernorm.weight")
    save_file(weights, path, metadata={"format": "pt"})


def _another_shape(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path) | {"model.layers.1.input_layernorm.weight": torch.zeros(3)}
    save_file(weights, path, metadata={"format": "pt"})


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated weights": ("model.safetensors", _halve, "not fully covered.*copy it there once"),
    "no bytes": ("model.safetensors", lambda p: p.write_bytes(b""), "header too small.*damaged"),
    "other bytes": ("model.safetensors", lambda p: p.write_bytes(b"x" * 999), "header too large"),
    "a weight is lost": ("model.safetensors", _lose_a_weight, r"lack 1 .*layers\.1.*once more"),
    "a weight of another shape": ("model.safetensors", _another_shape, "damaged: copy"),
    "no JSON": ("config.json", lambda p: p.write_text("{no"), r"config\.json' is not a valid JSON"),
    "no JSON object": ("config.json", lambda p: p.write_text("[]"), "must be a mapping"),
    "no configuration": ("config.json", lambda p: p.unlink(), "Name a folder in Hugging Face"),
    "half a tokenizer": ("tokenizer.json", _halve, "cannot be loaded as a policy"),
    "another JSON": ("tokenizer.json", lambda p: p.write_text("{}"), "cannot be loaded"),
    "a pickle beside": (
        "training_args.bin", lambda p: p.write_bytes(b""), r"holds training_args\.bin beside.*move"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name, harm, says", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_folder_is_refused(
    name: str, harm: Callable[[Path], object], says: str, copied: Path
) -> None:
    harm(copied / name)
    with pytest.raises(PolicyUnusable, match=f"{copied}: .*{says}"):
        load(str(copied))
