"""All that is stored of one conversation."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.candidates import candidates, place
from warehouse.errors import SettingsError
from warehouse.leases import acquire, finish, reuse
from warehouse.manifest import ModelVersion
from warehouse.records import Category, Role, SignalKind, SystemPrompt
from warehouse.selection import Wanted
from warehouse.trail import trail

LATER = dt.date(2026, 11, 21)
HOUR = dt.timedelta(hours=1)
SMALL = {"detector": "small", "detector_version": "7"}


def said(store, numbers, new: int = 0, **fields) -> list:
    return [
        store.turn(i, conversation_id="c", origin_offset=0, carried=i < new, **fields)
        for i in numbers
    ]


def test_records_come_in_order_with_their_prompts(store) -> None:
    system = store.turn(
        0, conversation_id="c", origin_offset=0, role=Role.SYSTEM, content="", prompt_hash="ab",
        origin_file="z",
    )  # fmt: skip
    prompt = SystemPrompt(prompt_hash="ab", content="Be brief.")
    store.publish(
        "1",
        store.stage("turns", "z", [system, *said(store, range(1, 3), origin_file="z")]),
        store.stage("turns", "a", said(store, range(5), new=3, origin_file="a")),
        store.stage("system_prompts", "z", [prompt]),
    )
    store.publish("2", store.stage("turns", "a", said(store, range(7), 5), LATER), night=LATER)
    found = trail(store.catalog, "c", now=store.now)
    lengths = [(record.log_date, len(record.conversation.turns)) for record in found.records]
    assert lengths == [(store.night, 3), (store.night, 5), (LATER, 7)]
    assert found.records[0].conversation.turns[0].content == "Be brief."


def test_the_verdicts_of_all_versions(store) -> None:
    verdict = store.signal(2, conversation_id="c")
    held = store.dsat(2, conversation_id="c", trainable=False, untrainable_reason="blank_answer")
    neutral = {"signal": SignalKind.NEUTRAL, "category": Category.NEUTRAL}
    store.publish(
        "1",
        store.stage("turns", "a", said(store, range(3))),
        store.stage("signals", "rules@1", [verdict]),
        store.stage("dsat_turns", "rules@1", [held]),
    )
    newer = store.signal(2, conversation_id="c", **neutral, **SMALL)
    empty = store.stage("dsat_turns", "small@7", []).partition
    staged = store.stage("signals", "small@7", [newer])
    store.publish("2", staged, replaces={staged.partition, empty})
    found = trail(store.catalog, "c", now=store.now).verdicts
    told = [(one.detector, one.current, one.trainable, one.untrainable_reason) for one in found]
    assert sorted(told) == [("rules", False, False, "blank_answer"), ("small", True, None, None)]


def test_a_model_and_all_that_were_trained_from_it(store) -> None:
    store.publish(
        "1",
        store.stage("turns", "a", said(store, range(3))),
        store.stage("dsat_turns", "rules@1", [store.dsat(2, conversation_id="c")]),
    )
    drawn = {"holdout": 0, "ttl": HOUR, "now": store.now, "seed": 0}
    lease = acquire(store.catalog, Wanted(turns=2), stream="default", **drawn)
    assert trail(store.catalog, "c", now=store.now).leased == {"turn-2": lease.batch_id}
    assert trail(store.catalog, "c", now=store.now + 2 * HOUR).leased == {}
    for i, parent in enumerate([None, "v0", "v1"]):
        at = store.now + i * HOUR / 10
        model = ModelVersion(
            version=f"v{i}", parent=parent, batch_id=lease.batch_id, created_at=at,
            promoted=i != 1, manifest_sha256="",
        )  # fmt: skip
        finish(store.catalog, lease, model, store.now)
        if i < 2:
            lease = reuse(store.catalog, "default-000001", ttl=HOUR, now=store.now)
    found = trail(store.catalog, "c", now=store.now).trained
    assert [(one.model_version, one.later) for one in found] == [
        ("v0", ("v1", "v2")), ("v1", ("v2",)), ("v2", ()),
    ]  # fmt: skip


NOT_ONE = {"of nobody": ("x", "No conversation"), "of many": ("conversation-", "Several")}


@pytest.mark.parametrize("name, says", NOT_ONE.values(), ids=NOT_ONE)
def test_an_id_that_is_not_one(store, name: str, says: str) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(i) for i in range(60)]))
    with pytest.raises(SettingsError, match=says):
        trail(store.catalog, name, now=store.now)


@pytest.fixture(scope="module")
def sql_place(new_store, tmp_path_factory):
    store = new_store(tmp_path_factory.mktemp("place"))
    with store.catalog.read() as connection, candidates(connection, store.catalog) as found:
        yield lambda name: found.duckdb.execute("SELECT place(?)", [name]).fetchone()[0]
    store.catalog.close()


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_conversation_has_its_place_in_python_as_in_sql(sql_place, name: str) -> None:
    assert place(name) == sql_place(name)
