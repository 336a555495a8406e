import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.conversations import FollowUp
from mining.features import BUCKETS, DENSE, HEAD, TAIL, extract, score
from mining.heuristics import read


def rows(features, row: int) -> list[set[int]]:
    """The buckets of one row, a set for each block that has it."""
    found = []
    for block in features.blocks:
        ends = np.append(block.starts[1:], len(block.buckets))
        for at in np.flatnonzero(block.rows == row):
            found.append(set(block.buckets[block.starts[at] : ends[at]].tolist()))
    return found


@pytest.fixture(scope="module")
def featured(lexicon):
    def make(*texts: str, user: str = "u", answer: str = "a"):
        follow_ups = [FollowUp(user=user, answer=answer, follow_up=text) for text in texts]
        return extract([read(follow_up, lexicon) for follow_up in follow_ups])

    return make


def test_a_row_does_not_depend_on_its_batch(featured):
    alone = rows(featured("are you sure?"), 0)
    assert rows(featured("no", "are you sure?", "ok then"), 1) == alone


SAME = {
    "case": ("Are You Sure", "are you sure"),
    "white space": ("are  you\n\tsure ", "are you sure"),
    "full width": ("ｎｏ", "no"),
}
OTHER = {
    "another word": ("are you sure", "are you sore"),
    "another order": ("not good", "good not"),
    "a mark": ("no", "no?"),
}


@pytest.mark.parametrize("one, other", SAME.values(), ids=SAME)
def test_same_ngrams(featured, one, other):
    features = featured(one, other)
    assert rows(features, 0) == rows(features, 1)


@pytest.mark.parametrize("one, other", OTHER.values(), ids=OTHER)
def test_other_ngrams(featured, one, other):
    features = featured(one, other)
    assert rows(features, 0) != rows(features, 1)


def test_repeated_ngrams_count_once(featured):
    block = featured("no no no no").blocks[1]
    words = {"no"}, {"no no"}
    assert len(block.buckets) == len(words)


def test_each_field_has_hashes_of_its_own(featured):
    features = featured("same words", user="same words", answer="same words")
    _, text, answer, user = rows(features, 0)
    assert not text & answer and not text & user and not answer & user


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_any_texts_have_finite_features(lexicon, texts):
    batch = [read(FollowUp(user=t, answer=t, follow_up=t), lexicon) for t in texts]
    features = extract(batch)
    assert features.dense.shape == (len(texts), len(DENSE))
    assert np.isfinite(features.dense).all()
    for block in features.blocks:
        assert ((block.buckets >= 0) & (block.buckets < BUCKETS)).all()
        lengths = np.diff(np.append(block.starts, len(block.buckets)))
        np.testing.assert_allclose(lengths * block.scale**2, 1, rtol=1e-5)


def test_score_is_the_scaled_sum_of_the_buckets_weights(featured):
    features = featured("are you sure?", "", "no")
    weights = np.random.default_rng(0).normal(size=(BUCKETS, 2)).astype(np.float32)
    expected = np.zeros((3, 2))
    for row in range(3):
        for buckets in rows(features, row):
            expected[row] += weights[sorted(buckets)].sum(axis=0) / np.sqrt(len(buckets))
    np.testing.assert_allclose(score(features, weights), expected, rtol=1e-4, atol=1e-5)


def test_a_long_text_is_read_at_its_edges(featured):
    features = featured("x" * 1_000_000)
    assert sum(map(len, rows(features, 0))) < 4 * (HEAD + TAIL)


DENSE_CASES = {
    "asks": ("really?", "asks", 1),
    "does not ask": ("really", "asks", 0),
    "few words": ("no", "words_1", 1),
    "more words": ("no it is not", "words_3", 0),
    "shares all with the answer": ("canberra", "shared_with_answer", 1),
    "says a constraint again": ("of australia!", "constraint_restated", 0),
    "the answer is finished": ("ok", "answer_open", 0),
    "shares nothing with the request": ("canberra", "shared_with_user", 0),
}


@pytest.mark.parametrize("text, name, value", DENSE_CASES.values(), ids=DENSE_CASES)
def test_dense(featured, text, name, value):
    features = featured(text, user="capital of australia", answer="It is Canberra.")
    assert features.dense[0, DENSE.index(name)] == value
