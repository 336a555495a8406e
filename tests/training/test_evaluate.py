"""What is held out: two equal policies are equal, and what a scorer says reaches the figures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chat_server import say, serving
from training.compare import ByScore
from training.examples import Example, of_dsat
from training.judging.options import JudgeOptions
from training.options import TrainingOptions
from training.scorers.once import Once
from training.tools import tools
from warehouse.records import DsatTurn, PreferencePair

torch = pytest.importorskip("torch")

from training.evaluate import ANSWERS, HeldOut, evaluate  # noqa: E402
from training.policy import Policy, load  # noqa: E402

OPTIONS = TrainingOptions(max_length=256, max_prompt_tokens=128, max_new_tokens=8, batch_size=8)


class Lengths:
    """The longer the better; of the first example nothing is known."""

    name = "lengths"

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        return [
            [math.nan if example.turn_id.endswith("0") else float(len(text)) for text in some]
            for example, some in zip(examples, answers, strict=True)
        ]


@pytest.fixture(scope="module")
def policy(policy_folder: Path) -> Policy:
    return load(str(policy_folder))


@pytest.fixture
def held(make_turns: Callable[[int], list[DsatTurn]]) -> HeldOut:
    turns = make_turns(4)
    examples = tuple(replace(of_dsat(turn), user_key=f"u{n % 2}") for n, turn in enumerate(turns))
    return HeldOut(
        pairs=tuple(
            PreferencePair(turn_id=one.turn_id, prompt=one.prompt, chosen="A day.", rejected="No.")
            for one in examples
        ),
        examples=examples,
        canaries=tuple(replace(one, accepted="the house") for one in examples),
    )


def test_a_policy_is_no_better_than_itself(policy: Policy, held: HeldOut) -> None:
    found = evaluate(policy, policy, lambda: policy, held, OPTIONS, ByScore(scorer=Lengths()))
    assert found is not None
    assert (found.kl, found.kl_base, found.length_ratio, found.truncated_rise) == (0, 0, 1, 0)
    assert (found.pairs.margin, found.pairs.chosen_change) == (0, 0)
    assert {part.name for part in found.slices} == {"format", "refusals", "satisfied"}
    for part in found.slices:
        assert part.before == part.after
        assert (part.change.value, part.change.low, part.change.high) == (0, 0, 0)
    assert found.win_rate is not None and found.win_rate.value == 0.5
    assert (found.win_rate.n, found.win_rate.clusters, found.unjudged) == (3, 2, 1)
    assert found.judged_by == "lengths"
    assert found.coverage is not None
    before, after = found.coverage["before"], found.coverage["after"]
    assert before == after and before.share == 1.0 and before.alone == 0 < before.clusters


def test_held_out_answers_are_scored_once(policy: Policy, held: HeldOut) -> None:
    """For what is preferred and for what is covered; answers of both policies are the same."""

    class Counting(Lengths):
        asked = 0

        def score(
            self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
        ) -> list[list[float]]:
            self.asked += sum(map(len, answers))
            return super().score(examples, answers)

    inner = Counting()
    evaluate(policy, policy, lambda: policy, held, OPTIONS, ByScore(scorer=Once(scorer=inner)))
    assert 0 < inner.asked <= 64


def test_what_a_judge_says_reaches_the_figures(
    policy: Policy, held: HeldOut, tmp_path: Path
) -> None:
    """Of equal answers it is asked for ratings only, and both policies get the same."""
    with serving(say('{"score": 8}')) as server:
        judge = JudgeOptions(base_url=server.url, model="m", store=str(tmp_path / "s"), rate=True)
        with tools(replace(OPTIONS, judge=judge), account="a") as given:
            found = evaluate(policy, policy, lambda: policy, held, OPTIONS, given.comparer)
    assert found is not None and found.win_rate is not None and found.judgement is not None
    assert (found.judged_by, found.win_rate.value) == ("judge:m:compare_v1", 0.5)
    said = found.judgement
    assert (said.reward.value, said.reward.n, said.reward.clusters) == (0, ANSWERS, 2)
    assert said.length_controlled.rate.value == pytest.approx(0.5)
    assert said.ratings is not None and said.ratings.unrated == 0
    assert (said.ratings.candidate.value, said.ratings.change.value) == (6, 0)
    assert all("score" in request["messages"][0]["content"] for request in server.seen)


def test_without_a_judge_nothing_is_won(policy: Policy, held: HeldOut) -> None:
    found = evaluate(policy, policy, lambda: policy, replace(held, canaries=()), OPTIONS, None)
    assert found is not None
    assert (found.win_rate, found.judged_by, found.coverage) == (None, "", None)
    assert found.judgement is None
    assert {part.name for part in found.slices} == {"format", "refusals"}


def test_nothing_held_out_has_no_figures(policy: Policy, held: HeldOut) -> None:
    none = replace(held, pairs=(), examples=())
    assert evaluate(policy, policy, lambda: policy, none, OPTIONS, None) is None
