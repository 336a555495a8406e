"""Why a drawn answer makes no pair."""

import pytest

from training.pairs import Filtered, collect, objection
from training.samplers.base import FinishReason, Sample
from warehouse.records import PreferencePair

REJECTED = "The river runs past the old mill and under the bridge."


def sample(text: str, finish_reason: FinishReason = FinishReason.STOP) -> Sample:
    return Sample(
        text=text, prompt=(1,), tokens=(2, 3), finish_reason=finish_reason, prompt_cut=False
    )


CASES = {
    "another answer": ("Take the bus to the lake.", FinishReason.STOP, False, None),
    "no text": ("  \n", FinishReason.STOP, False, Filtered.EMPTY),
    "the same": (REJECTED + " ", FinishReason.STOP, False, Filtered.IDENTICAL),
    "one word apart": (REJECTED.replace("old", "new"), FinishReason.STOP, False, "near_copy"),
    "the same letters, another order": ("".join(sorted(REJECTED)), FinishReason.STOP, False, None),
    "cut off, unwanted": ("Take the", FinishReason.LENGTH, False, Filtered.CUT_OFF),
    "cut off, kept": ("Take the", FinishReason.LENGTH, True, None),
    "cut off and a copy": (REJECTED[:-1], FinishReason.LENGTH, True, Filtered.NEAR_COPY),
}


@pytest.mark.parametrize("text, finish, keep, reason", CASES.values(), ids=CASES)
def test_objection(text: str, finish: FinishReason, keep: bool, reason: str | None) -> None:
    assert objection(sample(text, finish), REJECTED, keep_cut_off=keep) == reason


def test_an_answer_without_a_logged_one_beside_it() -> None:
    assert objection(sample("Anything."), None, keep_cut_off=False) is None
    assert objection(sample(" "), None, keep_cut_off=False) is Filtered.EMPTY


def test_what_came_of_a_batch_is_counted() -> None:
    pair = PreferencePair(turn_id="t", prompt=(), chosen="a", rejected="b")
    made = [("drift", pair), ("drift", Filtered.EMPTY), ("seed", pair), ("drift", Filtered.EMPTY)]
    found = collect(made, cut_off=1)
    assert found.pairs == (pair, pair)
    assert (found.filtered, found.by_method) == ({"empty": 2}, {"drift": 1, "seed": 1})
    assert found.cut_off == 1
