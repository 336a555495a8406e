import hashlib

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.clusters import assign, roots

LIVE = "ffff" * 8


def own(conversation_id: str) -> str:
    """The id of a cluster whose first member that is."""
    return hashlib.md5(f"chat\0{conversation_id}".encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def connection():
    """The tables of a scene that clusters are made of, empty."""
    place = "log_date DATE, origin_file VARCHAR, origin_offset BIGINT, conversation_id VARCHAR"
    with duckdb.connect() as connection:
        connection.execute(f"""
            CREATE TABLE staged ({place}, source VARCHAR, sketch UBIGINT[]);
            CREATE TABLE near_conversations
                ({place}, source VARCHAR, sketch UBIGINT[], cluster VARCHAR);
            CREATE TABLE left_out ({place});
            CREATE TABLE clustered ({place}, cluster VARCHAR);
        """)
        yield connection


def fill(connection, staged, live=(), left_out=()):
    """Staged (id, bands) on the second night, live (id, bands, cluster) on the first."""
    for offset, (name, bands) in enumerate(staged):
        row = ["2026-03-02", "a", offset, name, "chat", bands]
        connection.execute("INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?)", row)
        if name in left_out:
            connection.execute("INSERT INTO left_out VALUES (?, ?, ?, ?)", row[:4])
    for offset, (name, bands, cluster) in enumerate(live):
        row = ["2026-03-01", "a", offset, name, "chat", bands, cluster]
        connection.execute("INSERT INTO near_conversations VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def clusters(connection) -> dict[str, str]:
    assign(connection)
    rows = "SELECT conversation_id, cluster FROM clustered ORDER BY origin_offset"
    return dict(connection.execute(rows).fetchall())


# Staged, live -> the clusters of those staged ones that have one.
TABLE = {
    "none near another": ([("x", [1, 2]), ("y", [3])], [("z", [4], None)], {}),
    "two that share a band": ([("x", [1, 2]), ("y", [2, 3])], [], {"x": own("x"), "y": own("x")}),
    "a chain": (
        [("x", [1]), ("y", [3, 2]), ("z", [1, 2])],
        [],
        {"x": own("x"), "y": own("x"), "z": own("x")},
    ),
    "two clusters": (
        [("x", [1]), ("y", [2]), ("z", [1]), ("w", [2])],
        [],
        {"x": own("x"), "y": own("y"), "z": own("x"), "w": own("y")},
    ),
    "no sketch": ([("x", []), ("y", [])], [], {}),
    "near a live cluster": ([("x", [1, 2])], [("z", [2, 9], LIVE)], {"x": LIVE}),
    "near a live one that was alone": ([("x", [1])], [("z", [1], None)], {"x": own("z")}),
    "near two live ones, one of a cluster": (
        [("x", [1, 2])],
        [("z", [1], None), ("w", [2], LIVE)],
        {"x": LIVE},
    ),
    "a later state of itself": ([("x", [1])], [("x", [1], None)], {}),
    "a later state of itself, of a cluster": (
        [("x", [1]), ("y", [1])],
        [("x", [1], LIVE)],
        {"x": LIVE, "y": LIVE},
    ),
    "two states of itself": ([("x", [1]), ("x", [1])], [], {}),
    "the largest band": (
        [("x", [2**64 - 1]), ("y", [2**64 - 1])],
        [],
        {"x": own("x"), "y": own("x")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("staged, live, expected", TABLE.values(), ids=TABLE)
def test_assign(staged, live, expected, connection):
    fill(connection, staged, live)
    assert clusters(connection) == expected


def test_what_is_left_out_has_no_part_in_it(connection):
    fill(connection, [("x", [1]), ("y", [1, 2]), ("z", [2])], left_out="y")
    assert clusters(connection) == {}


def test_a_band_of_very_many_is_joined_by_its_hub(connection):
    connection.execute("""
        INSERT INTO staged
        SELECT '2026-03-02', 'a', range, 'c' || range, 'chat', [1, 2, 10 + range] FROM range(50000)
    """)
    assign(connection)
    rows = "SELECT count(*), count(DISTINCT cluster), min(cluster) FROM clustered"
    assert connection.execute(rows).fetchone() == (50_000, 1, own("c0"))


def test_its_tables_are_gone_at_the_end(connection):
    before = connection.execute("SHOW TABLES").fetchall()
    fill(connection, [("x", [1]), ("y", [1])])
    assert len(clusters(connection)) == 2
    assert connection.execute("SHOW TABLES").fetchall() == before


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_roots_are_the_least_of_what_hangs_together(edges):
    groups = [{node} for node in range(21)]
    for one, other in edges:
        first, second = (next(g for g in groups if node in g) for node in (one, other))
        if first is not second:
            groups.remove(second)
            first |= second
    expected = {node: min(group) for group in groups for node in group}
    assert dict(enumerate(roots(21, edges))) == expected
