"""Different good answers: what counts as different, as good, and whose they are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.judging.diversity import Answer, cluster, coverage, diversity, normalized

PARIS = "The capital of France is Paris, which lies on the river Seine in the north."
NEAR_PARIS = "The capital of France is Paris, which lies on the river Seine in the North!!"
CLOSE_PARIS = "The capital of France is Paris, and it lies on the river Seine in the north."
LYON = "I would rather tell you about Lyon, a town of silk, good food and two rivers."


def answers(*texts: str, reward: float = 1.0) -> list[Answer]:
    return [Answer(text=text, reward=reward) for text in texts]


SAME = {
    "case": ("Yes", "yes"),
    "punctuation": ("Yes, it is.", "yes it is"),
    "blanks": ("a  b\n\nc", "a b c"),
    "width": ("ＡＢＣ １２３", "abc 123"),
    "Chinese punctuation": ("好的，谢谢！", "好的 谢谢"),
}


@pytest.mark.parametrize("one, other", SAME.values(), ids=SAME)
def test_normalized(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


CLUSTERS = {
    "nothing": ([], []),
    "a copy": ([PARIS, PARIS], [0, 0]),
    "another": ([PARIS, LYON], [0, 1]),
    "a word changed": ([PARIS, LYON, CLOSE_PARIS], [0, 1, 0]),
    "short and different": (["yes", "no"], [0, 1]),
    "empty": (["", "...", "no"], [0, 0, 2]),
    "Chinese, nearly the same": (
        ["法国的首都是巴黎，一座美丽的城市。", "法国首都是巴黎，一座美丽的城市。"],
        [0, 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("texts, labels", CLUSTERS.values(), ids=CLUSTERS)
def test_cluster(texts: list[str], labels: list[int]) -> None:
    assert cluster(texts) == labels


def test_a_chain_of_near_copies_is_one_cluster() -> None:
    one, between, other = "a b c d e f g h", "c d e f g h i j", "e f g h i j k l"
    assert cluster([one, other], near=0.5) == [0, 1]
    assert cluster([one, other, between], near=0.5) == [0, 0, 0]


def test_only_good_answers_count_and_unscored_ones_are_told() -> None:
    drawn = [
        [*answers(PARIS, NEAR_PARIS, CLOSE_PARIS, LYON), Answer(text="x", reward=math.nan)],
        answers(PARIS, LYON, reward=0.4),
    ]
    found = diversity(drawn, threshold=0.5)
    assert (found.prompts, found.answers, found.unscored) == (2, 7, 1)
    assert (found.good, found.distinct, found.clusters) == (4, 3, 2)
    lower = diversity(drawn, threshold=0.4)
    assert (lower.good, lower.distinct, lower.clusters) == (6, 5, 4)


def test_equal_answers_to_two_prompts_are_two() -> None:
    assert diversity([answers(PARIS), answers(PARIS)], threshold=0).clusters == 2


def test_each_method_has_its_share_of_what_all_find() -> None:
    found = coverage(
        {
            "drift": [answers(PARIS, LYON), answers("something else entirely")],
            "spin": [answers(CLOSE_PARIS, PARIS), answers("one more thing", reward=-1)],
        },
        threshold=0.5,
    )
    assert {name: (c.clusters, c.alone, c.union) for name, c in found.items()} == {
        "drift": (3, 2, 3), "spin": (1, 0, 3),
    }  # fmt: skip
    assert found["spin"].share == pytest.approx(1 / 3)


def test_where_nobody_is_good_there_is_no_share() -> None:
    found = coverage({"a": [answers("x")], "b": [answers("y")]}, threshold=2)
    assert math.isnan(found["a"].share)
    assert coverage({}, threshold=0) == {}


def test_methods_answer_the_same_prompts() -> None:
    with pytest.raises(ValueError):
        coverage({"a": [answers("x")], "b": []}, threshold=0)


texts = st.lists(st.text("ab ", max_size=12), max_size=6)


@given(texts, st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_matter(found: list[str], random) -> None:
    places = list(range(len(found)))
    random.shuffle(places)
    one, other = cluster(found), cluster([found[at] for at in places])
    for i in range(len(found)):
        for j in range(len(found)):
            assert (other[i] == other[j]) == (one[places[i]] == one[places[j]])


@given(texts, texts)
def test_together_they_cover_all(one: list[str], other: list[str]) -> None:
    found = coverage({"a": [answers(*one)], "b": [answers(*other)]}, threshold=0)
    a, b = found["a"], found["b"]
    assert a.union == b.union == len(set(cluster([*one, *other])))
    assert a.clusters + b.alone == b.clusters + a.alone == a.union
