"""The generated views: their columns, what they show, and how they are swapped in."""

import datetime as dt
import subprocess
import sys

import duckdb
import pytest

from warehouse import migrations, reading
from warehouse.query import connect, refresh_if_stale, refresh_views
from warehouse.records import Category, Signal, SystemPrompt
from warehouse.schema import TABLES
from warehouse.views import DATABASE, SCRIPT

OTHER_NIGHT = dt.date(2026, 11, 19)
COLUMNS = {
    **{name: schema.names for name, schema in TABLES.items() if name != "lineage"},
    "signals_all": TABLES["signals"].names,
    "dsat_turns_all": TABLES["dsat_turns"].names,
    "turns_all": TABLES["turns"].names,
    "follow_ups": [
        "log_date", "turn_id", "conversation_id", "turn_index", "follow_up", "answer_turn_id",
        "answer", "signal", "category", "probability", "model", "thumb", "rating", "regenerated",
        "user_key", "language", "event_ts",
    ],
    "sat_turns": [
        "log_date", "turn_id", "conversation_id", "answer_turn_id", "answer", "feedback",
        "probability", "detector", "detector_version", "model", "user_key", "language", "event_ts",
    ],
    "revised_pairs": [
        "log_date",
        "conversation_id",
        "dsat_turn_id",
        "sat_turn_id",
        "prompt",
        "rejected",
        "feedback",
        "chosen",
        "acceptance",
        "category",
        "probability",
        "sat_probability",
        "trainable",
        "untrainable_reason",
        "detector",
        "detector_version",
        "model",
        "revised_by",
        "user_key",
        "language",
        "event_ts",
    ],
    "dsat_rate_daily": [
        "log_date", "model", "language", "category", "follow_ups", "dsat", "of_follow_ups", "share",
        "low", "high",
    ],
    "detector_versions": [
        "detector", "detector_version", "first_log_date", "last_log_date", "nights",
        "current_nights", "follow_ups", "dsat",
    ],
    "batches": [
        "batch_id", "stream", "state", "turns", "snapshot", "created_at", "expires_at", "reuses",
    ],
    "lineage": [
        "turn_id", "kind", "stream", "batch_id", "model_version", "parent", "promoted",
        "trained_at", "user_key",
    ],
    "runs": [
        "run_id", "stage", "log_date", "state", "started_at", "ended_at", "commit_id", "counts",
        "reason",
    ],
    "models": [
        "version", "parent", "stream", "batch_id", "created_at", "promoted", "manifest_sha256",
        "erased_turns",
    ],
    "warehouse_info": ["commit_id", "committed_at", "root", "data", "schema_version"],
}  # fmt: skip


def rows_for(store, table: str, count: int) -> list:
    make = {"turns": store.turn, "signals": store.signal, "dsat_turns": store.dsat}[table]
    return [make(i) for i in range(count)]


def described(store, view: str) -> list[tuple[str, str]]:
    return [row[:2] for row in store.sql(f"DESCRIBE {view}")]


def test_these_views_and_no_others_are_there(store) -> None:
    shown = store.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal")
    assert {name for (name,) in shown} == set(COLUMNS)


@pytest.mark.parametrize("view", COLUMNS)
def test_an_empty_warehouse_has_every_column_and_no_row(store, view: str) -> None:
    assert [name for name, _ in described(store, view)] == COLUMNS[view]
    rows = 1 if view == "warehouse_info" else 0
    assert len(store.sql(f"FROM {view}")) == rows


@pytest.mark.parametrize("table", ["turns", "signals", "dsat_turns"])
def test_a_table_has_the_same_types_with_and_without_files(store, table: str) -> None:
    empty = described(store, table)
    store.publish("1", store.stage(table, "rules@1", rows_for(store, table, 3)))
    assert described(store, table) == empty
    assert store.sql(f"SELECT count(*) FROM {table}") == [(3,)]


def test_every_view_says_what_it_holds(store) -> None:
    mute = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
    assert store.sql(mute) == []


def test_rows_of_several_nights_and_parts_stand_together(store) -> None:
    for run, night, part in (
        ("1", store.night, "a.jsonl"),
        ("2", store.night, "b's.jsonl"),
        ("3", OTHER_NIGHT, "a.jsonl"),
    ):
        store.publish(run, store.stage("turns", part, [store.turn(int(run))], night), night=night)
    query = "SELECT log_date, list(turn_id ORDER BY turn_id) FROM turns GROUP BY ALL ORDER BY 1"
    assert store.sql(query) == [
        (OTHER_NIGHT, ["turn-3"]),
        (store.night, ["turn-1", "turn-2"]),
    ]


