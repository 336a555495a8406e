"""Chosen answers that only the follow-up explains, drawn by a policy that reads it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import driftmine.sandbox  # noqa: E402
from training.draw import draw  # noqa: E402
from training.examples import Example  # noqa: E402
from training.methods import Drift, Task  # noqa: E402
from training.options import TrainingOptions  # noqa: E402
from training.pairs import Filtered  # noqa: E402
from training.policy import Policy, load  # noqa: E402
from training.prompts import Prompt  # noqa: E402
from training.samplers.base import FinishReason, Sample  # noqa: E402
from warehouse.records import Message, PreferencePair, Role  # noqa: E402

OPTIONS = TrainingOptions(
    max_length=512, max_prompt_tokens=384, max_new_tokens=48, max_feedback_gain=1.0, resample=0
)
ASKED = "Name 3 animals in capital letters."
LOGGED = "cat, dog, cow"
# What the user said next, and what the policy answered then -> whether that is a pair.
FOLLOW_UPS = {
    "a complaint": ("I asked for capital letters!", "CAT, DOG, COW", True),
    "another request": ("Thanks! And what is 9 plus 7, in words?", "sixteen", False),
}


class Says:
    """Draws what it is told to."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def sample(self, prompts: Sequence[Prompt], _: object, seed: int) -> list[Sample]:
        return [
            Sample(text=text, prompt=(), tokens=(1,), finish_reason=FinishReason.STOP,
                   prompt_cut=False)
            for _, text in zip(prompts, self.texts, strict=True)
        ]  # fmt: skip


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The sandbox's: it has learned to mend answers, and to answer what comes next."""
    return load(str(Path(driftmine.sandbox.__file__).parent / "data" / "policy"))


def made(policy: Policy, options: TrainingOptions, *, guided: bool) -> list[str | Filtered]:
    tasks = [
        Task(
            example=Example(
                turn_id=name,
                prompt=(Message(role=Role.USER, content=ASKED),),
                rejected=LOGGED,
                feedback=said,
            ),
            method=Drift(guided=guided, keep_cut_off=True),
        )
        for name, (said, _, _) in FOLLOW_UPS.items()
    ]
    drawn = draw(policy, tasks, options, Says(*(text for _, text, _ in FOLLOW_UPS.values())))
    pairs = [one for _, one in drawn.made]
    return [one.chosen if isinstance(one, PreferencePair) else one for one in pairs]


def test_an_answer_to_what_came_next_is_not_chosen(policy: Policy) -> None:
    assert made(policy, OPTIONS, guided=True) == [
        text if kept else Filtered.OFF_REQUEST for _, text, kept in FOLLOW_UPS.values()
    ]


def test_without_a_limit_and_without_feedback_it_is(policy: Policy) -> None:
    every = [text for _, text, _ in FOLLOW_UPS.values()]
    assert made(policy, replace(OPTIONS, max_feedback_gain=0), guided=True) == every
    assert made(policy, OPTIONS, guided=False) == every
