"""The gradient's norm, and its bound."""

import math
from pathlib import Path

import pytest

from warehouse.records import Message, PreferencePair, Role

torch = pytest.importorskip("torch")

from training.gradients import PAIRS, TAU, gradient  # noqa: E402
from training.policy import Policy, load  # noqa: E402

PAIR = PreferencePair(
    turn_id="t",
    prompt=(Message(role=Role.USER, content="the river"),),
    chosen="a day",
    rejected="the wrong house",
)


@pytest.fixture(scope="module")
def policy(policy_folder: Path) -> Policy:
    return load(str(policy_folder))


def dpo_gradient_norm(policy: Policy, margin: float, beta: float) -> float:
    """By autograd through the loss itself, with the reference shifted so that s is `margin`."""

    def logp(answer: str) -> torch.Tensor:
        asked, answered = policy.answer_ids(PAIR.prompt, answer)
        logits = policy.model(torch.tensor([asked + answered])).logits[0].log_softmax(-1)
        return sum(logits[len(asked) - 1 + i, token] for i, token in enumerate(answered))

    policy.model.zero_grad()
    difference = logp(PAIR.chosen) - logp(PAIR.rejected)
    s = beta * (difference - difference.detach()) + margin
    (-torch.nn.functional.logsigmoid(s)).backward()
    squares = [float(p.grad.square().sum()) for p in policy.model.parameters()]
    policy.model.zero_grad(set_to_none=True)
    return math.sqrt(sum(squares))


@pytest.mark.parametrize("margin", [0.0, 0.8, -2.0])
def test_the_norm_is_that_of_the_loss(margin: float, policy: Policy) -> None:
    found = gradient(policy, [PAIR], [margin], beta=0.1, max_length=256)
    assert found is not None
    assert found.norm == pytest.approx(dpo_gradient_norm(policy, margin, 0.1), rel=1e-4)
    assert found.bound <= found.norm
    assert all(p.grad is None for p in policy.model.parameters()), "nothing is left behind"


def test_at_the_start_it_is_half_of_beta_times_the_difference(policy: Policy) -> None:
    found = gradient(policy, [PAIR] * 20, [0.0] * 20, beta=0.1, max_length=256)
    assert found is not None and found.pairs == PAIRS
    assert found.norm == pytest.approx(0.1 / 2 * found.difference)
    assert found.open_share == 1.0
    assert found.bound == pytest.approx(0.1 * TAU * found.difference)


def test_pairs_that_are_learned_do_not_count_for_the_bound(policy: Policy) -> None:
    found = gradient(policy, [PAIR] * 2, [50.0, 900.0], beta=0.1, max_length=256)
    assert found is not None and (found.open_share, found.bound) == (0.0, 0.0)
    assert gradient(policy, [], [], beta=0.1, max_length=256) is None
