"""What an erasure promises: nothing of the user anywhere, and all else as it was."""

import datetime as dt
import json

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from warehouse import query
from warehouse.barred import Bar, barred
from warehouse.erase import ErasedFile, conversations, erase, preview
from warehouse.errors import ErasureUnfinished, SourceUnavailable
from warehouse.leases import acquire, finish
from warehouse.manifest import ModelVersion, read_all
from warehouse.selection import Wanted
from warehouse.streams import lineage, registered
from warehouse.tables import batch_items, files

EARLIER = dt.date(2026, 11, 19)
EACH = {"turns": 3, "conversations": 1, "seed_pairs": 1, "signals": 1, "dsat_turns": 1}
NONE = dict.fromkeys(EACH, 0)


def forget(store, *keys: str, **options):
    return erase(store.catalog, keys or ["ann"], store.now, **options)


def undeleted(store) -> set[str]:
    with store.catalog.read() as connection:
        rows = select(files.c.path).where(files.c.deleted_at.is_(None))
        return set(connection.execute(rows).scalars())


def on_disk(store) -> set[str]:
    return {path.relative_to(store.root).as_posix() for path in store.root.rglob("*.parquet")}


def test_nothing_of_the_user_is_left_and_all_else_is_as_it_was(store, users) -> None:
    users.night(store.night, "1")
    report = forget(store)
    assert (users.of("ann"), users.of("bob")) == (NONE, EACH)
    assert users.bytes_of("ann") == []
    assert on_disk(store) == undeleted(store)
    assert (report.commit_id, report.nights, report.prompts) == (2, {store.night: 2}, 1)
    assert {file.table: (file.removed, file.left) for file in report.files} == {
        table: (n, n) for table, n in EACH.items()
    } | {"system_prompts": (1, 2)}
    assert report.discarded == 6
    assert barred(store.catalog, Bar.ERASED) == {"ann"}


def test_a_file_that_only_the_user_is_in_goes_whole(store, users) -> None:
    users.night(store.night, "1", users=("ann",))
    report = forget(store)
    assert [file.left for file in report.files] == [0] * 6
    assert report.prompts == 2, "nobody else refers to the shared one here"
    assert on_disk(store) == set()
    assert store.sql("FROM turns") == []


def test_system_prompts_that_others_use_stay(store, users) -> None:
    users.night(store.night, "1")
    users.night(EARLIER, "2", users=("ann",))
    forget(store)
    left = [("bob's",), ("shared",)]
    assert store.sql("SELECT prompt_hash FROM system_prompts ORDER BY 1") == left
    held = [pq.read_table(store.root / path) for path in undeleted(store) if "prompts" in path]
    assert {p for table in held for p in table["prompt_hash"].to_pylist()} == {"bob's", "shared"}


def test_a_prompt_that_only_the_context_of_others_names_stays(store, users) -> None:
    """As of a detector that has not judged the night again."""
    users.night(store.night, "1", users=("ann",))
    context = store.dsat(7).context[0]
    named = type(context)(role=context.role, content="", prompt_hash="ann's")
    rows = [store.dsat(7, user_key="bob", context=(named,))]
    store.publish("2", store.stage("dsat_turns", "other@1", rows))
    forget(store)
    assert store.sql("SELECT prompt_hash FROM system_prompts") == [("ann's",)]


def test_every_night_still_adds_up(store, users) -> None:
    nights = (EARLIER, store.night)
    for run, night in enumerate(nights):
        users.night(night, str(run))
    users.night(EARLIER, "again")
    forget(store)
    for night in nights:
        found = query.night_counts(store.catalog, night)
        assert (found.lines_in, found.suppressed) == (4, 2), "superseded files count for nothing"
        assert found.lines_in == found.conversations + found.seed_pairs + found.suppressed


def test_superseded_files_are_rewritten_in_their_place_in_history(store, users) -> None:
    users.night(store.night, "1")
    users.night(store.night, "2", users=("bob",))
    report = forget(store)
    assert users.bytes_of("ann") == []
    assert report.nights == {}, "no record that is counted went"
    with query.snapshot(store.catalog, 1) as then:
        shown = then.execute("SELECT DISTINCT user_key FROM turns").fetchall()
    assert shown == [("bob",)]
    assert users.of("bob") == EACH


