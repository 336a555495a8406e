import datetime as dt

import msgspec
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.records import Category, DsatTurn, Message, Role
from warehouse.rows import dsat_turns
from warehouse.schema import TABLES

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
messages = st.builds(
    Message, role=st.sampled_from(Role), content=texts, prompt_hash=st.none() | texts
)
instants = st.datetimes(
    min_value=dt.datetime(1970, 1, 1), max_value=dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)
)
turns = st.builds(
    DsatTurn,
    turn_id=texts,
    conversation_id=texts,
    answer_turn_id=texts,
    context=st.lists(messages, max_size=3).map(tuple),
    answer=texts,
    feedback=texts,
    category=st.sampled_from(Category),
    probability=st.floats(0, 1),
    trainable=st.booleans(),
    untrainable_reason=st.none() | texts,
    detector=texts,
    detector_version=texts,
    event_ts=st.none() | instants,
)


@settings(deadline=None)
@given(st.lists(turns, max_size=6), st.integers(0, 3))
def test_rows_are_the_records_again(rows, skipped):
    table = pa.Table.from_pylist(
        [msgspec.structs.asdict(row) | {"context": list(map(msgspec.structs.asdict, row.context))}
         for row in rows],
        schema=TABLES["dsat_turns"],
    )  # fmt: skip
    assert dsat_turns(table) == rows
    assert dsat_turns(table.slice(skipped)) == rows[skipped:]
