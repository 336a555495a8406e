"""Drawing for turns as they are logged, under templates that refuse what they do not expect."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from training.options import EvaluationOptions, GateOptions, StopOptions, TrainingOptions
from training.prompts import Prompt
from warehouse.errors import TrainingFailed
from warehouse.records import DsatTurn, Message, Role

torch = pytest.importorskip("torch")

from tests.training.iterations import learned_from, placed  # noqa: E402
from training.draw import draw  # noqa: E402
from training.examples import Example, of_dsat  # noqa: E402
from training.iteration import judge  # noqa: E402
from training.methods import Drift, IterDpo, Task  # noqa: E402
from training.pairs import Filtered  # noqa: E402
from training.policy import load  # noqa: E402
from training.samplers.base import FinishReason, Sample  # noqa: E402

OPTIONS = TrainingOptions(
    max_length=512,
    max_prompt_tokens=400,
    max_new_tokens=12,
    batch_size=4,
    resample=20,  # this policy says nothing at times, which is not the matter here
    gate=GateOptions(min_heldout=1),
    stop=StopOptions(looks=0),
    evaluation=EvaluationOptions(answers=1),
)
ALTERNATE = """{% for m in messages %}
{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant') }}
{% endif %}{% endfor %}"""
NO_SYSTEM = """{% if messages[0]['role'] == 'system' %}
{{ raise_exception('System role not supported') }}{% endif %}"""
OWN_SYSTEM = """{% if messages[0]['role'] == 'system' %}{% set messages = messages[1:] %}{% endif %}
"""
NO_WORD = """{% for m in messages %}{% if 'forbidden' in m['content'] %}
{{ raise_exception('no') }}{% endif %}{% endfor %}"""
NO_NUMBER = """{% for m in messages %}{% if 'forbidden' in m['content'] %}
{{ m['content'] + 1 }}{% endif %}{% endfor %}"""
ODD = {
    "users in a row": ("user", "user"),
    "greeting": ("assistant", "user"),
    "system": ("system", "user"),
    "system and greeting": ("system", "assistant", "user"),
    "system in the middle": ("user", "assistant", "system", "user"),
    "tools": ("user", "assistant", "tool", "assistant", "user"),
    "longer than the budget": ("system", *("user", "assistant") * 20, "user", "user"),
}
Turns = list[DsatTurn]
Strict = Callable[[str], str]


@pytest.fixture
def strict(policy_folder: Path, tmp_path: Path) -> Strict:
    """A copy of the policy with checks before its template."""

    def make(checks: str) -> str:
        copied = Path(shutil.copytree(policy_folder, tmp_path / "strict"))
        template = copied / "chat_template.jinja"
        template.write_text(checks.replace("\n", "") + template.read_text())
        return str(copied)

    return make


@pytest.fixture
def odd(make_turns: Callable[[int], Turns]) -> Turns:
    return [
        structs.replace(
            turn,
            context=tuple(
                Message(role=Role(role), content=f"{role} says {n}") for n, role in enumerate(roles)
            ),
        )
        for turn, roles in zip(make_turns(len(ODD)), ODD.values(), strict=True)
    ]


@pytest.mark.parametrize("guided", [True, False], ids=["guided", "unguided"])
@pytest.mark.parametrize(
    "checks", [ALTERNATE, NO_SYSTEM + ALTERNATE, OWN_SYSTEM + ALTERNATE], ids=["a", "b", "c"]
)
def test_odd_conversations_train_under_strict_templates(
    checks: str, guided: bool, strict: Strict, odd: Turns, tmp_path: Path, few_answers: None
) -> None:
    places = placed(strict(checks), tmp_path)
    options = replace(OPTIONS, guided=guided)
    learned = learned_from(places, odd, odd, options)
    assert learned.pairs.filtered == {}
    assert learned.update.trained == len(odd) == len(learned.held.pairs)
    judged = judge(places, learned, options)
    assert judged.metrics is not None and judged.metrics.pairs.pairs == len(odd)


@pytest.mark.parametrize("checks", [NO_WORD, NO_NUMBER], ids=["refuses", "breaks"])
def test_what_a_template_refuses_is_counted_and_no_more(
    checks: str, strict: Strict, odd: Turns, tmp_path: Path
) -> None:
    places = placed(strict(checks), tmp_path)
    odd[0] = structs.replace(odd[0], context=(Message(role=Role.USER, content="forbidden"),))
    odd[1] = structs.replace(odd[1], answer="forbidden")
    learned = learned_from(places, odd, odd[:2], OPTIONS)
    assert learned.pairs.filtered == {"unrenderable": 2}
    assert learned.update.trained == len(odd) - 2
    assert learned.held.pairs == ()
    with pytest.raises(TrainingFailed, match=r"None of 2 turns .*'unrenderable': 2.*template"):
        learned_from(places, odd[:2], [], OPTIONS)


class Scripted:
    """A sampler that says something from a seed on, and nothing before."""

    def __init__(self, from_seed: dict[Prompt, int]) -> None:
        self.from_seed = from_seed
        self.seeds: list[int] = []
        self.drawn: list[int] = []

    def sample(self, prompts: Sequence[Prompt], _: object, seed: int) -> list[Sample]:
        self.seeds.append(seed)
        self.drawn.append(len(prompts))
        return [answer("A day." if seed >= self.from_seed[prompt] else "") for prompt in prompts]


@pytest.mark.parametrize(
    "resample, prompts_drawn, made",
    [(0, [3], 1), (1, [3, 2], 1), (2, [3, 2, 2], 2), (3, [3, 2, 2, 1], 2)],
)
def test_samples_that_make_no_pair_are_drawn_again(
    resample: int,
    prompts_drawn: list[int],
    made: int,
    policy_folder: Path,
    make_turns: Callable[[int], Turns],
) -> None:
    never, late, always = turns = make_turns(3)
    sampler = Scripted({never.context: 99, late.context: 9, always.context: 7})
    options = replace(OPTIONS, resample=resample, seed=7)
    method = Drift(guided=False, keep_cut_off=True)
    tasks = [Task(example=of_dsat(turn), method=method) for turn in turns]
    result = draw(load(str(policy_folder)), tasks, options, sampler)
    assert sampler.drawn == prompts_drawn
    assert sampler.seeds == [7 + n for n in range(len(prompts_drawn))]
    assert result.redrawn == sum(prompts_drawn[1:])
    found = result.pairs()
    assert [pair.chosen for pair in found.pairs] == ["A day."] * made
    assert found.filtered == {"empty": 3 - made}


def test_several_answers_are_drawn_and_ranked(
    policy_folder: Path, make_turns: Callable[[int], Turns]
) -> None:
    """Only those that are missing are drawn again, and a scorer is asked once about all."""
    asked: list[list[str]] = []

    class Lengths:
        name = "lengths"

        def score(
            self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
        ) -> list[list[float]]:
            asked.extend([*some] for some in answers)
            return [[float(len(one)) for one in some] for some in answers]

    class Counting:
        def __init__(self) -> None:
            self.texts = iter(["one", "", "three days", "", "a", "", "", ""])

        def sample(self, prompts: Sequence[Prompt], _: object, seed: int) -> list[Sample]:
            return [answer(next(self.texts)) for _ in prompts]

    tasks = [
        Task(example=of_dsat(turn), method=IterDpo(draws=2, keep_cut_off=True))
        for turn in make_turns(2)
    ]
    result = draw(
        load(str(policy_folder)), tasks, replace(OPTIONS, resample=2), Counting(), Lengths()
    )
    assert asked == [["one", "a"], ["three days"]]
    assert result.redrawn == 2 + 1
    (name, pair), (_, reason) = result.made
    assert name == "iterdpo" and reason is Filtered.EMPTY
    assert not isinstance(pair, Filtered) and (pair.chosen, pair.rejected) == ("one", "a")


def answer(text: str) -> Sample:
    return Sample(
        text=text, prompt=(1,), tokens=(2,), finish_reason=FinishReason.STOP, prompt_cut=False
    )
