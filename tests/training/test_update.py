"""The DPO step: TRL's traps, one by one, and the scores that judge it."""

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from training.metrics import shift
from training.options import LoraOptions, TrainingOptions
from warehouse.errors import TrainingFailed
from warehouse.records import DsatTurn, Message, PreferencePair, Role

torch = pytest.importorskip("torch")

from training import diagnostics, passes, update  # noqa: E402
from training.checkpoints import newest  # noqa: E402
from training.policy import Policy, load  # noqa: E402

OPTIONS = TrainingOptions(
    max_length=256, max_prompt_tokens=128, batch_size=4, learning_rate=1e-4, seed=3
)
Pairs = list[PreferencePair]


@pytest.fixture
def trained(policy_folder: Path) -> Policy:
    """A policy to spend."""
    return load(str(policy_folder))


@pytest.fixture
def pairs(make_turns: Callable[[int], list[DsatTurn]]) -> Pairs:
    return [
        PreferencePair(
            turn_id=turn.turn_id, prompt=turn.context, chosen="A day.", rejected=turn.answer
        )
        for turn in make_turns(10)
    ]


def weights(policy: Policy) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}


def test_an_update_prefers_the_chosen_answers(trained: Policy, pairs: Pairs) -> None:
    before = diagnostics.score_pairs(trained, pairs, max_length=256, batch=4)
    told: list[tuple[int, int, str]] = []
    report = update.update(trained, pairs, OPTIONS, progress=lambda *step: told.append(step))
    after = diagnostics.score_pairs(trained, pairs, max_length=256, batch=4)
    assert shift(before, after, OPTIONS.beta).accuracy > 0.8
    assert (report.trained, report.dropped, report.answers_cut, report.steps) == (10, 0, 0, 3)
    assert report.start_margin == 0.0
    # log 2 for the margin of 0, and the NLL term's small share above it.
    assert math.log(2) < report.first_loss < math.log(2) + 0.01
    assert report.last_loss < report.first_loss
    assert told == [(n, 3, "update") for n in (1, 2, 3)]


def test_without_the_nll_term_the_loss_starts_at_log_2(trained: Policy, pairs: Pairs) -> None:
    report = update.update(trained, pairs, replace(OPTIONS, sft_weight=0.0))
    assert report.first_loss == pytest.approx(math.log(2), abs=1e-6)


def test_the_second_iteration_starts_at_0_too(trained: Policy, pairs: Pairs) -> None:
    """TRL would take the reference from the folder that the policy was first loaded from."""
    update.update(trained, pairs, OPTIONS)
    assert update.update(trained, pairs, OPTIONS).start_margin == 0.0


