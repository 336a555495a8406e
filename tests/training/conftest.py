"""A policy small enough for tests, and turns to train it on."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from training.examples import Example, of_dsat
from warehouse.records import Category, DsatTurn, Message, Role

NOW = dt.datetime(2025, 1, 2, 3, tzinfo=dt.UTC)
WORDS = "the river house walk plan day first in on answer list please right wrong".split()


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of 35 thousand parameters that has seen a little text."""
    torch = pytest.importorskip("torch")
    from training import tiny

    # Test processes share the cores, and OpenMP's threads spin while they wait for one.
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("policy")
    tiny.make(folder, 0, hidden=32, layers=2, heads=2, warm_up=20)
    return folder


@pytest.fixture
def few_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation draws as many answers as its settings say: chance is not the matter here."""
    monkeypatch.setattr("training.evaluate.ANSWERS", 1)


@pytest.fixture
def now() -> dt.datetime:
    return NOW


@pytest.fixture(scope="session")
def make_turns() -> Callable[[int], list[DsatTurn]]:
    """DSAT turns of different lengths; the n-th is always the same."""

    def text(n: int, words: int) -> str:
        return " ".join(WORDS[(n * 7 + i * (n + 3)) % len(WORDS)] for i in range(words))

    def turn(n: int) -> DsatTurn:
        return DsatTurn(
            turn_id=f"{n:032x}",
            conversation_id=f"c{n}",
            answer_turn_id=f"{n:031x}a",
            context=(Message(role=Role.USER, content=text(n, 4 + n % 9)),),
            answer=text(n + 1, 6 + n % 13),
            feedback=f"No, that is wrong: {n}",
            category=Category.CORRECTION,
            probability=0.9,
            trainable=True,
            detector="d",
            detector_version="1",
        )

    return lambda count: [turn(n) for n in range(count)]


@pytest.fixture(scope="session")
def make_examples(make_turns: Callable[[int], list[DsatTurn]]) -> Callable[[int], list[Example]]:
    """Examples of those turns."""
    return lambda count: [of_dsat(turn) for turn in make_turns(count)]
