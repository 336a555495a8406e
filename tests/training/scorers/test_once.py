"""A reward model that is asked about held-out answers twice, and scores them once."""

from collections.abc import Callable, Sequence

import pytest

from training import tools
from training.compare import ByScore
from training.examples import Example
from training.options import TrainingOptions
from training.scorers.once import Once


class Lengths:
    """The longer the better; counts what it is asked."""

    name = "lengths"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def score(
        self, examples: Sequence[Example], answers: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        for example, some in zip(examples, answers, strict=True):
            self.asked += [(example.turn_id, text) for text in some]
        return [[float(len(text)) for text in some] for some in answers]


def test_each_answer_is_scored_once(make_examples: Callable[[int], list[Example]]) -> None:
    one, other = make_examples(2)
    inner = Lengths()
    scorer = Once(scorer=inner)
    assert scorer.score([one, other, one], [["a", "bb"], ["a"], ["a", "ccc"]]) == [
        [1, 2], [1], [1, 3],
    ]  # fmt: skip
    assert inner.asked == [(one.turn_id, t) for t in ("a", "bb")] + [
        (other.turn_id, "a"), (one.turn_id, "ccc"),
    ]  # fmt: skip
    assert scorer.score([other, one], [["a"], ["ccc", "a"]]) == [[1], [3, 1]]
    assert len(inner.asked) == 4 and scorer.name == "lengths"
    assert scorer.score([], []) == []


def test_what_compares_by_a_reward_model_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Lengths()
    monkeypatch.setattr(tools, "_reward", lambda *_: inner)
    with tools.tools(TrainingOptions(reward_model="/rm"), account="a") as given:
        assert given.comparer == ByScore(scorer=Once(scorer=inner))
