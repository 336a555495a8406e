"""No prompt and no user teaches more than its share of a night."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.limits import Limits, Taught, excess, limited
from mining.verdict import Untrainable
from warehouse import reading
from warehouse.records import Message, Role

ONE = Limits(per_prompt=1, per_user=2)


def taught(name: str, p: float, user: str | None = None, *prompts: str) -> Taught:
    return Taught(turn_id=name, probability=p, user_key=user, prompts=prompts or (name,))


CASES = {
    "nobody is over": ([taught("a", 0.8, "ann"), taught("b", 0.9, "ann")], {}),
    "the surest stay": (
        [taught("a", 0.8, "ann"), taught("b", 0.9, "ann"), taught("c", 0.85, "ann")],
        {"a": Untrainable.FREQUENT_USER},
    ),
    "of equals the first by id": (
        [taught("b", 0.9, None, "x"), taught("a", 0.9, None, "x")],
        {"b": Untrainable.NEAR_DUPLICATE},
    ),
    "one prompt in common is enough": (
        [taught("a", 0.9, None, "x", "y"), taught("b", 0.8, None, "z", "y")],
        {"b": Untrainable.NEAR_DUPLICATE},
    ),
    "what goes uses up nothing": (
        [
            taught("a", 0.9, "ann", "x"), taught("b", 0.8, "ann", "x"),
            taught("c", 0.7, "ann", "y"), taught("d", 0.6, "bob", "x"),
        ],
        {"b": Untrainable.NEAR_DUPLICATE, "d": Untrainable.NEAR_DUPLICATE},
    ),
    "users who are not known are nobody": ([taught(str(i), 0.9) for i in range(9)], {}),
}  # fmt: skip


@pytest.mark.parametrize("turns, gone", CASES.values(), ids=CASES)
def test_which_turns_are_too_many(turns: list, gone: dict) -> None:
    assert excess(turns, ONE) == gone


TURNS = st.lists(
    st.builds(
        taught, st.uuids().map(str), st.sampled_from([0.7, 0.8, 0.9]),
        st.sampled_from([None, "ann", "bob"]), st.sampled_from("xyz"), st.sampled_from("uvw"),
    ),
    unique_by=lambda turn: turn.turn_id,
)  # fmt: skip


@given(turns=TURNS, per_prompt=st.integers(1, 3), per_user=st.integers(1, 4), seed=st.integers())
def test_the_limits_hold_in_any_order(turns, per_prompt, per_user, seed) -> None:
    limits = Limits(per_prompt=per_prompt, per_user=per_user)
    gone = excess(turns, limits)
    other = list(turns)
    random.Random(seed).shuffle(other)
    assert excess(other, limits) == gone
    kept = [turn for turn in turns if turn.turn_id not in gone]
    assert excess(kept, limits) == {}
    for prompt in "xyzuvw":
        assert sum(prompt in turn.prompts for turn in kept) <= per_prompt
    for user in ("ann", "bob"):
        assert sum(turn.user_key == user for turn in kept) <= per_user


def test_files_are_written_anew_where_a_turn_is_too_many(store) -> None:
    asked = {i: (Message(role=Role.USER, content=f"request {i}"),) for i in range(5)}
    rows = [
        [
            store.dsat(0, context=asked[0], probability=0.8),
            store.dsat(1, context=asked[1], cluster="bots"),
            store.dsat(2, context=asked[0], trainable=False, untrainable_reason="opted_out"),
        ],
        [store.dsat(3, context=asked[0]), store.dsat(4, context=asked[2], cluster="bots")],
        [store.dsat(5, context=asked[3]), store.dsat(6, context=(*asked[4], *asked[1]),
                                                     cluster="bots")],
    ]  # fmt: skip
    staged = [store.stage("dsat_turns", "rules@1", part) for part in rows]
    staged.append(store.stage("signals", "rules@1", [store.signal(1)]))
    noted: list[str] = []
    found = limited(store.root, staged, ONE, noted.append)
    assert [new == old for new, old in zip(found, staged, strict=True)] == [
        False, False, True, True,
    ]  # fmt: skip
    assert [file.path for file in found[:2]] == noted
    told = {
        row["turn_id"]: (row["trainable"], row["untrainable_reason"])
        for file in found[:3]
        for batch in reading.batches(store.root, file, rows=2)
        for row in batch.to_pylist()
    }
    assert told == {
        "turn-0": (False, "near_duplicate"), "turn-1": (True, None),
        "turn-2": (False, "opted_out"), "turn-3": (True, None),
        "turn-4": (False, "near_duplicate"), "turn-5": (True, None), "turn-6": (True, None),
    }  # fmt: skip
