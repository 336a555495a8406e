"""Reading the catalog, and what SQL may not do."""

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from warehouse.errors import SourceUnavailable
from warehouse.ledger import SourceFile
from warehouse.query import (
    NightCounts,
    connect,
    generations,
    live_files,
    log_dates,
    newest_commit,
    night_counts,
    run,
    stale_dates,
    watermark,
)
from warehouse.records import ReasonCode, Redaction, Reject
from warehouse.schema import Partition

OTHER_NIGHT = dt.date(2026, 11, 19)


@pytest.mark.databases
def test_live_files_say_what_was_staged_and_which_commit_added_it(store) -> None:
    staged = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", staged)
    (live,) = live_files(store.catalog, "turns")
    assert {name: getattr(live, name) for name in staged.__struct_fields__} == {
        name: getattr(staged, name) for name in staged.__struct_fields__
    }
    assert (live.generation, live.commit_id) == (1, 1)


@pytest.mark.databases
def test_live_files_of_one_night_and_of_all_detectors(store) -> None:
    store.publish("1", store.stage("signals", "rules@1", []))
    store.publish("2", store.stage("signals", "small@7", []))
    store.publish("3", store.stage("signals", "rules@1", [], OTHER_NIGHT), night=OTHER_NIGHT)
    found = live_files(store.catalog, "signals", log_date=store.night)
    assert [file.part for file in found] == ["rules@1", "small@7"]
    assert len(live_files(store.catalog, "signals")) == 3
    assert live_files(store.catalog, "turns") == []


@pytest.mark.databases
def test_generations_count_replacements_and_outlive_the_files(store) -> None:
    staged = store.stage("turns", "a", [])
    store.publish("1", staged)
    store.publish("2", replaces={staged.partition})
    assert generations(store.catalog, "turns", store.night) == {staged.partition: 2}
    assert generations(store.catalog, "turns", OTHER_NIGHT) == {}


@pytest.mark.databases
def test_a_night_is_stale_until_it_was_mined_after_its_turns(store) -> None:
    store.publish("1", store.stage("turns", "a", []))
    store.publish("2", store.stage("turns", "a", [], OTHER_NIGHT), night=OTHER_NIGHT)
    assert stale_dates(store.catalog) == [OTHER_NIGHT, store.night]
    store.publish("3", store.stage("signals", "rules@1", []))
    assert stale_dates(store.catalog) == [OTHER_NIGHT]
    store.publish("4", store.stage("turns", "late", []))
    assert stale_dates(store.catalog) == [OTHER_NIGHT, store.night]


@pytest.mark.databases
def test_log_dates_and_newest_commit_of_a_table(store) -> None:
    assert (newest_commit(store.catalog), log_dates(store.catalog, "turns")) == (0, [])
    store.publish("1", store.stage("turns", "a", []))
    store.publish("2", store.stage("signals", "rules@1", [], OTHER_NIGHT), night=OTHER_NIGHT)
    assert newest_commit(store.catalog) == 2
    assert newest_commit(store.catalog, "turns") == 1
    assert log_dates(store.catalog, "signals") == [OTHER_NIGHT]


def counted(name: str, night: dt.date, lines: int, duplicates: int, suppressed: int) -> SourceFile:
    return SourceFile(
        name=name, log_date=night, size=1, stamp="", sha256=name, lines=lines,
        duplicates=duplicates, suppressed=suppressed,
    )  # fmt: skip


def reject(reason: str) -> Reject:
    return Reject(
        reason=ReasonCode(reason), origin_file="a", origin_offset=0, length=1, digest="", detail=""
    )


@pytest.mark.databases
def test_a_night_is_counted_as_it_stands_now(store) -> None:
    assert night_counts(store.catalog, store.night) == NightCounts(
        log_date=store.night, lines_in=0, conversations=0, near_duplicates=0, turns=0,
        seed_pairs=0, rejected=0, rejected_by_reason={}, duplicates=0, suppressed=0, redacted={},
    )  # fmt: skip
    store.publish(
        "1",
        store.stage("turns", "a", [store.turn(i, carried=i < 2) for i in range(8)]),
        store.stage(
            "conversations",
            "a",
            [
                store.facts(1, redactions=(Redaction("EMAIL", 2), Redaction("IP", 1)), cluster="c"),
                store.facts(2, redactions=(Redaction("EMAIL", 3),)),
            ],
        ),
        store.stage("conversations", "b", [store.facts(3, cluster="c")]),
        store.stage("turns", "b", [store.turn(8)]),
        store.stage("rejects", "a", [reject("invalid_json"), reject("id_clash")]),
        sources=[counted("a", store.night, 6, 1, 1), counted("b", store.night, 1, 0, 0)],
    )
    b = Partition("rejects", store.night, "b")
    store.publish(
        "2",
        store.stage("turns", "b", [store.turn(8), store.turn(12), store.turn(13)]),
        store.stage("rejects", "b", [reject("invalid_json")]),
        replaces={b, Partition("turns", store.night, "b")},
        sources=[counted("b", store.night, 5, 2, 0)],
    )
    store.publish("3", store.stage("turns", "a", [], OTHER_NIGHT), night=OTHER_NIGHT,
                  sources=[counted("a", OTHER_NIGHT, 9, 9, 0)])  # fmt: skip
    assert night_counts(store.catalog, store.night) == NightCounts(
        log_date=store.night, lines_in=11, conversations=3, near_duplicates=2, turns=9,
        seed_pairs=0, rejected=3, rejected_by_reason={"invalid_json": 2, "id_clash": 1},
        duplicates=3, suppressed=1, redacted={"EMAIL": 5, "IP": 1},
    )  # fmt: skip


