"""Loading policies, the tiny one's tokenizer and template, and sampling from it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.examples import of_dsat
from training.methods import guided_prompt
from training.pairs import GUIDANCE
from training.prompts import Prompt
from training.samplers.base import FinishReason, Sampling
from warehouse.errors import PolicyUnusable, TrainingFailed
from warehouse.records import DsatTurn, Message, Role

torch = pytest.importorskip("torch")

from training import tiny  # noqa: E402
from training.policy import Policy, digest, load  # noqa: E402
from training.samplers.hf import HfSampler  # noqa: E402

GREEDY = Sampling(temperature=0, top_p=1, max_new_tokens=8, max_prompt_tokens=200, batch=3)
WARM = replace(GREEDY, temperature=0.7, top_p=0.9)


@pytest.fixture
def policy(policy_folder: Path) -> Policy:
    return load(str(policy_folder))


@pytest.fixture
def copied(policy_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(policy_folder, tmp_path / "policy"))


def ask(*texts: str) -> list[Prompt]:
    return [(Message(role=Role.USER, content=text),) for text in texts]


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    content |= changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


PROMPTS = ask("short", "a much longer question about rivers and mills", "middle of the road", "x")


def test_pure_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, training.gate, training.metrics, training.manifest, training.options,"
        "training.pairs, training.prompts, training.registry;"
        "print({'torch', 'transformers', 'trl', 'duckdb', 'sqlalchemy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "text", ["plain", " two  spaces\n\ttab ", "naïve 世界 🦆", "it's , fine ."]
)
def test_any_text_comes_back_unchanged(text: str) -> None:
    tokenizer = tiny.byte_tokenizer()
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text


def test_the_template_marks_roles_and_the_answer_s_start(policy: Policy) -> None:
    prompt = (
        Message(role=Role.SYSTEM, content="Be brief."),
        Message(role=Role.USER, content="Hi"),
        Message(role=Role.ASSISTANT, content="Yes?"),
        Message(role=Role.USER, content="Why"),
    )
    asked, answered = policy.answer_ids(prompt, "So")
    assert policy.tokenizer.decode(asked) == (
        "<|start|><|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>Yes?<|end|>"
        "<|user|>Why<|end|><|assistant|>"
    )
    assert policy.tokenizer.decode(answered) == "So<|end|>"
    assert policy.prompt_size(prompt) == len(asked)


def test_the_same_seed_makes_the_same_policy(tmp_path: Path) -> None:
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        tiny.make(tmp_path / name, seed, hidden=32, layers=1, heads=2, warm_up=2)
    assert digest(str(tmp_path / "a")) == digest(str(tmp_path / "b"))
    assert digest(str(tmp_path / "a")) != digest(str(tmp_path / "c"))


def test_a_folder_of_pickles_is_refused(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(PolicyUnusable, match=r"only pytorch_model\.bin.*save_pretrained"):
        load(str(copied))


def test_remote_code_is_refused(copied: Path) -> None:
    (copied / "own.py").write_text("raise SystemExit('ran')")
    edit(copied / "config.json", model_type="own", auto_map={"AutoModelForCausalLM": "own.Own"})
    with pytest.raises(PolicyUnusable, match="cannot be loaded as a policy"):
        load(str(copied))


def test_no_chat_template_is_refused(copied: Path) -> None:
    (copied / "chat_template.jinja").unlink()
    with pytest.raises(PolicyUnusable, match=r"no chat template.*chat_template\.jinja"):
        load(str(copied))


def test_a_template_s_refusal_is_told_without_the_conversation(copied: Path) -> None:
    (copied / "chat_template.jinja").write_text("{{ raise_exception(messages[0]['content']) }}")
    policy = load(str(copied))
    (prompt,) = ask("secret")
    with pytest.raises(TrainingFailed, match="chat template refuses") as caught:
        policy.prompt_ids(prompt)
    assert "secret" not in str(caught.value)
    assert not policy.renders(prompt, "answer") and not policy.takes_system()


def test_no_such_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyUnusable, match="no weights"):
        load(str(tmp_path))


def test_a_missing_pad_token_is_the_end_token_and_said(copied: Path) -> None:
    edit(copied / "tokenizer_config.json", pad_token=None)
    loaded = load(str(copied))
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id
    assert loaded.model.generation_config.pad_token_id == loaded.tokenizer.eos_token_id
    assert loaded.notes == ("the tokenizer has no pad token: its end token <|end|> serves",)


def test_greedy_batches_answer_as_plain_generate_does(policy: Policy) -> None:
    samples = HfSampler(policy=policy).sample(PROMPTS, GREEDY, seed=0)
    for prompt, sample in zip(PROMPTS, samples, strict=True):
        ids = torch.tensor([policy.prompt_ids(prompt)])
        alone = policy.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8
        )
        assert sample.prompt == tuple(ids[0].tolist())
        assert sample.tokens == tuple(alone[0, ids.shape[1] :].tolist())
        assert sample.text == policy.tokenizer.decode(sample.tokens, skip_special_tokens=True)


def test_log_probabilities_are_the_policy_s_own_however_it_is_drawn(policy: Policy) -> None:
    samples = HfSampler(policy=policy).sample(PROMPTS, replace(WARM, max_new_tokens=40), seed=3)
    assert len({len(sample.tokens) for sample in samples}) > 1, "of different lengths, so padded"
    for sample in samples:
        ids = torch.tensor([sample.prompt + sample.tokens])
        with torch.no_grad():
            logits = policy.model(ids).logits[0, len(sample.prompt) - 1 : -1]
        own = logits.log_softmax(-1).gather(1, torch.tensor(sample.tokens)[:, None]).sum()
        assert sample.logp == pytest.approx(float(own), abs=1e-3)


def test_the_same_seed_draws_the_same(policy: Policy) -> None:
    sampler = HfSampler(policy=policy)
    before = torch.random.get_rng_state()
    first, again, other = (sampler.sample(PROMPTS, WARM, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_policy_s_own_way_of_drawing_does_not_count(policy: Policy) -> None:
    sampler = HfSampler(policy=policy)
    plain = sampler.sample(PROMPTS, WARM, seed=1)
    own = {
        "do_sample": True, "top_k": 1, "temperature": 0.1, "repetition_penalty": 9.0, "min_p": 0.3,
        "min_new_tokens": 7, "suppress_tokens": [5, 6], "num_return_sequences": 2,
        "stop_strings": ["a"], "guidance_scale": 2.0, "num_beams": 2,
    }  # fmt: skip
    policy.model.generation_config.update(**own)
    before = policy.model.generation_config.to_dict()
    assert sampler.sample(PROMPTS, WARM, seed=1) == plain
    assert policy.model.generation_config.to_dict() == before, "it is saved with the next version"


def test_finish_reasons(policy: Policy) -> None:
    end = policy.tokenizer.eos_token_id
    samples = HfSampler(policy=policy).sample(
        ask(*"abcdefgh") * 4, replace(WARM, temperature=5.0, top_p=1, max_new_tokens=60), seed=0
    )
    assert {s.finish_reason for s in samples} == {FinishReason.STOP, FinishReason.LENGTH}
    for sample in samples:
        stopped = sample.finish_reason is FinishReason.STOP
        assert stopped == (sample.tokens[-1] == end)
        assert end not in sample.tokens[:-1]
        assert stopped or len(sample.tokens) == 60


def test_a_cut_prompt_keeps_feedback_and_instruction(
    policy: Policy, make_turns: Callable[[int], list[DsatTurn]]
) -> None:
    (turn,) = make_turns(1)
    limit = len(GUIDANCE) + len(turn.feedback) + 60
    (sample,) = HfSampler(policy=policy).sample(
        [guided_prompt(of_dsat(turn))], replace(GREEDY, max_prompt_tokens=limit), seed=0
    )
    assert sample.prompt_cut
    assert len(sample.prompt) == limit
    seen = policy.tokenizer.decode(sample.prompt)
    assert seen.endswith(f"<|user|>{turn.feedback}\n\n{GUIDANCE}<|end|><|assistant|>")
    assert turn.answer[-10:] in seen


def test_prompts_of_like_length_are_drawn_together_padded_on_the_left(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], list[int]]] = []
    generate = policy.model.generate

    def spied(input_ids: Any, attention_mask: Any, **others: Any) -> Any:
        seen.extend(zip(attention_mask.tolist(), input_ids.tolist(), strict=True))
        return generate(input_ids=input_ids, attention_mask=attention_mask, **others)

    monkeypatch.setattr(policy.model, "generate", spied)
    samples = HfSampler(policy=policy).sample(PROMPTS, replace(GREEDY, batch=2), seed=0)
    assert [sum(mask) for mask, _ in seen] == sorted(len(s.prompt) for s in samples)
    for mask, ids in seen:
        padding = len(mask) - sum(mask)
        assert mask == [0] * padding + [1] * sum(mask)
        assert set(ids[:padding]) <= {policy.tokenizer.pad_token_id}
    assert [seen[i][0][0] for i in (1, 3)] == [1, 1], "the longest of a batch needs no padding"


def test_batches_are_halved_until_they_fit(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = HfSampler(policy=policy).sample(PROMPTS, GREEDY, seed=0)
    _limit_memory(policy, monkeypatch, rows=1)
    told: list[tuple[int, int, str]] = []
    halved = HfSampler(policy=policy, progress=lambda *step: told.append(step))
    again = halved.sample(PROMPTS, GREEDY, seed=0)
    assert [s.logp for s in again] == pytest.approx([s.logp for s in whole], abs=1e-4)
    assert [replace(s, logp=None) for s in again] == [replace(s, logp=None) for s in whole]
    assert told == [(n, 4, "sample") for n in (1, 2, 3, 4)]


def test_a_prompt_too_large_for_memory_is_an_error(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limit_memory(policy, monkeypatch, rows=0)
    with pytest.raises(TrainingFailed, match=r"single prompt.*max_prompt_tokens"):
        HfSampler(policy=policy).sample(PROMPTS, GREEDY, seed=0)


def _limit_memory(policy: Policy, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    generate = policy.model.generate

    def limited(input_ids: Any, **others: Any) -> Any:
        if len(input_ids) > rows:
            raise torch.OutOfMemoryError("no memory")
        return generate(input_ids=input_ids, **others)

    monkeypatch.setattr(policy.model, "generate", limited)
