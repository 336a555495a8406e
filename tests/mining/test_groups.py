from hypothesis import given
from hypothesis import strategies as st

from mining.groups import linked

names = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=2), max_size=12)


def test_a_row_of_two_groups_makes_them_one():
    assert linked([["p1"], ["c1"], ["p1", "c1"], ["p2"]]) == ["c1", "c1", "c1", "p2"]


@given(names)
def test_rows_that_share_a_name_share_a_group(rows):
    found = linked(rows)
    for one, its in zip(rows, found, strict=True):
        for other, theirs in zip(rows, found, strict=True):
            assert its == theirs or not set(one) & set(other)


@given(names, st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    again = linked([rows[at] for at in order])
    assert dict(zip(order, again, strict=True)) == dict(enumerate(linked(rows)))
