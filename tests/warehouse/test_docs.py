"""docs/warehouse.md says what is there, and its queries run."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse.query import connect, run
from warehouse.records import Category, Signal, SignalKind
from warehouse.views import dictionary

TEXT = (Path(__file__).parents[2] / "docs" / "warehouse.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", TEXT, flags=re.DOTALL)
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", TEXT, flags=re.DOTALL | re.MULTILINE))


def test_there_are_queries_to_run() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_finds_something(filled, query: str) -> None:
    with connect(filled.root) as connection:
        assert run(connection, query).fetchall()


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_runs_on_an_empty_warehouse(store, query: str) -> None:
    with connect(store.root) as connection:
        assert run(connection, query).fetchall() == []


def test_every_view_is_described_with_its_columns(store) -> None:
    views = store.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal")
    real = {name: [row[0] for row in store.sql(f"DESCRIBE {name}")] for (name,) in views}
    assert {name: list(cells) for name, cells in told().items()} == real


def told() -> dict[str, dict[str, str]]:
    """View -> column -> meaning, as the tables say."""
    return {
        name: dict(re.findall(r"^\| (\w+) \| (.+) \|$", body, flags=re.MULTILINE)[1:])
        for name, body in SECTIONS.items()
    }


def test_the_tables_say_what_the_dictionary_says_word_by_word() -> None:
    said = {
        view: {column: words for column, words in columns.items() if column != "view"}
        for view, columns in dictionary().items()
    }
    assert told() == said


def test_the_comments_in_the_database_are_the_dictionarys(store) -> None:
    said = {view: dict(columns) for view, columns in dictionary().items()}
    views = {view: columns.pop("view") for view, columns in said.items()}
    shown = store.sql("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
    assert dict(shown) == views
    found: dict[str, dict[str, str]] = {view: {} for view in said}
    columns = (
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY column_index"
    )
    for view, column, comment in store.sql(columns):
        found[view][column] = comment
    assert found == said


def test_many_follow_ups_of_few_users_say_less(store) -> None:
    """Ten users, each always or never dissatisfied: 100 follow-ups count as nine."""
    (weekly,) = [query for query in QUERIES if "AS apart" in query]
    other = {"signal": SignalKind.NEUTRAL, "category": Category.NEUTRAL}

    def rows(week: int, users: int, happy: Callable[[int], bool]) -> list[Signal]:
        return [
            store.signal(
                1_000 * week + i, user_key=f"user-{i % users}", **(other if happy(i) else {})
            )
            for i in range(100)
        ]

    def week(rows: list[Signal], ago: int) -> None:
        night = store.night - dt.timedelta(days=7 * ago)
        staged = store.stage("signals", "rules@1", rows, night)
        store.publish(f"{ago}", staged, night=night)

    week(rows(0, 10, lambda i: i % 2 == 0), 0)
    week(rows(1, 100, lambda i: i % 10 < 7), 1)
    with connect(store.root) as connection:
        ((_, n, users, rate, low, high, change, apart),) = run(connection, weekly).fetchall()
        told = "SELECT round(wilson_low(4.5, 9), 3), round(wilson_high(4.5, 9), 3)"
        (expected,) = run(connection, told).fetchall()
        alone = "SELECT wilson_low(50, 100) > wilson_high(30, 100)"
        assert run(connection, alone).fetchall() == [(True,)], "as if each were another user's"
    assert (n, users, rate, change) == (100, 10, 0.5, pytest.approx(0.2))
    assert (low, high) == expected
    assert apart is False
