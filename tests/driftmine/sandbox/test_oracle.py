"""What knows the truth: a detector that is always right, and a reward model that often is."""

import math
from dataclasses import replace
from statistics import NormalDist

from driftmine.sandbox.oracle import SimulatedReward, perfect
from driftmine.sandbox.phrases import Kind
from driftmine.sandbox.product import known_by
from driftmine.sandbox.tasks import Family, Task
from mining.conversations import FollowUp
from tests.driftmine.sandbox.chance import plausible
from tests.driftmine.sandbox.product_day import day, records
from training.examples import Example
from warehouse.records import Message, Role, SignalKind

TASK = Task(family=Family.NAME, language="en", target="en", category="animals", n=3)
ANSWERS = ("bear, cat, dog", "bear, cat")  # no fault, and one
N = 4_000


def test_a_perfect_detector_says_what_users_thought(tmp_path):
    _, seen, log, _ = day(tmp_path, hostile=0.1, false_complaints=0.2, false_content=0.2)
    texts = {
        row["conversation_id"]: [message["content"] for message in row["messages"]]
        for row in records(log)
    }
    spoken = [one for one in seen if one.replied]
    follow_ups = []
    for one in spoken:
        user, answer, said = texts[one.conversation_id][one.turn_index - 1 : one.turn_index + 2]
        follow_ups.append(FollowUp(user=user, answer=answer, follow_up=said))
    verdicts = perfect(seen).load().detect(follow_ups)
    assert [verdict.probability for verdict in verdicts] == [
        float(one.dissatisfied) for one in spoken
    ]
    assert [verdict.signal for verdict in verdicts] == [
        SignalKind.DSAT if one.dissatisfied
        else SignalKind.SAT if one.said is Kind.THANK
        else SignalKind.NEUTRAL
        for one in spoken
    ]  # fmt: skip
    assert {verdict.signal for verdict in verdicts} == {*SignalKind}


def test_a_follow_up_that_nobody_wrote_is_not_dissatisfied():
    (verdict,) = perfect([]).load().detect([FollowUp(user="a", answer="b", follow_up="c")])
    assert (verdict.probability, verdict.signal) == (0.0, SignalKind.NEUTRAL)


def examples(n):
    """Prompts that differ, all about the same task."""
    prompts = [(Message(role=Role.USER, content=f"{i}: {TASK.request}"),) for i in range(n)]
    return [Example(turn_id=str(i), prompt=prompt) for i, prompt in enumerate(prompts)]


def reward(some, **fields):
    known = {known_by(*(m.content for m in one.prompt)): TASK for one in some}
    return SimulatedReward(**{"tasks": known, "noise": 1.0, "seed": 0} | fields)


def wins(noise):
    some = examples(N)
    scores = reward(some, noise=noise).score(some, [ANSWERS] * N)
    return sum(right > wrong for right, wrong in scores)


def test_a_reward_model_with_noise_prefers_the_better_in_three_of_four_pairs():
    accuracy = NormalDist().cdf(1 / 2**0.5)
    assert round(accuracy, 2) == 0.76
    assert plausible(wins(1.0), N, accuracy)


def test_without_noise_it_is_always_right():
    assert wins(0.0) == N


def test_without_noise_a_score_counts_the_faults():
    some = examples(1)
    scores = reward(some, noise=0.0).score(some, [[*ANSWERS, "", "bear, cat, cat, Hund"]])
    assert scores == [[0.0, -1.0, -2.0, -3.0]]


def test_the_same_answer_has_the_same_score_wherever_it_stands():
    some = examples(3)
    model = reward(some)
    forth = model.score(some, [ANSWERS] * 3)
    back = model.score(some[::-1], [ANSWERS[::-1]] * 3)
    assert forth == [scores[::-1] for scores in back[::-1]]
    assert len({score for scores in forth for score in scores}) == 6


def test_another_seed_errs_elsewhere():
    some = examples(3)
    model = reward(some)
    assert model.score(some, [ANSWERS] * 3) != replace(model, seed=1).score(some, [ANSWERS] * 3)


def test_of_a_prompt_that_it_does_not_know_it_says_nothing():
    some = examples(2)
    scores = reward(some, tasks={}).score(some, [ANSWERS] * 2)
    assert all(math.isnan(score) for both in scores for score in both)
