# ruff: noqa: F811
"""What only a GPU can show: bfloat16 beside float32 weights, memory, and the loop on it.

Run by `make test-gpu` where there is one; skipped elsewhere.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from training.options import LoraOptions, TrainingOptions
from warehouse.records import DsatTurn, PreferencePair

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]

from tests.training.conftest import make_turns, policy_folder  # noqa: E402, F401
from tests.training.iterations import learned_from, placed  # noqa: E402
from training.iteration import judge  # noqa: E402
from training.policy import load  # noqa: E402
from training.samplers.base import Sampling  # noqa: E402
from training.samplers.hf import HfSampler  # noqa: E402
from training.update import update  # noqa: E402

OPTIONS = TrainingOptions(
    max_length=256, max_prompt_tokens=128, max_new_tokens=24, batch_size=4, learning_rate=1e-4,
    resample=5,
)  # fmt: skip
Turns = Callable[[int], list[DsatTurn]]


@pytest.fixture
def pairs(make_turns: Turns) -> list[PreferencePair]:
    return [
        PreferencePair(turn_id=t.turn_id, prompt=t.context, chosen="A day.", rejected=t.answer)
        for t in make_turns(10)
    ]


def test_weights_stay_float32_and_the_margin_starts_at_0(
    policy_folder: Path,
    pairs: list[PreferencePair],
) -> None:
    policy = load(str(policy_folder))
    assert policy.device.type == "cuda"
    report = update(policy, pairs, OPTIONS)
    assert report.start_margin <= OPTIONS.gate.start_margin_tolerance
    assert {p.dtype for p in policy.model.parameters()} == {torch.float32}
    assert report.last_loss < report.first_loss


def test_an_update_of_the_paper_s_size_is_not_lost_in_rounding(
    policy_folder: Path,
    pairs: list[PreferencePair],
) -> None:
    policy = load(str(policy_folder))
    before = {name: one.clone() for name, one in policy.model.named_parameters()}
    update(policy, pairs, replace(OPTIONS, learning_rate=5e-7))
    moved = [not torch.equal(one, before[name]) for name, one in policy.model.named_parameters()]
    assert all(moved)


def test_an_adapter_trains_and_is_merged(
    policy_folder: Path,
    pairs: list[PreferencePair],
) -> None:
    policy = load(str(policy_folder))
    options = replace(OPTIONS, lora=LoraOptions(rank=4), learning_rate=1e-2)
    assert update(policy, pairs, options).start_margin <= OPTIONS.gate.start_margin_tolerance
    assert not any("lora" in name for name, _ in policy.model.named_parameters())


def test_memory_that_runs_out_halves_the_batch(
    policy_folder: Path,
    make_turns: Turns,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = load(str(policy_folder))
    sizes: list[int] = []
    generate = HfSampler._generate

    def greedy(self: HfSampler, asked: list[list[int]], parameters: Sampling) -> object:
        sizes.append(len(asked))
        if len(asked) > 2:  # more than the device has, in truth
            torch.empty(1 << 50, device="cuda")
        return generate(self, asked, parameters)

    monkeypatch.setattr(HfSampler, "_generate", greedy)
    how = Sampling(temperature=0, top_p=1, max_new_tokens=4, max_prompt_tokens=64, batch=8)
    found = HfSampler(policy=policy).sample([t.context for t in make_turns(8)], how, 0)
    assert len(found) == 8 and sizes[:3] == [8, 4, 2]


def test_an_iteration_from_samples_to_figures(
    policy_folder: Path,
    make_turns: Turns,
    tmp_path: Path,
) -> None:
    places = placed(str(policy_folder), tmp_path)
    learned = learned_from(places, make_turns(12), make_turns(20)[12:], OPTIONS)
    judged = judge(places, learned, OPTIONS)
    assert learned.update.trained > 0
    assert judged.metrics is not None and judged.metrics.kl == judged.metrics.kl
