"""The recipes: each is whole, and the paper's values arrive in TRL's configuration."""

import tomllib
from pathlib import Path

import pytest
import yaml

from driftmine.settings import Settings

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_made_of_settings_that_there_are(path: Path) -> None:
    settings = Settings(**tomllib.loads(path.read_text()))
    assert settings.training.max_prompt_tokens < settings.training.max_length


@pytest.mark.parametrize("size", ["7b", "14b"])
def test_the_paper_s_values_arrive_in_trl(size: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from training.draw import sampling
    from training.passes import pass_pairs
    from training.silence import silence
    from training.update import config

    recipe = tomllib.loads((ROOT / "recipes" / f"paper-{size}.toml").read_text())
    options = Settings(**recipe).training
    assert options.policy == f"Qwen/Qwen2.5-{size.upper()}-Instruct"
    assert (options.method, options.guided) == ("drift", True)
    # The longest pairs fit into one pass of the paper's four.
    together = pass_pairs(options.max_length, options)
    with silence():
        found = config(options, tmp_path, together, gpu=False)
    assert found.beta == 0.1
    assert (found.loss_type, found.loss_weights) == (["sigmoid", "sft"], [1.0, 0.001])
    assert found.learning_rate == 5e-7
    assert (found.lr_scheduler_type, found.warmup_steps) == ("linear", 0.1)
    assert found.optim == "rmsprop"
    assert (found.per_device_train_batch_size, found.gradient_accumulation_steps) == (4, 1)
    assert found.max_length == 2048
    assert found.num_train_epochs == 1
    assert found.precompute_ref_log_probs
    drawn = sampling(options)
    assert (drawn.temperature, drawn.top_p) == (0.7, 0.9)
    assert (drawn.max_new_tokens, drawn.max_prompt_tokens) == (512, 1024)


def test_on_a_gpu_it_computes_in_bfloat16_and_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from training import update

    given: dict[str, object] = {}
    monkeypatch.setattr(update, "DPOConfig", lambda **settings: given.update(settings))
    update.config(Settings().training, tmp_path, 4, gpu=True)
    assert given["bf16"] and given["activation_checkpointing"] and not given["use_cpu"]


def test_accelerate_reads_the_sharding_recipe() -> None:
    pytest.importorskip("torch")
    from accelerate.commands.config.config_args import load_config_from_file

    path = ROOT / "recipes" / "fsdp2.yaml"
    found = load_config_from_file(str(path))
    assert found.distributed_type == "FSDP"
    assert found.fsdp_config == yaml.safe_load(path.read_text())["fsdp_config"]
    assert found.fsdp_config["fsdp_version"] == 2