def test_a_query_for_one_night_opens_no_other_files(store) -> None:
    for run, night in (("1", store.night), ("2", OTHER_NIGHT)):
        store.publish(run, store.stage("turns", "a", [store.turn(1)], night), night=night)
    (plan,) = store.sql(f"EXPLAIN SELECT * FROM turns WHERE log_date = '{OTHER_NIGHT}'")
    assert "1/2" in plan[1]


def test_a_night_of_many_files_is_read_on_its_own(store, monkeypatch) -> None:
    monkeypatch.setattr(reading, "_ALONE", 2)
    empty = described(store, "turns")
    nights = [store.night, OTHER_NIGHT, dt.date(2026, 11, 18)]
    for i, night in enumerate(nights):
        parts = [store.stage("turns", part, [store.turn(i)], night) for part in "abc"[i:]]
        store.publish(str(i), *parts, night=night)
    assert described(store, "turns") == empty
    counted = "SELECT log_date, turn_id, count(*) FROM turns {} GROUP BY ALL"
    rows = [(night, f"turn-{i}", 3 - i) for i, night in enumerate(nights)]
    assert sorted(store.sql(counted.format(""))) == sorted(rows)
    for row in rows:
        one = counted.format(f"WHERE log_date = '{row[0]}'")
        assert store.sql(one) == [row]
        (plan,) = store.sql(f"EXPLAIN {one}")
        assert plan[1].count("Function: READ_PARQUET") - plan[1].count("Files: 0/") == 1


def test_a_turn_is_shown_once_and_its_context_rows_are_not(store) -> None:
    later = dt.date(2026, 11, 21)
    store.publish("1", store.stage("turns", "a", [store.turn(0), store.turn(1)]))
    went_on = [store.turn(i, carried=i < 2) for i in range(3)]
    store.publish("2", store.stage("turns", "b", went_on, later), night=later)
    assert store.sql("SELECT log_date, turn_id FROM turns ORDER BY ALL") == [
        (store.night, "turn-0"), (store.night, "turn-1"), (later, "turn-2"),
    ]  # fmt: skip


def test_a_system_prompt_is_shown_once(store) -> None:
    prompt = SystemPrompt(prompt_hash="aa", content="Be brief.")
    parts = [store.stage("system_prompts", part, [prompt]) for part in "ab"]
    store.publish("1", *parts)
    assert store.sql("FROM system_prompts") == [(store.night, "aa", "Be brief.")]


@pytest.mark.parametrize("table", ["signals", "dsat_turns"])
def test_of_several_detectors_the_one_published_last_is_shown(store, table: str) -> None:
    rows = rows_for(store, table, 2)
    store.publish("1", store.stage(table, "rules@1", rows))
    store.publish("2", store.stage(table, "small@7", rows[:1]))
    assert store.sql(f"SELECT count(*) FROM {table}") == [(1,)]
    store.publish("3", store.stage(table, "rules@1", rows))
    assert store.sql(f"SELECT count(*) FROM {table}") == [(2,)]


def test_a_detector_that_found_nothing_hides_what_the_one_before_it_found(store) -> None:
    old = store.stage("dsat_turns", "rules@1", [store.dsat(1)])
    store.publish("1", old)
    newer = store.stage("dsat_turns", "small@7", []).partition
    store.publish("2", replaces={newer})
    assert store.sql("FROM dsat_turns") == []


def test_each_night_has_its_own_current_detector(store) -> None:
    store.publish("1", store.stage("signals", "rules@1", [store.signal(1)]))
    store.publish("2", store.stage("signals", "small@7", [store.signal(2)], OTHER_NIGHT))
    assert store.sql("SELECT count(*) FROM signals") == [(2,)]


def as_category(store, i: int, category: Category, **fields) -> Signal:
    return store.signal(i, signal=category.signal, category=category, **fields)


def test_the_dsat_rate_counts_follow_ups_by_night_model_language_and_category(store) -> None:
    signals = [
        as_category(store, 1, Category.COMPLAINT, language="en"),
        as_category(store, 2, Category.NEUTRAL, language="en"),
        as_category(store, 3, Category.SAT, language="en"),
        as_category(store, 4, Category.NEUTRAL, language="en"),
        as_category(store, 5, Category.NEUTRAL, language="de"),
        as_category(store, 6, Category.CORRECTION, model="large"),
        as_category(store, 7, Category.SAT, model=None),
    ]
    store.publish("1", store.stage("signals", "rules@1", signals))
    columns = "model, language, category, follow_ups, dsat, of_follow_ups, share"
    assert store.sql(f"SELECT {columns} FROM dsat_rate_daily") == [
        ("large", None, "correction", 1, 1, 1, 1.0),
        ("small", "de", "neutral", 1, 0, 1, 1.0),
        ("small", "en", "complaint", 1, 1, 4, 0.25),
        ("small", "en", "neutral", 2, 0, 4, 0.5),
        ("small", "en", "sat", 1, 0, 4, 0.25),
        (None, None, "sat", 1, 0, 1, 1.0),
    ]
    rate = "sum(dsat) / sum(follow_ups) AS rate"
    assert store.sql(f"SELECT {rate} FROM dsat_rate_daily WHERE model = 'small'") == [(0.2,)]


