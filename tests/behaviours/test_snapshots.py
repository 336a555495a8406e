"""Every commit reads again as it was read when it was the newest."""

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from warehouse.leases import acquire, finish
from warehouse.manifest import ModelVersion
from warehouse.query import connect, newest_commit, snapshot
from warehouse.schema import Partition
from warehouse.selection import Wanted

PARTS = {
    "turns": ("a.jsonl", "b.jsonl"),
    "rejects": ("a.jsonl",),
    "signals": ("rules@1", "small@7"),
    "dsat_turns": ("rules@1", "small@7"),
}


def shown(connection) -> dict[str, list[tuple[Any, ...]]]:
    """View -> its rows, sorted; all but `batches`, for leases come and go without a commit."""
    names = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND view_name <> 'batches'"
    with connection:
        return {
            view: connection.execute(f"FROM {view} ORDER BY ALL").fetchall()
            for (view,) in connection.execute(names).fetchall()
        }


def reject(store, i: int) -> Any:
    from warehouse.records import ReasonCode, Reject

    return Reject(
        reason=ReasonCode.INVALID_JSON, origin_file="a", origin_offset=i, length=1, digest="",
        detail="",
    )  # fmt: skip


def do_publish(store, run: str, table: str, part: int, night: int, rows: int) -> None:
    log_date = store.night + dt.timedelta(days=night)
    name = PARTS[table][part % len(PARTS[table])]
    make = {
        "turns": store.turn, "rejects": lambda i: reject(store, i), "signals": store.signal,
        "dsat_turns": store.dsat,
    }[table]  # fmt: skip
    # Of a number of rows that is 0 no file is staged: the partition becomes empty.
    first = int(run) % 3
    made = [make(i) for i in range(first, first + rows)]
    staged = [store.stage(table, name, made, log_date)] if made else []
    partition = Partition(table, log_date, name)
    store.publish(run, *staged, night=log_date, replaces={partition})


def do_train(store, run: str) -> None:
    ttl = dt.timedelta(hours=1)
    lease = acquire(
        store.catalog, Wanted(turns=2), stream="default", holdout=0, ttl=ttl, now=store.now, seed=0
    )
    if lease is not None:
        model = ModelVersion(
            version=f"v{run}", parent=None, batch_id=lease.batch_id, created_at=store.now,
            promoted=True, manifest_sha256="ab",
        )  # fmt: skip
        finish(store.catalog, lease, model, store.now)


PUBLISHES = st.tuples(
    st.sampled_from(sorted(PARTS)), st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)
)


@pytest.mark.chaos
# Not shrunk: an example takes seconds, and says enough as it is.
@settings(max_examples=10, deadline=None, phases=[Phase.generate])
@given(steps=st.lists(st.one_of(PUBLISHES, st.none()), min_size=2, max_size=9))
def test_any_commit_reads_again_as_it_was(new_store, steps) -> None:
    """None is an update of the model."""
    with tempfile.TemporaryDirectory() as folder:
        store = new_store(Path(folder))
        then = {}
        for run, step in enumerate(steps):
            if step is None:
                do_train(store, str(run))
            else:
                do_publish(store, str(run), *step)
            then[newest_commit(store.catalog)] = shown(connect(store.root))
        then.pop(0, None)
        again = {commit: shown(snapshot(store.catalog, commit)) for commit in then}
        store.catalog.close()
    assert again == then


def test_a_snapshot_shows_what_was_replaced_emptied_outvoted_and_trained_since(store) -> None:
    """The kinds of change one by one, so that none hangs on a draw."""
    steps = [
        ("turns", 0, 0, 2), ("turns", 0, 0, 3), ("signals", 0, 0, 2), ("dsat_turns", 0, 0, 2),
        ("signals", 1, 0, 1), None, ("turns", 0, 0, 0), ("dsat_turns", 1, 0, 0),
    ]  # fmt: skip
    then = []
    for run, step in enumerate(steps):
        if step is None:
            do_train(store, str(run))
        else:
            do_publish(store, str(run), *step)
        then.append(shown(connect(store.root)))
    counts = [
        tuple(len(rows[view]) for view in ("turns", "signals", "signals_all", "dsat_turns"))
        for rows in then
    ]
    assert counts == [
        (2, 0, 0, 0), (3, 0, 0, 0), (3, 2, 2, 0), (3, 2, 2, 2), (3, 1, 3, 2), (3, 1, 3, 2),
        (0, 1, 3, 2), (0, 1, 3, 0),
    ]  # fmt: skip
    assert [len(rows["models"]) for rows in then] == [0] * 5 + [1] * 3
    assert [len(rows["lineage"]) for rows in then] == [0] * 5 + [2] * 3
    assert [shown(snapshot(store.catalog, i)) for i in range(1, 9)] == then


@pytest.mark.parametrize("sql", ["COPY (SELECT 1) TO '{}/x'", "FROM read_text('/etc/passwd')"])
def test_a_snapshot_is_as_confined_as_the_newest_state(store, tmp_path: Path, sql: str) -> None:
    import duckdb

    store.publish("1", store.stage("turns", "a", []))
    with snapshot(store.catalog, 1) as connection, pytest.raises(duckdb.Error):
        connection.execute(sql.format(tmp_path))
