"""What upkeep promises to those who publish, erase, read and maintain at the same time."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from warehouse import manifest
from warehouse.manifest import Manifest, Rewritten
from warehouse.publish import Seen
from warehouse.query import generations, live_files
from warehouse.upkeep.collect import collect, due
from warehouse.upkeep.compact import compact, plan
from warehouse.upkeep.sweep import unnamed

MB = 2**20
AGO = dt.timedelta(0)


def fill(store, run: str = "1") -> list[Any]:
    """Two small files of one partition."""
    staged = [store.stage("turns", "a", [store.turn(i, user_key=f"user-{i}")]) for i in range(2)]
    store.publish(run, *staged)
    return staged


def on_disk(store) -> set[str]:
    return {path.relative_to(store.root).as_posix() for path in store.root.rglob("*.parquet")}


def shown(store) -> list[str]:
    return [turn_id for (turn_id,) in store.sql("SELECT turn_id FROM turns ORDER BY turn_id")]


def compact_during(store, monkeypatch, meanwhile: Callable[[], object]):
    """Compact, and let `meanwhile` happen when the merged file is written, before its commit."""
    from warehouse.upkeep import compact as module

    merge = module._merge

    def merged(*args: Any) -> Any:
        made = merge(*args)
        monkeypatch.undo()
        meanwhile()
        return made

    groups = plan(store.catalog, target=MB)
    monkeypatch.setattr(module, "_merge", merged)
    return compact(store.catalog, groups, now=store.now)


def erase(store, *files: Any, user: str) -> None:
    """As an erasure does: the files without the user's rows, in their place in history."""
    rewritten = [
        Rewritten(path=file.path, anew=store.stage(file.table, file.part, [])) for file in files
    ]
    with store.catalog.write() as connection:
        change = Manifest(
            commit_id=manifest.next_id(connection), kind="erase", subject="1 user",
            committed_at=store.now, rewritten=rewritten, erased=[user],
        )  # fmt: skip
        manifest.commit(connection, store.root, change)


def test_a_publish_of_the_partition_wins_over_a_compaction(store, monkeypatch) -> None:
    fill(store)
    new = store.stage("turns", "a", [store.turn(7)])
    done = compact_during(store, monkeypatch, lambda: store.publish("2", new))
    assert (done.files_after, done.skipped) == (0, 1)
    assert shown(store) == ["turn-7"]
    assert [file.path for file in live_files(store.catalog, "turns")] == [new.path]
    assert len(on_disk(store)) == 3, "what it had merged is gone"


def test_a_publish_elsewhere_does_not_keep_a_compaction_back(store, monkeypatch) -> None:
    fill(store)
    other = store.stage("turns", "b", [store.turn(7)])
    done = compact_during(store, monkeypatch, lambda: store.publish("2", other))
    assert (done.files_after, done.skipped) == (1, 0)
    assert shown(store) == ["turn-0", "turn-1", "turn-7"]


@pytest.mark.parametrize("held", [True, False], ids=["of these files", "of others"])
def test_an_erasure_wins_over_a_compaction(store, monkeypatch, held: bool) -> None:
    """The merged file would bring the user back."""
    files = fill(store)
    elsewhere = store.stage("turns", "b", [store.turn(9, user_key="user-1")])
    store.publish("2", elsewhere)
    erased = files[1] if held else elsewhere
    done = compact_during(store, monkeypatch, lambda: erase(store, erased, user="user-1"))
    assert (done.files_after, done.skipped) == (0, 1)
    assert shown(store) == (["turn-0", "turn-9"] if held else ["turn-0", "turn-1"])
    collect(store.catalog, due(store.catalog, retention=AGO, now=store.now), now=store.now)
    again = compact(store.catalog, plan(store.catalog, target=MB), now=store.now)
    assert (again.files_after, again.skipped) == (1, 0)
    assert shown(store) == (["turn-0", "turn-9"] if held else ["turn-0", "turn-1"])


def test_a_group_that_was_listed_before_an_erasure_is_left_alone(store) -> None:
    _, erased = fill(store)
    groups = plan(store.catalog, target=MB)
    erase(store, erased, user="user-1")
    collect(store.catalog, due(store.catalog, retention=AGO, now=store.now), now=store.now)
    done = compact(store.catalog, groups, now=store.now)
    assert (done.files_after, done.skipped, done.damaged) == (0, 1, ())
    assert shown(store) == ["turn-0"]


def test_of_two_compactions_at_once_one_wins_and_the_other_gives_way(store, monkeypatch) -> None:
    fill(store)
    inner = []

    def other() -> None:
        inner.append(compact(store.catalog, plan(store.catalog, target=MB), now=store.now))

    done = compact_during(store, monkeypatch, other)
    assert (inner[0].files_after, done.files_after, done.skipped) == (1, 0, 1)
    assert shown(store) == ["turn-0", "turn-1"]
    assert len(live_files(store.catalog, "turns")) == 1
    assert len(on_disk(store)) == 3, "two inputs, one outcome"


def test_of_two_collections_at_once_both_end_well(store) -> None:
    fill(store)
    store.publish("2", store.stage("turns", "a", []))
    both = [due(store.catalog, retention=AGO, now=store.now) for _ in range(2)]
    for garbage in both:
        assert len(garbage.paths) == 2
        collect(store.catalog, garbage, now=store.now)
    assert len(on_disk(store)) == 1


def test_a_run_that_began_before_a_compaction_publishes_after_it(store) -> None:
    """Mining saw the generations of the night; they say the same rows."""
    fill(store)
    seen = Seen(
        erasure=0,
        nights={("turns", store.night): generations(store.catalog, "turns", store.night)},
        tables={"turns": 1},
    )
    compact(store.catalog, plan(store.catalog, target=MB), now=store.now)
    assert store.publish("2", store.stage("signals", "rules@1", []), seen=seen) == 3


def test_what_a_run_replaces_after_a_compaction_is_the_merged_file(store) -> None:
    fill(store)
    compact(store.catalog, plan(store.catalog, target=MB), now=store.now)
    new = store.stage("turns", "a", [store.turn(7)])
    store.publish("2", new)
    assert shown(store) == ["turn-7"]
    assert len(due(store.catalog, retention=AGO, now=store.now).paths) == 3


def test_a_file_that_is_published_while_orphans_are_looked_for_is_none(store, monkeypatch) -> None:
    """Its run has lasted longer than orphans are kept, and ends between two looks."""
    from warehouse.upkeep import sweep as module

    file = store.stage("turns", "a", [store.turn(1)])
    named = module.publish.named

    def published_meanwhile(*args: Any) -> Any:
        monkeypatch.undo()
        store.publish("1", file)
        return named(*args)

    monkeypatch.setattr(module.publish, "named", published_meanwhile)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    assert unnamed(store.catalog, kept=(), age=dt.timedelta(days=1), now=later) == []
    assert msgspec.to_builtins(live_files(store.catalog, "turns"))[0]["path"] == file.path