# R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (score, no correction).
NEWCOMBE = {
    "81 of 263": (81, 263, 0.2553, 0.3662),
    "15 of 148": (15, 148, 0.0624, 0.1605),
    "0 of 20": (0, 20, 0.0, 0.1611),
    "1 of 29": (1, 29, 0.0061, 0.1718),
}


@pytest.mark.parametrize("dsat, follow_ups, low, high", NEWCOMBE.values(), ids=NEWCOMBE)
def test_the_interval_is_wilsons(store, dsat, follow_ups, low, high) -> None:
    kinds = [Category.COMPLAINT] * dsat + [Category.NEUTRAL] * (follow_ups - dsat)
    signals = [as_category(store, i, kind) for i, kind in enumerate(kinds)]
    store.publish("1", store.stage("signals", "rules@1", signals))
    bounds = [f"round(wilson_{end}(sum(dsat), sum(follow_ups)), 4)" for end in ("low", "high")]
    (found,) = store.sql(f"SELECT {', '.join(bounds)} FROM dsat_rate_daily")
    assert found == (low, high)
    shown = "SELECT round(low, 4), round(high, 4) FROM dsat_rate_daily WHERE dsat > 0"
    assert store.sql(shown) == ([(low, high)] if dsat else [])


def test_a_rate_of_one_has_one_as_its_upper_bound(store) -> None:
    store.publish("1", store.stage("signals", "rules@1", [store.signal(i) for i in range(7)]))
    ((low, high),) = store.sql("SELECT low, high FROM dsat_rate_daily")
    assert 0.64 < low < 0.65 and high == pytest.approx(1) and high <= 1


BARE = {"nobody asked": "0, 0", "no counts": "NULL, NULL"}


@pytest.mark.parametrize("counts", BARE.values(), ids=BARE)
def test_of_nothing_there_is_no_interval(store, counts: str) -> None:
    assert store.sql(f"SELECT wilson_low({counts}), wilson_high({counts})") == [(None, None)]


def test_runs_and_the_commit_are_shown(store) -> None:
    store.publish("mine-1", store.stage("turns", "a", []), counts={"lines_in": 7})
    assert store.sql("SELECT run_id, state, commit_id, (counts->>'lines_in')::INT FROM runs") == [
        ("mine-1", "committed", 1, 7)
    ]
    root = str(store.root)
    assert store.sql("FROM warehouse_info") == [(1, store.now, root, root, migrations.newest())]


def test_the_script_makes_the_same_views_elsewhere(store) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    with duckdb.connect() as connection:
        connection.execute((store.root / SCRIPT).read_text())
        assert connection.execute("SELECT turn_id FROM turns").fetchall() == [("turn-1",)]


def test_the_database_has_the_format_that_duckdb_1_opens(store) -> None:
    # Bytes 12 to 20 of a DuckDB file are its storage version; 65 is that of v1.2.
    head = (store.root / DATABASE).read_bytes()[:20]
    assert int.from_bytes(head[12:20], "little") == 65


@pytest.mark.parametrize("lost", [DATABASE, SCRIPT])
def test_lost_views_are_made_again(store, lost: str) -> None:
    (store.root / lost).unlink()
    refresh_if_stale(store.catalog)
    assert (store.root / lost).exists()
    assert store.sql("FROM turns") == []


def test_views_that_are_up_to_date_are_left_alone(store) -> None:
    before = (store.root / DATABASE).stat().st_ino
    refresh_if_stale(store.catalog)
    assert (store.root / DATABASE).stat().st_ino == before


def test_what_a_reader_wrote_into_the_database_is_gone_with_it(store) -> None:
    wal = store.root / f"{DATABASE}.wal"
    wal.write_bytes(b"left by a client that was killed")
    refresh_views(store.catalog)
    assert not wal.exists()
    assert store.sql("FROM turns") == []


def test_a_reader_keeps_its_state_while_another_process_reads_the_next(store) -> None:
    with connect(store.root) as early:
        store.publish("1", store.stage("turns", "a", [store.turn(1)]))
        code = (
            "import sys; from pathlib import Path; from warehouse.query import connect\n"
            "print(connect(Path(sys.argv[1])).execute('SELECT count(*) FROM turns').fetchone()[0])"
        )
        later = subprocess.run(
            [sys.executable, "-c", code, str(store.root)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert early.execute("SELECT count(*) FROM turns").fetchall() == [(0,)]
        assert later.stdout == "1\n"
    assert store.sql("SELECT count(*) FROM turns") == [(1,)]