@pytest.mark.parametrize("rank, moved", [(0, "embed_tokens"), (4, "lora_B")])
def test_another_reference_is_noticed(
    rank: int, moved: str, trained: Policy, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moved(update._Trainer):  # type: ignore[misc]
        def __init__(self, **others: Any) -> None:
            super().__init__(**others)
            with torch.no_grad():
                for name, weight in self.model.named_parameters():
                    if moved in name:  # that of a fresh adapter is 0
                        weight.mul_(1.1).add_(0.1)

    monkeypatch.setattr(update, "_Trainer", Moved)
    with pytest.raises(TrainingFailed, match=r"margin starts at .* must be 0"):
        update.update(trained, pairs, replace(OPTIONS, lora=LoraOptions(rank=rank)))


def test_a_loss_that_is_no_number_ends_the_update(
    trained: Policy, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(update._Trainer):  # type: ignore[misc]
        def compute_loss(self, *args: Any, **others: Any) -> Any:
            return super().compute_loss(*args, **others) * math.nan

    monkeypatch.setattr(update, "_Trainer", Broken)
    with pytest.raises(TrainingFailed, match=r"loss is nan at step 1 of 3.*learning_rate"):
        update.update(trained, pairs, OPTIONS)


def test_the_same_seed_gives_the_same_weights(policy_folder: Path, pairs: Pairs) -> None:
    first, again = load(str(policy_folder)), load(str(policy_folder))
    for each in (first, again):
        update.update(each, pairs, OPTIONS)
    others = weights(again)
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights(first).items())


def test_a_run_that_was_killed_is_gone_on_with_to_the_bit(
    policy_folder: Path, pairs: Pairs, tmp_path: Path
) -> None:
    options = replace(OPTIONS, checkpoint_steps=1, epochs=2)
    whole, killed, again = (load(str(policy_folder)) for _ in range(3))
    straight = update.update(whole, pairs, options)

    def kill(done: int, total: int, _: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update.update(killed, pairs, options, work=tmp_path, progress=kill)
    resumed = update.update(again, pairs, options, work=tmp_path)
    assert (straight.resumed_at, straight.steps) == (0, 6)
    assert resumed.resumed_at == 2 and resumed.start_margin == 0.0
    assert resumed.curve == straight.curve, "the steps before the kill are told too"
    expected = weights(whole)
    assert all(torch.equal(one, expected[name]) for name, one in weights(again).items())


DAMAGE = {
    "no state": lambda at: (at / "trainer_state.json").unlink(),
    "half a state": lambda at: (at / "trainer_state.json").write_text('{"epoch": 1'),
    "half of the weights": lambda at: os.truncate(at / "model.safetensors", 5000),
    "half of the optimizer": lambda at: os.truncate(at / "optimizer.pt", 5000),
    "no optimizer": lambda at: [(at / n).unlink() for n in ("optimizer.pt", "scheduler.pt")],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_left_for_the_one_before(
    damage: Callable[[Path], object], checkpoints: Path, tmp_path: Path
) -> None:
    work = Path(shutil.copytree(checkpoints, tmp_path / "work"))
    assert newest(work) == str(work / "checkpoint-3")
    shutil.copytree(work / "checkpoint-3", work / "checkpoint-10")
    damage(work / "checkpoint-10")
    assert newest(work) == str(work / "checkpoint-3")
    assert not (work / "checkpoint-10").exists()
    damage(work / "checkpoint-3")
    assert newest(work) is None


@pytest.fixture(scope="module")
def checkpoints(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("checkpoints")
    prompt = (Message(role=Role.USER, content="Hi"),)
    pairs = [
        PreferencePair(turn_id=str(n), prompt=prompt, chosen="a", rejected="b") for n in range(3)
    ]
    options = replace(OPTIONS, batch_size=1, checkpoint_steps=1)
    update.update(load(str(policy_folder)), pairs, options, work=work)
    return work


def test_reference_log_probabilities_are_computed_once(
    policy_folder: Path, pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, checkpoint_steps=0)
    computed: list[int] = []
    before = update._Trainer._computed

    def count(self: Any, dataset: Any, batch_size: int) -> Any:
        computed.append(len(dataset))
        return before(self, dataset, batch_size)

    monkeypatch.setattr(update._Trainer, "_computed", count)
    first, again, other = (load(str(policy_folder)) for _ in range(3))
    update.update(first, pairs, options, work=tmp_path)
    update.update(again, pairs, options, work=tmp_path)
    assert computed == [10]
    expected = weights(first)
    assert all(torch.equal(one, expected[name]) for name, one in weights(again).items())
    with torch.no_grad():
        other.model.lm_head.weight.mul_(1.1)  # another policy: its reference is another too
    assert update.update(other, pairs, options, work=tmp_path).start_margin == 0.0
    assert computed == [10, 10]


def test_a_step_is_cut_into_equal_parts_that_fit(trained: Policy, pairs: Pairs) -> None:
    whole = update.update(load(trained.source), pairs, OPTIONS)
    parts = update.update(trained, pairs, replace(OPTIONS, max_pass_tokens=700))
    assert (whole.pass_pairs, parts.pass_pairs) == (4, 2)
    # The same steps but for float32's rounding, and the NLL term's mean over tokens.
    assert [step.loss for step in parts.curve] == pytest.approx(
        [step.loss for step in whole.curve], rel=1e-4
    )


FITS = {
    "all": (100, 4, 800, 4),
    "half": (100, 4, 799, 2),
    "one": (100, 4, 399, 1),
    "not even one": (1000, 4, 64, 1),
    "a prime number": (100, 5, 900, 1),
}


@pytest.mark.parametrize("longest, batch, most, expected", FITS.values(), ids=FITS)
def test_pass_pairs(longest: int, batch: int, most: int, expected: int) -> None:
    options = replace(OPTIONS, max_length=2048, batch_size=batch, max_pass_tokens=most)
    assert passes.pass_pairs(longest, options) == expected


def test_an_adapter_is_trained_and_then_part_of_the_policy(
    trained: Policy, pairs: Pairs, tmp_path: Path
) -> None:
    before = weights(trained)
    options = replace(OPTIONS, lora=LoraOptions(rank=4), learning_rate=1e-2)
    first = update.update(trained, pairs, options)
    assert first.start_margin == 0.0 and first.last_loss < first.first_loss
    trained.save(tmp_path)
    again = load(str(tmp_path))
    assert weights(again).keys() == before.keys(), "no layer of an adapter is left"
    moved = [name for name, one in weights(again).items() if not torch.equal(one, before[name])]
    assert moved and all("proj" in name for name in moved), "linear layers alone"
    # The second iteration's reference is the policy with the first one's adapter in it.
    assert update.update(again, pairs, options).start_margin == 0.0


def test_an_adapter_drops_out_as_it_is_told_to(
    policy_folder: Path, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL turns every dropout off, those of adapters too."""
    monkeypatch.setattr(update, "_bring_together", lambda *_: None)
    losses = []
    for dropout in (0.0, 0.5):
        lora = LoraOptions(rank=4, dropout=dropout)
        options = replace(OPTIONS, lora=lora, learning_rate=1e-2)
        done = update.update(load(str(policy_folder)), pairs, options)
        assert done.start_margin == 0.0
        losses.append(done.last_loss)
    assert losses[0] != losses[1]


@pytest.mark.filterwarnings("ignore")
def test_the_loss_is_that_of_trl_alone(policy_folder: Path, pairs: Pairs, tmp_path: Path) -> None:
    """The same pairs in the same order through TRL as its manual has it: the same trajectory."""
    options = replace(OPTIONS, checkpoint_steps=0, epochs=2)
    ours = update.update(load(str(policy_folder)), pairs, options)
    plain = load(str(policy_folder))
    lengths = [passes.tokens(plain, pair) for pair in pairs]
    order = passes.bucketed(lengths, options.batch_size, options.seed)
    trainer = update.DPOTrainer(
        model=plain.model,
        ref_model=load(str(policy_folder)).model,
        args=update.DPOConfig(
            output_dir=str(tmp_path), loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.001],
            beta=0.1, max_length=256, learning_rate=1e-4, warmup_steps=0.1, optim="rmsprop",
            lr_scheduler_type="linear", num_train_epochs=2, per_device_train_batch_size=4,
            train_sampling_strategy="sequential", seed=3, use_cpu=True, bf16=False,
            activation_checkpointing=False, dataloader_pin_memory=False, save_strategy="no",
            report_to="none", disable_tqdm=True, logging_steps=1,
        ),
        train_dataset=update.datasets.Dataset.from_list([passes.row(pairs[i]) for i in order]),
        processing_class=plain.tokenizer,
    )  # fmt: skip
    trainer.remove_callback(update.PrinterCallback)
    trainer.train()
    theirs = [logs["loss"] for logs in trainer.state.log_history if "loss" in logs]
    assert [step.loss for step in ours.curve] == pytest.approx(theirs, abs=1e-6)
    assert [step.step for step in ours.curve] == list(range(1, 7))


def test_curves_for_tensorboard(trained: Policy, pairs: Pairs, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    update.update(trained, pairs, OPTIONS, curves=tmp_path / "runs")
    (events,) = (tmp_path / "runs").rglob("events.out.tfevents.*")
    assert b"rewards/margins" in events.read_bytes()


def test_what_cannot_be_trained_is_counted(trained: Policy, pairs: Pairs) -> None:
    long = (Message(role=Role.USER, content="x" * 300),)
    pairs[0] = structs.replace(pairs[0], prompt=long)
    pairs[1] = structs.replace(pairs[1], rejected="y" * 300)
    report = update.update(trained, pairs, OPTIONS)
    assert (report.trained, report.dropped, report.answers_cut) == (9, 1, 1)
    with pytest.raises(TrainingFailed, match=r"all 1 pairs fill max_length \(256\)"):
        update.update(trained, pairs[:1], OPTIONS)


def test_nothing_is_printed(
    trained: Policy, pairs: Pairs, capfd: pytest.CaptureFixture[str]
) -> None:
    update.update(trained, pairs, OPTIONS)
    assert capfd.readouterr() == ("", "")


def test_scores_are_sums_over_the_answer_s_tokens(trained: Policy) -> None:
    asked, answered = [257, 259, 65, 258, 261], [66, 67, 258]
    longer = ([257, 259, 65, 66, 67, 68, 258, 261], [70, 258])
    score, _ = diagnostics.score_tokens(trained, [(asked, answered), longer], batch=2)
    with torch.no_grad():
        logps = trained.model(torch.tensor([asked + answered])).logits[0].log_softmax(-1)
    expected = sum(logps[len(asked) - 1 + i, token].item() for i, token in enumerate(answered))
    assert score.logp == pytest.approx(expected, abs=1e-4)
    assert score.tokens == 3