def test_an_older_commit_shows_everything_but_the_user(store, users) -> None:
    def said(commit: int) -> list:
        with query.snapshot(store.catalog, commit) as then:
            return [
                then.execute(f"FROM {table} WHERE user_key = 'bob' ORDER BY ALL").fetchall()
                for table in EACH
            ]

    for run in "12":
        users.night(store.night, run)
    before = [said(commit) for commit in (1, 2)]
    forget(store)
    assert [said(commit) for commit in (1, 2)] == before
    for commit in (1, 2, 3):
        with query.snapshot(store.catalog, commit) as then:
            assert then.execute("FROM turns WHERE user_key = 'ann'").fetchall() == []


def test_generations_do_not_move_so_nothing_is_mined_again(store, users) -> None:
    users.night(store.night, "1")
    before = query.generations(store.catalog, "turns", store.night)
    forget(store)
    assert query.generations(store.catalog, "turns", store.night) == before
    assert query.stale_dates(store.catalog) == []


def test_rows_in_a_file_of_an_older_shape_are_found_and_kept_by_their_ids(store, users) -> None:
    """Its columns had other names and one was not there yet."""
    for file in users.night(store.night, "1"):
        if file.table == "turns":
            table = pq.read_table(store.root / file.path)
            older = table.drop_columns(["edited"]).rename_columns(
                {"user_key": "user", "content": "text"}
            )
            pq.write_table(older, store.root / file.path)
            with store.catalog.write() as connection:
                mine = files.update().where(files.c.path == file.path)
                connection.execute(mine.values(shape="older"))
    forget(store)
    assert users.bytes_of("ann") == []
    assert store.sql("SELECT DISTINCT user_key, content, edited FROM turns") == [
        ("bob", "bob said", None)
    ]


def test_several_users_go_in_one_commit(store, users) -> None:
    users.night(store.night, "1")
    report = forget(store, "ann", "bob")
    assert report.commit_id == 2
    assert (users.of("ann"), users.of("bob"), on_disk(store)) == (NONE, NONE, set())


def test_a_user_without_rows_is_kept_out_and_the_report_says_that_nothing_was_found(
    store, users
) -> None:
    users.night(store.night, "1")
    before = on_disk(store)
    report = forget(store, "cy")
    assert report.is_empty and report.commit_id == 2
    assert (on_disk(store), barred(store.catalog, Bar.ERASED)) == (before, {"cy"})


def test_erasing_again_finds_nothing_to_do(store, users) -> None:
    users.night(store.night, "1")
    forget(store)
    again = forget(store)
    assert again.is_empty and again.commit_id is None
    assert query.newest_commit(store.catalog) == 2


def test_a_preview_says_the_same_and_changes_nothing(store, users) -> None:
    users.night(store.night, "1")
    users.night(store.night, "2")
    before = (on_disk(store), users.of("ann"), query.newest_commit(store.catalog))
    seen = preview(store.catalog, ["ann"])
    assert (on_disk(store), users.of("ann"), query.newest_commit(store.catalog)) == before
    done = forget(store)
    fields = ("files", "prompts", "nights", "models", "batch_turns", "discarded")
    assert [getattr(seen, f) for f in fields] == [getattr(done, f) for f in fields]
    assert isinstance(seen.files[0], ErasedFile)


def lease(store, n: int = 2):
    return acquire(
        store.catalog, Wanted(turns=n), stream="s", holdout=0.0, ttl=dt.timedelta(hours=1),
        now=store.now, seed=0,
    )  # fmt: skip


def trained(store, held, version: str) -> None:
    model = ModelVersion(
        version=version, parent=None, batch_id=held.batch_id, created_at=store.now,
        promoted=True, manifest_sha256="ab",
    )  # fmt: skip
    finish(store.catalog, held, model, store.now)


def flags(store) -> dict[str, int]:
    return {model.version: model.erased_turns for model in registered(store.catalog)}


