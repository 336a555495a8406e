import duckdb
import pytest

from ingestion.carry import mark


@pytest.fixture
def connection():
    """The tables of a scene that say what is carried, empty."""
    place = "log_date DATE, origin_file VARCHAR, origin_offset BIGINT, conversation_id VARCHAR"
    with duckdb.connect() as connection:
        connection.execute(f"""
            CREATE TABLE staged ({place}, source VARCHAR, messages INTEGER);
            CREATE TABLE kin ({place}, source VARCHAR, messages INTEGER);
            CREATE TABLE kin_turns ({place}, turn_index INTEGER, carried BOOLEAN);
            CREATE TABLE shared (source VARCHAR, conversation_id VARCHAR);
            CREATE TABLE left_out ({place});
            CREATE TABLE carries ({place}, carried INTEGER);
            INSERT INTO shared VALUES ('chat', 'x');
        """)
        yield connection


def place(night: int, log: str) -> list:
    return [f"2026-03-0{night}", log, 0, "x"]


def stage(connection, night, log, messages):
    row = [*place(night, log), "chat", messages]
    connection.execute("INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?)", row)


def publish(connection, night, log, messages, carried):
    row = [*place(night, log), "chat", messages]
    connection.execute("INSERT INTO kin VALUES (?, ?, ?, ?, ?, ?)", row)
    for index in range(messages):
        turn = [*place(night, log), index, index < carried]
        connection.execute("INSERT INTO kin_turns VALUES (?, ?, ?, ?, ?, ?)", turn)


# Staged (night, log, messages), live (night, log, messages, of them carried) -> the records that
# are marked, with how many of their turns are carried.
TABLE = {
    "alone": ([(1, "a", 4)], [], []),
    "goes on": ([(2, "a", 4)], [(1, "a", 2, 0)], [(2, "a", 2)]),
    "goes on in one run": ([(1, "a", 2), (2, "a", 4), (3, "a", 5)], [], [(2, "a", 2), (3, "a", 4)]),
    "comes before": ([(1, "a", 2)], [(2, "a", 4, 0)], [(2, "a", 2)]),
    "comes before and is longer": ([(1, "a", 6)], [(2, "a", 4, 0)], [(2, "a", 4)]),
    "comes between": (
        [(2, "a", 3)], [(1, "a", 2, 0), (3, "a", 4, 2)], [(2, "a", 2), (3, "a", 3)],
    ),
    "the first is gone": ([], [(2, "a", 4, 2)], [(2, "a", 0)]),
    "the middle is gone": ([], [(1, "a", 2, 0), (3, "a", 5, 4)], [(3, "a", 2)]),
    "is again what it was": ([(1, "a", 2)], [(2, "a", 4, 2)], []),
    "the order within a night is the logs'": ([(1, "b", 4)], [(1, "a", 2, 0)], [(1, "b", 2)]),
    "a later log of the night": ([(1, "a", 4)], [(1, "b", 2, 0)], [(1, "b", 2)]),
}  # fmt: skip


@pytest.mark.parametrize("staged, live, marked", TABLE.values(), ids=TABLE)
def test_mark(staged, live, marked, connection):
    for record in staged:
        stage(connection, *record)
    for record in live:
        publish(connection, *record)
    mark(connection)
    rows = "SELECT day(log_date), origin_file, carried FROM carries ORDER BY ALL"
    assert connection.execute(rows).fetchall() == marked


def test_what_is_left_out_shows_nothing(connection):
    stage(connection, 1, "a", 4)
    connection.execute("INSERT INTO left_out VALUES (?, ?, ?, ?)", place(1, "a"))
    publish(connection, 2, "a", 4, 0)
    mark(connection)
    assert connection.execute("FROM carries").fetchall() == []
