import datetime as dt

import pytest

from ingestion import account
from ingestion.account import Account, Rejected
from warehouse.errors import CorruptStaging, QualityLimit
from warehouse.records import ReasonCode, Redaction, Reject

NIGHT = dt.date(2026, 11, 20)
LATER = dt.date(2026, 11, 21)


def reject(reason: str, offset: int, file: str = "a") -> Reject:
    return Reject(
        reason=ReasonCode(reason), origin_file=file, origin_offset=offset, length=1, digest="",
        detail=f"at {offset}",
    )  # fmt: skip


@pytest.fixture
def night(store):
    """Of log a three rejects, two conversations and three turns; of log b one reject."""
    broken = [reject("invalid_json", 7), reject("invalid_json", 3), reject("no_user_turn", 9)]
    facts = [
        store.facts(1, redactions=(Redaction("EMAIL", 2),), cluster="c"),
        store.facts(2, redactions=(Redaction("IP", 1), Redaction("EMAIL", 1))),
    ]
    return [
        store.stage("turns", "a", [store.turn(i) for i in range(3)]),
        store.stage("conversations", "a", facts[:1]),
        store.stage("conversations", "a", facts[1:], LATER),
        store.stage("rejects", "a", broken),
        store.stage("rejects", "b", [reject("invalid_json", 1, "b")]),
    ]


def take(store, files, lines_in=9):
    duplicates, suppressed = {(LATER, "a"): 1, (NIGHT, "b"): 1}, {(NIGHT, "b"): 1}
    return account.take(
        store.root, files, lines_in=lines_in, duplicates=duplicates, suppressed=suppressed
    )


def test_the_account_is_read_from_the_files(store, night):
    found = take(store, night)
    assert (found.conversations, found.turns, found.total_rejected) == (2, 3, 4)
    assert (found.duplicates, found.suppressed, found.near_duplicates) == (2, 1, 1)
    assert found.rejected == (
        Rejected("invalid_json", 3, "a", 3, "at 3"),
        Rejected("no_user_turn", 1, "a", 9, "at 9"),
    )
    assert found.redacted == {"EMAIL": 3, "IP": 1}


def test_every_line_has_a_night_and_a_log(store, night):
    assert take(store, night).places == {(NIGHT, "a"): 4, (LATER, "a"): 2, (NIGHT, "b"): 3}


def test_an_account_that_does_not_add_up_stops_the_run(store, night):
    with pytest.raises(CorruptStaging, match="8 lines were read, but 2 conversations, 0 pairs, 2"):
        take(store, night, lines_in=8)


def test_an_account_of_nothing(store):
    found = account.take(store.root, [], lines_in=0, duplicates={}, suppressed={})
    assert (found.total_rejected, found.places, found.redacted) == (0, {}, {})


LIMITS = {"at the limit": (4 / 9, True), "over it": (0.44, False), "none is allowed": (0.0, False)}


@pytest.mark.parametrize("limit, fine", LIMITS.values(), ids=LIMITS)
def test_the_limit_on_rejects(limit, fine, store, night):
    found = take(store, night)
    if fine:
        account.check_quality(found, night, limit)
        return
    with pytest.raises(QualityLimit) as caught:
        account.check_quality(found, night, limit)
    message = str(caught.value)
    assert "4 of 9 lines were rejected" in message
    assert "3 x invalid_json, first in a at byte 3: at 3" in message
    assert "a 3, b 1. Nothing was published." in message


def broken(lines: int) -> Account:
    rejected = (Rejected("invalid_json", lines, "0", 0, "x"),) if lines else ()
    return Account(
        lines_in=lines, conversations=0, turns=0, seed_pairs=0, duplicates=0, suppressed=0,
        rejected=rejected, redacted={}, near_duplicates=0, places={}, suppressed_by_place={},
    )  # fmt: skip


def test_no_lines_break_no_limit():
    account.check_quality(broken(0), [], 0.0)


def test_a_message_names_a_few_files_only(store):
    files = [store.stage("rejects", str(i), [reject("invalid_json", 0)]) for i in range(7)]
    with pytest.raises(QualityLimit, match=r"4 1 and 2 more files\."):
        account.check_quality(broken(7), files, 0.1)
