import datetime as dt

import pytest

from ingestion.duplicates import compare

PUBLISHED, STAGED = True, False


def states(*records, conversation_id="x"):
    """(published, night, log, texts, turns shown without it) -> rows as `compare` takes them."""
    lengths = {len(texts) for _, _, _, texts, _ in records}
    return [
        ("chat", conversation_id, dt.date(2026, 3, night), log, 7, published, len(texts), held,
         length, hash(texts[:length]))
        for published, night, log, texts, held in records
        for length in sorted(lengths)
        if length <= len(texts)
    ]  # fmt: skip


# Records in the order in which they are kept -> the log of each that is left out, and of the
# record that it clashes with.
TABLE = {
    "alone": ([(STAGED, 1, "a", "ab", 0)], []),
    "a copy": ([(STAGED, 1, "a", "ab", 0), (STAGED, 1, "b", "ab", 0)], [("b", None)]),
    "an earlier state": ([(STAGED, 1, "b", "abc", 0), (STAGED, 1, "a", "a", 0)], [("a", None)]),
    "another conversation": (
        [(STAGED, 1, "a", "ab", 0), (STAGED, 1, "b", "zb", 0)], [("b", "a")],
    ),
    "another from the second turn on": (
        [(STAGED, 1, "a", "abc", 0), (STAGED, 1, "b", "az", 0)], [("b", "a")],
    ),
    "goes on": ([(STAGED, 1, "a", "ab", 0), (STAGED, 2, "b", "abc", 0)], []),
    "goes on as another": ([(STAGED, 1, "a", "ab", 0), (STAGED, 2, "b", "zbc", 0)], [("b", "a")]),
    "a copy of what went on": (
        [(STAGED, 1, "a", "ab", 0), (STAGED, 2, "b", "abc", 0), (STAGED, 3, "c", "abc", 0)],
        [("c", None)],
    ),
    "is published": ([(PUBLISHED, 1, "a", "ab", 0), (STAGED, 1, "b", "ab", 2)], [("b", None)]),
    "goes on from what is published": (
        [(PUBLISHED, 1, "a", "ab", 0), (STAGED, 2, "b", "abc", 2)], [],
    ),
    "was shown before what is published": (
        [(PUBLISHED, 2, "b", "abcd", 0), (STAGED, 1, "a", "ab", 0)], [],
    ),
    "was shown, and again on a later night": (
        [(PUBLISHED, 3, "b", "abcd", 0), (STAGED, 1, "a", "ab", 0), (STAGED, 2, "c", "ab", 0)],
        [("c", None)],
    ),
    "clashes with what is published, though it was shown": (
        [(PUBLISHED, 2, "b", "abcd", 0), (STAGED, 1, "a", "zb", 0)], [("a", "b")],
    ),
    "two that clash with the first, and agree with each other": (
        [(PUBLISHED, 1, "a", "ab", 0), (STAGED, 2, "b", "zbc", 2), (STAGED, 2, "c", "zb", 2)],
        [("b", "a"), ("c", "a")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("records, left_out", TABLE.values(), ids=TABLE)
def test_compare(records, left_out):
    found = list(compare(states(*records)))
    assert [(record.file, record.rival_file) for record in found] == left_out
    assert {record.rival_offset for record in found} <= {None, 7}


def test_conversations_are_compared_one_by_one():
    rows = states((STAGED, 1, "a", "ab", 0)) + states(
        (STAGED, 1, "a", "zb", 0), (STAGED, 1, "b", "z", 0), conversation_id="y"
    )
    assert [(record.conversation_id, record.file) for record in compare(rows)] == [("y", "b")]


def test_nothing_staged_has_no_duplicates():
    assert list(compare([])) == []