def test_models_that_were_trained_on_the_user_are_flagged(store, users) -> None:
    users.night(store.night, "1")
    trained(store, lease(store), "v1")
    report = forget(store)
    assert (report.models, report.batch_turns) == ({"v1": 1}, 1)
    assert flags(store) == {"v1": 1}
    assert store.sql("SELECT erased_turns FROM models") == [(1,)]
    assert store.sql("SELECT DISTINCT user_key FROM lineage") == [("bob",)]
    assert len(lineage(store.catalog, "v1")) == 1
    assert forget(store, "bob").models == {"v1": 1}
    assert flags(store) == {"v1": 2}


def test_a_trainer_at_work_registers_its_model_with_the_flag(store, users) -> None:
    users.night(store.night, "1")
    held = lease(store)
    assert forget(store).batch_turns == 1
    with store.catalog.read() as connection:
        assert len(connection.execute(select(batch_items)).all()) == 1
    trained(store, held, "v1")
    assert flags(store) == {"v1": 1}
    assert users.bytes_of("ann") == []


def test_the_manifests_name_the_user_in_the_list_of_the_erased_alone(store, users) -> None:
    users.night(store.night, "1")
    forget(store)
    *_, last = read_all(store.root)
    assert (last.kind, last.erased, last.subject) == ("erase", ["ann"], "users: 1")
    assert len(last.rewritten) == 6 and last.sources[0].suppressed == 2
    texts = [path.read_text() for path in sorted((store.root / "manifests").glob("*.json"))]
    assert ["ann" in text for text in texts] == [False, True]
    assert json.loads(texts[1])["erased"] == ["ann"]


def test_a_file_that_cannot_be_read_stops_it_before_anything_changes(store, users) -> None:
    broken, *_ = users.night(store.night, "1")
    (store.root / broken.path).write_bytes(b"PAR1")
    with pytest.raises(SourceUnavailable, match=f"{broken.path} cannot be read"):
        forget(store)
    assert (query.newest_commit(store.catalog), barred(store.catalog, Bar.ERASED)) == (1, set())


def test_a_file_that_is_missing_holds_nobody(store, users) -> None:
    """Such as a superseded one, of a removal that was killed before the catalog knew."""
    old = users.night(store.night, "1")
    users.night(store.night, "2")
    (store.root / old[0].path).unlink()
    assert forget(store).commit_id == 3
    assert users.bytes_of("ann") == []


def test_what_a_killed_run_staged_goes_and_what_holds_others_stays(store, users) -> None:
    users.night(store.night, "1")
    own = store.stage("turns", "late", [store.turn(7, user_key="ann")])
    others = store.stage("turns", "late", [store.turn(8, user_key="bob")])
    assert forget(store).unpublished == (own.path,)
    assert on_disk(store) == undeleted(store) | {others.path}


def test_a_run_at_work_that_holds_the_user_is_named_aloud(store, users) -> None:
    users.night(store.night, "1")
    own = store.stage("turns", "late", [store.turn(7, user_key="ann")])
    with pytest.raises(ErasureUnfinished, match=f"(?s){own.path}.*erase again") as raised:
        forget(store, at_work=lambda: [own.path])
    assert len(raised.value.removed) == 6
    assert users.bytes_of("ann") == [own.path], "it is the run's, and all else is gone"
    assert forget(store).unpublished == (own.path,)


def test_a_file_that_nobody_finished_is_named_aloud_until_it_is_old(store, users) -> None:
    users.night(store.night, "1")
    begun = store.root / "data" / "turns" / "begun.parquet"
    begun.write_bytes(b"PAR1")
    with pytest.raises(ErasureUnfinished, match="a day old"):
        forget(store)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    assert erase(store.catalog, ["ann"], later).unpublished == ("data/turns/begun.parquet",)


def test_what_a_report_may_quote_is_known_until_the_old_bytes_are_gone(store, users) -> None:
    users.night(store.night, "1")
    assert conversations(store.catalog, ["ann"]) == {"ann-20"}
    forget(store)
    assert conversations(store.catalog, ["ann"]) == set()
