"""What each method draws, and which answer it chooses and rejects."""

import datetime as dt
import math
from collections.abc import Callable

import pytest

from training.batch import tasks
from training.examples import Example, of_dsat, of_seed
from training.methods import Drift, IterDpo, Method, Seed, Spin, guided_prompt
from training.options import TrainingOptions
from training.pairs import GUIDANCE, Filtered
from training.samplers.base import FinishReason, Sample
from warehouse.leases import Lease
from warehouse.records import DsatTurn, Message, PreferencePair, Role, SatTurn, SeedPair
from warehouse.selection import Wanted

PROMPT = (Message(role=Role.USER, content="How far is the lake?"),)
EXAMPLE = Example(
    turn_id="t",
    prompt=PROMPT,
    accepted="Three kilometres, half an hour on foot.",
    rejected="Far.",
    feedback="That is no number.",
)
DRIFT = Drift(guided=True, keep_cut_off=True)
ITERDPO = IterDpo(draws=3, keep_cut_off=True)
SPIN, SEED = Spin(keep_cut_off=True), Seed()


def samples(*texts: str) -> list[Sample]:
    return [
        Sample(text=text, prompt=(1,), tokens=(2,), finish_reason=FinishReason.STOP,
               prompt_cut=False)
        for text in texts
    ]  # fmt: skip


def test_a_guided_prompt_ends_with_feedback_and_instruction() -> None:
    prompt = DRIFT.asks(EXAMPLE)
    assert prompt == guided_prompt(EXAMPLE)
    assert prompt[:-2] == PROMPT
    assert [m.role for m in prompt[-2:]] == [Role.ASSISTANT, Role.USER]
    assert prompt[-2].content == EXAMPLE.rejected
    assert prompt[-1].content == f"{EXAMPLE.feedback}\n\n{GUIDANCE}"


@pytest.mark.parametrize(
    "method", [Drift(guided=False, keep_cut_off=True), ITERDPO, SPIN], ids=lambda m: m.name
)
def test_the_others_draw_from_the_context_alone(method: Method) -> None:
    assert method.asks(EXAMPLE) == PROMPT


PAIRED = {
    "drift: drawn over real": (DRIFT, [" 3 km. "], [], ("3 km.", "Far.")),
    "spin: real over drawn": (SPIN, ["\n\nNear. "], [], (EXAMPLE.accepted, "Near.")),
    "seed: real over real": (SEED, [], [], (EXAMPLE.accepted, "Far.")),
    "iterdpo: best over worst": (
        ITERDPO, ["It is 3 km.", "No idea.", "Ask me later."], [0.9, -1.0, 0.1],
        ("It is 3 km.", "No idea."),
    ),
    "iterdpo: of two that are as good the text does not decide": (
        ITERDPO, ["a plain one", "no", "**bold**"], [7.0, 1.0, 7.0], ("a plain one", "no"),
    ),
    "iterdpo: nor of two that are as bad": (
        ITERDPO, ["it is so", "**bold**", "1. a list"], [7.0, 1.0, 1.0], ("it is so", "**bold**"),
    ),
    "iterdpo: one without a score": (
        ITERDPO, ["It is 3 km.", "No idea.", "Ask me later."], [math.nan, -1.0, 0.1],
        ("Ask me later.", "No idea."),
    ),
    "iterdpo: one score is none": (ITERDPO, ["a", "b"], [math.nan, 1.0], Filtered.UNSCORED),
    "iterdpo: all alike": (ITERDPO, ["a", "b"], [0.5, 0.5], Filtered.TIED),
    "iterdpo: best and worst say the same": (
        ITERDPO, ["It is three kilometres away.", "It is three kilometres away!"], [0.1, 0.2],
        Filtered.NEAR_COPY,
    ),
}  # fmt: skip


@pytest.mark.parametrize("method, texts, scores, expected", PAIRED.values(), ids=PAIRED)
def test_pair(
    method: Method, texts: list[str], scores: list[float], expected: tuple[str, str] | Filtered
) -> None:
    made = method.pair(EXAMPLE, samples(*texts), scores)
    if isinstance(made, PreferencePair):
        assert (made.turn_id, made.prompt) == ("t", PROMPT)
        assert (made.chosen, made.rejected) == expected
    else:
        assert made == expected


OBJECTED = {
    "drift: a copy of the rejected": (DRIFT, "Far.", Filtered.IDENTICAL),
    "drift: the accepted is nobody's copy": (DRIFT, EXAMPLE.accepted, None),
    "spin: a copy of the accepted": (SPIN, EXAMPLE.accepted, Filtered.IDENTICAL),
    "spin: as bad as the rejected is welcome": (SPIN, "Far.", None),
    "iterdpo: no text": (ITERDPO, "", Filtered.EMPTY),
}


@pytest.mark.parametrize("method, text, reason", OBJECTED.values(), ids=OBJECTED)
def test_objection(method: Method, text: str, reason: Filtered | None) -> None:
    assert method.objection(EXAMPLE, *samples(text)) == reason


WANTED = {
    "drift": ({}, Wanted(turns=100, minimum=32)),
    "drift with seeds": ({"replay_share": 0.2}, Wanted(turns=80, seeds=20, minimum=32)),
    "iterdpo with sat": (
        {"method": "iterdpo", "replay_share": 0.2, "replay": "sat"},
        Wanted(turns=80, satisfied=20, minimum=32),
    ),
    "few, mostly replayed": (
        {"max_turns": 10, "replay_share": 0.7}, Wanted(turns=3, seeds=7, minimum=3),
    ),
    "all but one replayed": (
        {"max_turns": 8, "replay_share": 0.95}, Wanted(turns=1, seeds=7, minimum=1),
    ),
    "spin": ({"method": "spin"}, Wanted(satisfied=100, minimum=32)),
    "spin with seeds": (
        {"method": "spin", "replay_share": 0.5}, Wanted(satisfied=50, seeds=50, minimum=32),
    ),
    "seed": ({"method": "seed"}, Wanted(seeds=100, minimum=32)),
}  # fmt: skip


@pytest.mark.parametrize("changes, expected", WANTED.values(), ids=WANTED)
def test_what_a_method_leases(changes: dict[str, object], expected: Wanted) -> None:
    options = TrainingOptions(**{"max_turns": 100, **changes})  # type: ignore[arg-type]
    wanted = options.wanted
    assert wanted.most == expected.most
    assert wanted.minimum == expected.minimum
    assert list(wanted.most)[0] is options.main


def test_every_kind_gets_its_method(
    make_turns: Callable[[int], list[DsatTurn]], now: dt.datetime
) -> None:
    (turn,) = make_turns(1)
    liked = SatTurn(
        turn_id="s", conversation_id="c", answer_turn_id="a", context=PROMPT, answer="3 km.",
        feedback="Thanks!", probability=0.02,
    )  # fmt: skip
    seed = SeedPair(
        pair_id="p", prompt=PROMPT, chosen="3 km.", rejected="Far.", source="s", origin_file="f",
        origin_offset=0,
    )  # fmt: skip
    lease = Lease(
        batch_id="b", stream="s", token="t", snapshot=1, created_at=now, expires_at=now,
        turns=(turn,), satisfied=(liked,), seeds=(seed,),
    )  # fmt: skip
    for name in ("drift", "iterdpo"):
        found = tasks(lease, TrainingOptions(method=name))  # type: ignore[arg-type]
        assert [task.method.name for task in found] == [name, "spin", "seed"]
        assert [task.example.turn_id for task in found] == [turn.turn_id, "s", "p"]
    assert of_dsat(turn).rejected == turn.answer
    assert of_seed(seed).accepted == "3 km."
