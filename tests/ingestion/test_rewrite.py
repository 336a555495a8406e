import datetime as dt

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion import rewrite
from ingestion.scene import FEEDBACK
from warehouse.records import ConversationFacts, Role, Turn
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter, verify

NIGHT = dt.date(2026, 3, 1)
TURN = Turn(
    turn_id="t", conversation_id="x", turn_index=0, role=Role.USER, content="", source="chat",
    origin_file="a", origin_offset=0, chain=0,
)  # fmt: skip
FACTS = ConversationFacts(
    conversation_id="x", source="chat", messages=1, content_hash="h", chain=0, origin_file="a",
    origin_offset=0, cluster="old",
)  # fmt: skip

# What an edit says, by kind.
NAMES = {
    "gone": ["origin_offset", "conversation_id"],
    "carried": ["origin_offset", "conversation_id", "carried"],
    "cluster": ["origin_offset", "conversation_id", "cluster"],
    "feedback": ["origin_offset", "conversation_id", "turn_index", *FEEDBACK],
}
SCHEMA = pa.schema(
    {
        "origin_offset": pa.int64(), "conversation_id": pa.string(), "turn_index": pa.int32(),
        "carried": pa.int32(), "cluster": pa.string(), "thumb": pa.int8(), "rating": pa.float64(),
        "regenerated": pa.bool_(), "edited": pa.bool_(),
    }
)  # fmt: skip


@pytest.fixture
def stage(tmp_path):
    def stage(table, rows):
        writer = PartitionWriter(tmp_path, Partition(table, NIGHT, "a"))
        writer.write(to_batch(table, NIGHT, rows))
        return writer.close()

    return stage


@pytest.fixture
def write_anew(tmp_path):
    """The rows of what a file is written anew as, with edits: rows of `NAMES`, by kind."""

    def write_anew(file, **edits):
        changed = {
            kind: pa.Table.from_pylist(
                [dict(zip(NAMES[kind], row, strict=True)) for row in rows],
                pa.schema([SCHEMA.field(name) for name in NAMES[kind]]),
            )
            for kind, rows in edits.items()
        }
        noted = []
        new = rewrite.write_anew(tmp_path, file, changed, noted.append)
        if new is None:
            assert noted == []
            return None
        verify(tmp_path, new)
        assert (noted, new.partition) == ([new.path], file.partition)
        return pq.read_table(tmp_path / new.path).to_pylist()

    return write_anew


def turns(*records):
    """(offset, id, how many of its turns are carried): records of three turns."""
    return [
        msgspec.structs.replace(
            TURN, origin_offset=offset, conversation_id=name, turn_index=i, carried=i < carried
        )
        for offset, name, carried in records
        for i in range(3)
    ]


# Edits -> of the records (0, x) and (7, y), of which y's first turn was carried, what is left.
TURNS = {
    "none": ({}, {"x": [False] * 3, "y": [True, False, False]}),
    "gone": ({"gone": [(0, "x")]}, {"y": [True, False, False]}),
    "carried": (
        {"carried": [(0, "x", 2)]}, {"x": [True, True, False], "y": [True, False, False]},
    ),
    "no longer": ({"carried": [(7, "y", 0)]}, {"x": [False] * 3, "y": [False] * 3}),
    "both": ({"gone": [(0, "x")], "carried": [(7, "y", 2)]}, {"y": [True, True, False]}),
    "another at the same place": (
        {"gone": [(0, "y")]}, {"x": [False] * 3, "y": [True, False, False]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("edits, left", TURNS.values(), ids=TURNS)
def test_turns(edits, left, stage, write_anew):
    found: dict[str, list[bool]] = {}
    for row in write_anew(stage("turns", turns((0, "x", 0), (7, "y", 1))), **edits):
        found.setdefault(row["conversation_id"], []).append(row["carried"])
    assert found == left


def test_feedback(stage, write_anew):
    rated = msgspec.structs.replace(TURN, turn_index=3, thumb=1, rating=4.0)
    file = stage("turns", [*turns((0, "x", 0), (1, "x", 0)), rated])
    edits = [(0, "x", 1, -1, 2.5, True, False), (1, "x", 0, 1, None, None, None)]
    said = {
        (row["origin_offset"], row["turn_index"]): tuple(row[name] for name in FEEDBACK)
        for row in write_anew(file, feedback=edits)
        if any(row[name] is not None for name in FEEDBACK)
    }
    assert said == {
        (0, 1): (-1, 2.5, True, False),
        (1, 0): (1, None, None, None),
        (0, 3): (1, 4.0, None, None),
    }


def test_conversations(stage, write_anew):
    facts = [msgspec.structs.replace(FACTS, origin_offset=offset) for offset in range(3)]
    rows = write_anew(stage("conversations", facts), gone=[(0, "x")], cluster=[(1, "x", "new")])
    assert [(row["origin_offset"], row["cluster"]) for row in rows] == [(1, "new"), (2, "old")]


def test_no_file_where_no_row_is_left(stage, write_anew):
    file = stage("turns", turns((0, "x", 0)))
    assert write_anew(file, gone=[(0, "x")]) is None


def test_rows_keep_their_order_over_many_batches(stage, write_anew):
    file = stage("turns", turns(*((offset, "x", 0) for offset in range(12_000))))
    gone = [(offset, "x") for offset in range(0, 12_000, 6)]
    carried = [(offset, "x", 1) for offset in range(3, 12_000, 6)]
    rows = write_anew(file, gone=gone, carried=carried)
    places = [(row["origin_offset"], row["turn_index"]) for row in rows]
    assert places == [(o, i) for o in range(12_000) if o % 6 for i in range(3)]
    carried = {row["origin_offset"] for row in rows if row["carried"]}
    assert carried == set(range(3, 12_000, 6))