@pytest.mark.databases
def test_a_watermark_only_moves_forward(store) -> None:
    assert watermark(store.catalog, "mine") is None
    store.publish("1", store.stage("signals", "rules@1", []))
    store.publish("2", store.stage("signals", "rules@1", [], OTHER_NIGHT), night=OTHER_NIGHT)
    assert watermark(store.catalog, "mine") == store.night


def test_no_warehouse_is_said_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no warehouse here yet.*driftmine init"):
        connect(tmp_path)


FORBIDDEN = {
    "write a file": "COPY (SELECT 1) TO '{outside}/out.csv'",
    "climb out of the data": "COPY (SELECT 1) TO '{root}/data/../out.csv'",
    "read a file": "FROM read_text('/etc/passwd')",
    "read a file by its bare name": "FROM '/etc/passwd'",
    "read the catalog": "FROM read_blob('{root}/catalog.db')",
    "list a folder": "FROM glob('/etc/*')",
    "attach a database": "ATTACH '{outside}/other.duckdb' AS other",
    "attach the catalog": "ATTACH '{root}/catalog.db' AS other (TYPE sqlite)",
    "install an extension": "INSTALL httpfs",
    "load an extension": "LOAD httpfs",
    "read the network": "FROM read_text('https://example.org/')",
    "unlock itself": "SET enable_external_access = true",
    "widen what is allowed": "SET allowed_directories = ['/']",
    "make a table": "CREATE TABLE mine AS SELECT 1 AS x",
    "drop a view": "DROP VIEW turns",
}


@pytest.mark.parametrize("sql", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_connection_cannot(store, tmp_path: Path, sql: str) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    quoted = str(store.root).replace("'", "''")
    with connect(store.root) as connection, pytest.raises(duckdb.Error):
        connection.execute(sql.format(outside=tmp_path, root=quoted)).fetchall()
    assert {path.name for path in tmp_path.iterdir()} == {store.root.name}


def test_a_connection_does_not_see_the_callers_variables(store) -> None:
    secret = duckdb.sql("SELECT 1")  # noqa: F841
    with connect(store.root) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("FROM secret")


READS = {
    "select": "SELECT count(*) FROM turns",
    "from first": "FROM turns SELECT count(*)",
    "with": "WITH t AS (FROM turns) SELECT count(*) FROM t",
    "values": "VALUES (1)",
    "a comment at its end": "SELECT count(*) FROM turns -- of all nights",
    "a semicolon at its end": "SELECT count(*) FROM turns;",
}


@pytest.mark.parametrize("sql", READS.values(), ids=READS)
def test_a_typed_query_may_read(store, sql: str) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    with connect(store.root) as connection:
        assert run(connection, sql).fetchall() == [(1,)]


@pytest.mark.parametrize("sql", ["DESCRIBE turns", "SHOW TABLES", "SUMMARIZE turns"])
def test_a_typed_query_may_ask_what_there_is(store, sql: str) -> None:
    with connect(store.root) as connection:
        assert run(connection, sql).fetchall()


def test_a_typed_query_keeps_its_order_and_its_names(store) -> None:
    with connect(store.root) as connection:
        found = run(connection, "SELECT i AS b, -i AS a FROM range(5000) t(i) ORDER BY hash(i)")
        assert [column[0] for column in found.description] == ["b", "a"]
        plain = connection.execute("SELECT i FROM range(5000) t(i) ORDER BY hash(i)").fetchall()
        again = run(connection, "SELECT i FROM range(5000) t(i) ORDER BY hash(i)").fetchall()
    assert again == plain


WRITES = {
    "copy": "COPY (SELECT 1) TO '{file}'",
    "copy in a WITH clause": "WITH t AS (COPY (SELECT 1) TO '{file}') FROM t",
    "copy after a query": "SELECT 1; COPY (SELECT 1) TO '{file}'",
    "explain analyze": "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "export": "EXPORT DATABASE '{file}'",
    "prepared": "PREPARE p AS COPY (SELECT 1) TO '{file}'",
}


@pytest.mark.parametrize("sql", WRITES.values(), ids=WRITES)
def test_a_typed_query_cannot_write_over_the_data(store, sql: str) -> None:
    staged = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", staged)
    file = store.root / staged.path
    before = file.read_bytes()
    with connect(store.root) as connection, pytest.raises(duckdb.Error):
        run(connection, sql.format(file=str(file).replace("'", "''")))
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
