"""Reward models: what is refused, and that padding, order and length do not move a score."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.examples import Example
from training.scorers.base import Scorer
from warehouse.errors import ScorerUnusable
from warehouse.records import Message, Role

torch = pytest.importorskip("torch")

from training.scorers.reward_model import RewardModelScorer, load  # noqa: E402
from training.tiny import byte_tokenizer  # noqa: E402

ROOM = 160  # tokens, here bytes


def classifier(folder: Path, kind: str, labels: int = 1) -> Path:
    """A classifier of a few thousand random weights, over bytes."""
    import transformers

    tokenizer = byte_tokenizer()
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=ROOM,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.5,  # or what it says hardly depends on what it reads
        num_labels=labels,
    )
    transformers.set_seed(0)
    made = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=["Llama", "Bert"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def scorer(folder: Path) -> RewardModelScorer:
    return load(str(folder))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return classifier(tmp_path / "copied", "Llama")


def example_of(make_examples: Callable[[int], list[Example]], *texts: str) -> Example:
    roles = (Role.USER, Role.ASSISTANT)
    context = [Message(role=roles[i % 2], content=text) for i, text in enumerate(texts)]
    return replace(make_examples(1)[0], prompt=tuple(context))


ANSWERS = [["short", "a rather longer answer than that", ""], [], ["x"], ["yes", "no"]]


def test_scores_do_not_depend_on_the_batch(scorer: RewardModelScorer, make_examples) -> None:
    of: Scorer = scorer
    together = of.score(make_examples(4), ANSWERS)
    alone = replace(scorer, batch=1).score(make_examples(4), ANSWERS)
    assert list(map(len, together)) == [3, 0, 1, 2]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert len({round(score, 4) for scores in together for score in scores}) == 6


def test_the_score_is_the_logit_of_the_whole_conversation(
    scorer: RewardModelScorer, make_examples
) -> None:
    ((score,),) = scorer.score([example_of(make_examples, "Why?")], [["So."]])
    text = "<|start|><|user|>Why?<|end|><|assistant|>So.<|end|>"
    ids = scorer.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert score == pytest.approx(float(scorer.model(input_ids=ids).logits), abs=1e-4)


def test_a_long_conversation_loses_its_beginning(scorer: RewardModelScorer, make_examples) -> None:
    asked = [
        example_of(make_examples, first + "x" * 300, "Well?", "And then?")
        for first in ("one", "two")
    ]
    (one,), (two,) = scorer.score(asked, [["So it is."]] * 2)
    (other,), _ = scorer.score(asked, [["So is it."]] * 2)
    assert math.isfinite(one)
    assert one == pytest.approx(two, abs=1e-4)
    assert one != pytest.approx(other, abs=1e-4)


def test_an_answer_that_is_too_long_has_no_score(scorer: RewardModelScorer, make_examples) -> None:
    ((long, short),) = scorer.score(make_examples(1), [["y" * ROOM, "y"]])
    assert math.isnan(long)
    assert math.isfinite(short)


def test_a_template_without_system_gets_its_text_all_the_same(
    scorer: RewardModelScorer, make_examples
) -> None:
    plain = example_of(make_examples, "Be brief.\n\nWhy?")
    system = Message(role=Role.SYSTEM, content="Be brief.")
    turn = example_of(make_examples, "Why?")
    with_system = replace(turn, prompt=(system, *turn.prompt))
    refusing = (
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('no system here') }}{% endif %}"
        "{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}"
    )
    before = scorer.tokenizer.chat_template
    scorer.tokenizer.chat_template = refusing
    try:
        (one,), (other,) = scorer.score([plain, with_system], [["a"], ["a"]])
        assert one == pytest.approx(other, abs=1e-4)
        scorer.tokenizer.chat_template = "{{ raise_exception('nothing at all') }}"
        assert math.isnan(scorer.score([plain], [["a"]])[0][0])
    finally:
        scorer.tokenizer.chat_template = before


def test_progress_and_name(scorer: RewardModelScorer, make_examples) -> None:
    told: list[tuple[int, int]] = []
    telling = replace(scorer, batch=4, progress=lambda done, of, _: told.append((done, of)))
    telling.score(make_examples(4), ANSWERS)
    assert told == [(4, 6), (6, 6)]
    assert scorer.name == f"reward_model:{scorer.source}"
    assert scorer.max_tokens == ROOM


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def more_labels(folder: Path) -> None:
    shutil.rmtree(folder)
    classifier(folder, "Llama", labels=2)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def own_code(folder: Path) -> None:
    (folder / "own.py").write_text("raise SystemExit('ran')")
    own = {"AutoModelForSequenceClassification": "own.Own", "AutoConfig": "own.Config"}
    edit(folder / "config.json", model_type="own", auto_map=own)


def no_head(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "two labels": (more_labels, "has 2 labels, and a reward model has one"),
    "pickled weights": (pickled, "pickled weights are never read"),
    "code of its own": (own_code, "code that comes with a model is never run"),
    "an untrained head": (no_head, r"1 of its weights .*score\.weight.* drawn at random"),
    "no chat template": (no_template, "no chat template"),
    "an empty folder": (nothing, "cannot be loaded as a reward model"),
}


@pytest.mark.parametrize("spoil, says", REFUSED.values(), ids=REFUSED)
def test_refused(copied: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(copied)
    with pytest.raises(ScorerUnusable, match=says):
        load(str(copied))


def test_without_a_pad_token_the_last_token_is_scored(copied: Path, make_examples) -> None:
    """A conversation ends with the end token: taken for padding, the one before it would be."""
    import transformers

    padded = load(str(copied)).score(make_examples(1), [["a", "a longer one"]])
    edit(copied / "tokenizer_config.json", pad_token=None)
    edit(copied / "config.json", pad_token_id=None)
    scorer = load(str(copied))
    assert (scorer.pad, scorer.batch) == (None, 1)
    found = scorer.score(make_examples(1), [["a", "a longer one"]])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(copied)
    (example,) = make_examples(1)
    for answer, score in zip(["a", "a longer one"], found[0], strict=True):
        ids = scorer._ids(example.prompt, answer)
        assert ids[-1] == scorer.tokenizer.eos_token_id
        with torch.no_grad():
            own = float(model(torch.tensor([ids])).logits)
        assert score == pytest.approx(own, abs=1e-4)
    assert found[0] == pytest.approx(padded[0], abs=1e-4)
