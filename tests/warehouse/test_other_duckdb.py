"""`warehouse.duckdb` in the hands of an older DuckDB than the one that made it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse import reading

OLDER = "1.5.6"
pytestmark = pytest.mark.other_duckdb

# Waits for a line between opening the file and asking. Rows are sorted as text: what no ORDER BY
# tells apart may come in any order.
READER = """
import json, sys
import duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SET TimeZone = 'UTC'")
print(duckdb.__version__, flush=True)
for query in json.loads(sys.stdin.readline()):
    rows = connection.execute(query).fetchall()
    plain = json.loads(json.dumps(rows, default=str))
    print(json.dumps(sorted(plain, key=json.dumps)))
"""


@pytest.fixture(scope="session")
def older(tmp_path_factory) -> Path:
    """A folder that holds nothing but an older DuckDB."""
    folder = tmp_path_factory.mktemp("duckdb")
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder))
    done = subprocess.run(
        [sys.executable, *install, f"duckdb=={OLDER}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"pip cannot fetch duckdb {OLDER} here, so nothing was read with it")
    return folder


def reader(root: Path, version: str, folder: Path | None = None) -> subprocess.Popen:
    """A process that has opened the warehouse with the DuckDB of a folder, or with our own."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(root / "warehouse.duckdb")],
        env=own if folder is None else own | {"PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline().startswith(version)
    return process


def answers(process: subprocess.Popen, queries: list[str]) -> list[str]:
    out, errors = process.communicate(json.dumps(queries) + "\n", timeout=120)
    assert process.returncode == 0, errors
    return out.splitlines()


def test_every_view_and_every_query_of_the_docs_answers_the_same(filled, older, docs_queries):
    views = filled.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal")
    queries = [*docs_queries, *(f"FROM {view} ORDER BY ALL" for (view,) in views)]
    found = answers(reader(filled.root, OLDER, older), queries)
    assert found == answers(reader(filled.root, "2."), queries)
    assert len(found) == len(queries) and "[]" not in found


def test_files_of_an_older_shape_are_read(store, older) -> None:
    import msgspec

    staged = store.stage("signals", "rules@1", [store.signal(i) for i in range(3)])
    store.publish("1", msgspec.structs.replace(staged, shape=None))
    queries = ["FROM signals ORDER BY ALL", "FROM dsat_rate_daily"]
    found = answers(reader(store.root, OLDER, older), queries)
    assert found == answers(reader(store.root, "2."), queries)
    assert len(json.loads(found[0])) == 3


def test_nights_of_many_files_are_read(store, older, monkeypatch) -> None:
    monkeypatch.setattr(reading, "_ALONE", 1)
    store.publish("1", *(store.stage("turns", part, [store.turn(1)]) for part in ("a", "b's")))
    queries = ["FROM turns", f"SELECT count(*) FROM turns WHERE log_date = '{store.night}'"]
    found = answers(reader(store.root, OLDER, older), queries)
    assert found == answers(reader(store.root, "2."), queries)
    assert found[1] == "[[2]]"


def test_it_keeps_its_state_while_the_next_is_published(store, older) -> None:
    query = ["SELECT count(*) FROM turns"]
    before = [reader(store.root, OLDER, older) for _ in range(2)]
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    after = reader(store.root, OLDER, older)
    assert [answers(process, query) for process in (*before, after)] == [
        ["[[0]]"], ["[[0]]"], ["[[1]]"],
    ]  # fmt: skip
