"""Erasures beside publishes, readers and each other."""

import duckdb
import pytest

from warehouse import erase as module
from warehouse import query
from warehouse.barred import Bar, barred
from warehouse.discard import unseen
from warehouse.erase import erase
from warehouse.errors import CommitConflict
from warehouse.publish import Seen, abandon, erasure
from warehouse.traces import kept


def forget(store, *keys: str):
    return erase(store.catalog, keys or ["ann"], store.now)


def meanwhile(monkeypatch, happens) -> None:
    """Let something happen once, between the rewriting and the commit."""
    commit = module._commit

    def after(connection, *rest):
        monkeypatch.undo()
        return commit(connection, *rest)

    def rewritten(self, outline):
        monkeypatch.setattr(module._Eraser, "rewrite", rewrite)
        found = rewrite(self, outline)
        happens()
        return found

    rewrite = module._Eraser.rewrite
    monkeypatch.setattr(module._Eraser, "rewrite", rewritten)
    monkeypatch.setattr(module, "_commit", after)


@pytest.mark.databases
def test_what_was_staged_before_cannot_be_published_after(store, users) -> None:
    users.night(store.night, "1")
    seen = Seen(erasure=erasure(store.catalog))
    forget(store)
    late = store.stage("turns", "late", [store.turn(7, user_key="ann")])
    with pytest.raises(CommitConflict, match="A user was erased") as raised:
        store.publish("late", late, seen=seen)
    abandon(store.catalog, run_id="late", staged=[late], error=raised.value, now=store.now)
    assert users.bytes_of("ann") == []
    assert store.publish("late", store.stage("turns", "late", [store.turn(8)])) == 3


@pytest.mark.databases
def test_a_publish_in_the_middle_is_rewritten_too(store, users, monkeypatch) -> None:
    users.night(store.night, "1")
    meanwhile(monkeypatch, lambda: users.night(store.night.replace(day=19), "2"))
    report = forget(store)
    assert (report.commit_id, len(report.nights)) == (3, 2)
    assert users.bytes_of("ann") == [] and users.of("bob")["turns"] == 6


def test_a_replacement_in_the_middle_leaves_the_old_file_in_its_place(
    store, users, monkeypatch
) -> None:
    users.night(store.night, "1")
    meanwhile(monkeypatch, lambda: users.night(store.night, "2", users=("bob",)))
    report = forget(store)
    assert report.nights == {}, "what is superseded by now is not counted"
    assert users.bytes_of("ann") == []
    assert users.of("bob")["turns"] == 3
    with query.snapshot(store.catalog, 1) as then:
        assert then.execute("SELECT count(*) FROM turns").fetchall() == [(3,)]


def test_a_prompt_that_others_came_to_use_in_the_middle_stays(store, users, monkeypatch) -> None:
    users.night(store.night, "1")
    turn = store.turn(50, user_key="cy", prompt_hash="ann's")
    meanwhile(monkeypatch, lambda: store.publish("2", store.stage("turns", "x", [turn])))
    assert forget(store).prompts == 0
    assert len(store.sql("FROM system_prompts")) == 3


def test_two_erasures_at_once_forget_both(store, users, monkeypatch) -> None:
    users.night(store.night, "1")
    meanwhile(monkeypatch, lambda: forget(store, "bob"))
    report = forget(store)
    assert (report.commit_id, barred(store.catalog, Bar.ERASED)) == (3, {"ann", "bob"})
    assert users.bytes_of("ann") == users.bytes_of("bob") == []
    with store.catalog.read() as connection:
        assert unseen(connection) == []
        shown, _ = kept(connection)
    assert {file.path for file in shown} == {
        path.relative_to(store.root).as_posix() for path in store.root.rglob("*.parquet")
    }, "what the slower one wrote in vain is gone"


@pytest.mark.databases
def test_of_two_erasures_of_one_user_at_once_one_commits(store, users, monkeypatch) -> None:
    users.night(store.night, "1")
    meanwhile(monkeypatch, lambda: forget(store))
    assert forget(store).commit_id is None
    assert users.of("bob")["turns"] == 3


def test_a_reader_whose_files_went_is_told_so_and_a_new_one_reads_on(store, users) -> None:
    users.night(store.night, "1")
    with query.connect(store.root) as reader:
        assert len(reader.execute("FROM turns").fetchall()) == 6
        forget(store)
        with pytest.raises(duckdb.Error, match="No files found|Cannot open file"):
            reader.execute("SELECT content FROM turns").fetchall()
    assert len(store.sql("FROM turns")) == 3


def test_a_query_that_has_its_files_open_reads_them_to_the_end(store) -> None:
    rows = [store.turn(i, user_key=("ann", "bob")[i % 2]) for i in range(50_000)]
    store.publish("1", store.stage("turns", "a", rows))
    with query.connect(store.root) as reader:
        batches = reader.sql("SELECT turn_id FROM turns").to_arrow_reader(2048)
        seen = batches.read_next_batch().num_rows
        forget(store)
        seen += sum(batch.num_rows for batch in batches)
    assert seen == 50_000
    assert store.sql("SELECT count(*) FROM turns") == [(25_000,)]
