import datetime as dt
import gzip
import os
from pathlib import Path

import pytest

from ingestion import job, transforms
from ingestion.hashes import user_key
from warehouse import publish
from warehouse.barred import Bar, bar, barred
from warehouse.errors import (
    CommitConflict,
    CorruptStaging,
    QualityLimit,
    SettingsError,
    SourceUnavailable,
)
from warehouse.query import generations, live_files, night_counts
from warehouse.schema import Partition

NIGHT = dt.date(2026, 3, 1)


def staged(catalog) -> list[str]:
    """The folders of runs that are not done."""
    return [path.name for path in (catalog.root / "staging").iterdir() if path.is_dir()]


def _balanced(report) -> bool:
    out = report.conversations + report.rejected + report.duplicates + report.suppressed
    return report.lines_in == out and report.rejected == sum(report.rejected_by_reason.values())


_GOOD = b'{"id": "g", "messages": [{"role": "user", "content": "hi"}]}'
_HUGE = b'{"id": "h", "messages": [{"role": "user", "content": "%s"}]}' % (b"x" * 20_000_000)
_NOISE = b'{"id": "%d", "messages": [{"role": "user", "content": "%s"}]}'
_GZIP = gzip.compress(
    b"".join(_NOISE % (i, os.urandom(2000).hex().encode()) + b"\n" for i in range(200))
)

# What a log holds -> the rejects, and how many lines there are (None: as many as come).
BAD = {
    "an empty log": (b"", {}, 0),
    "blank lines": (b"\n \r\n\n", {}, 0),
    "broken JSON": (_GOOD + b'\n{"id": \n', {"invalid_json": 1}, 2),
    "invalid UTF-8": (_GOOD + b'\n{"messages": "\xff"}\n', {"invalid_utf8": 1}, 2),
    "another shape": (_GOOD + b'\n{"text": "hi"}\n', {"wrong_shape": 1}, 2),
    "no user turns": (_GOOD + b'\n{"messages": []}\n', {"no_user_turn": 1}, 2),
    "deep nesting": (
        _GOOD + b'\n{"messages": [], "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}\n",
        {"invalid_json": 1},
        2,
    ),
    "a line of 20 MB": (_GOOD + b"\n" + _HUGE + b"\n", {"line_too_long": 1}, 2),
    "an unknown format": (b'{"text": "a"}\n\n{"text": "b"}\n', {"unknown_format": 2}, 2),
    "a truncated gzip": (_GZIP[: len(_GZIP) // 2], {"truncated_stream": 1}, None),
    "an id twice": (_GOOD + b"\n" + _GOOD.replace(b"hi", b"ho") + b"\n", {"id_clash": 1}, 2),
    "lone surrogates": (_GOOD.replace(b"hi", rb"\ud800\u0000") + b"\n", {}, 1),
    "carriage returns and a mark": (b"\xef\xbb\xbf" + _GOOD + b"\r\n", {}, 1),
}


@pytest.mark.parametrize("data, rejected, lines", BAD.values(), ids=BAD)
def test_bad_data_is_counted_by_its_reason(
    data, rejected, lines, tmp_path, monkeypatch, ingest_night, sql
):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "bad.jsonl"
    log.write_bytes(data)
    report = ingest_night(log.relative_to(tmp_path), max_reject_share=1.0)
    assert report.rejected_by_reason == rejected
    assert _balanced(report)
    assert report.published
    if lines is None:
        assert 50 < report.conversations == report.lines_in - 1
    else:
        assert report.lines_in == lines
    found = sql("SELECT reason, count(*) FROM rejects GROUP BY ALL")
    assert dict(found) == rejected
    assert sql("SELECT count(DISTINCT conversation_id) FROM turns") == [(report.conversations,)]


def test_a_log_that_no_reader_knows_does_not_hide_the_others(chat, write_log, ingest_night):
    logs = [write_log("a.jsonl", {"text": "hi"}), write_log("b.jsonl", chat("1", "x"))]
    report = ingest_night(*logs, max_reject_share=0.5)
    assert (report.conversations, report.rejected_by_reason) == (1, {"unknown_format": 1})


def test_paths_are_checked_before_anything_is_done(catalog, chat, write_log, ingest_night):
    good = write_log("a.jsonl", chat("1", "x"))
    with pytest.raises(SourceUnavailable, match=r"gone\.jsonl"):
        ingest_night(good, good.with_name("gone.jsonl"))
    assert not live_files(catalog, "turns")


def test_an_unknown_format_is_refused(catalog, chat, write_log, ingest_night):
    with pytest.raises(SettingsError, match="did you mean 'openai'"):
        ingest_night(write_log("a.jsonl", chat("1", "x")), format="openia")
    assert not live_files(catalog, "turns")


def test_the_second_time_nothing_is_new(catalog, chat, write_log, ingest_night):
    log = write_log("a.jsonl", chat("1", "x"))
    first, second = ingest_night(log), ingest_night(log)
    assert (first.published, second.published) == (True, False)
    assert (second.lines_in, second.conversations, second.new_files) == (0, 0, ())
    name = str(log.resolve())
    assert second.files == first.files == first.new_files == (name,)
    assert generations(catalog, "turns", NIGHT) == {Partition("turns", NIGHT, name): 1}


def test_a_late_log_adds_to_its_night(chat, write_log, ingest_night, sql):
    ingest_night(write_log("a.jsonl", chat("1", "x")))
    write_log("b.jsonl", chat("2", "y"))
    report = ingest_night(write_log("a.jsonl", chat("1", "x")).parent / "*.jsonl")
    assert report.new_files == (str(Path("b.jsonl").resolve()),)
    assert sql("SELECT content FROM turns ORDER BY 1") == [("x",), ("y",)]


def test_a_log_that_grew_replaces_itself_and_may_shrink_again(chat, write_log, ingest_night, sql):
    for texts in ("x", "xyz", "x", "xyz"):
        records = [chat(text, text) for text in texts] + [b"{"] * (len(texts) - 1)
        log = write_log("a.jsonl", *records)
        report = ingest_night(log, max_reject_share=1.0, max_lost_share=1.0)
        assert report.published
        assert sql("SELECT count(*) FROM turns") == [(len(texts),)]
        assert sql("SELECT count(*) FROM rejects") == [(len(texts) - 1,)]


def test_one_basename_in_two_folders_is_two_logs(catalog, chat, write_log, ingest_night):
    logs = [write_log(f"{folder}/a.jsonl", chat(folder, "x")) for folder in ("in", "out")]
    assert ingest_night(*logs).conversations == 2
    parts = {file.part for file in live_files(catalog, "turns")}
    assert parts == {str(log.resolve()) for log in logs}


def test_duplicates_are_left_out_and_counted(chat, write_log, ingest_night, sql, orphans):
    a = write_log("a.jsonl", chat("1", "x", "y"), chat("1", "x"), chat("2", "x"))
    b = write_log("b.jsonl.gz", chat("1", "x", "y"), chat("2", "z"), chat("3", "x"))
    report = ingest_night(a, b, max_reject_share=0.5)
    assert (report.lines_in, report.conversations, report.turns) == (6, 3, 4)
    assert (report.duplicates, report.rejected_by_reason) == (2, {"id_clash": 1})
    assert _balanced(report)
    assert sql("SELECT count(*), count(DISTINCT turn_id) FROM turns") == [(4, 4)]
    assert not orphans(), "of what was taken out no copy is left"


def test_what_another_log_of_the_night_has_published_is_a_duplicate(
    chat, write_log, ingest_night, orphans
):
    ingest_night(write_log("a.jsonl", chat("1", "x")))
    report = ingest_night(write_log("b.jsonl", chat("1", "x"), chat("2", "y")))
    assert (report.conversations, report.duplicates) == (1, 1)
    nothing = ingest_night(write_log("c.jsonl", chat("2", "y")))
    assert (nothing.published, nothing.conversations, nothing.duplicates) == (True, 0, 1)
    assert not orphans()


def test_too_many_rejects_publish_nothing(catalog, chat, write_log, ingest_night, orphans):
    log = write_log("a.jsonl", chat("1", "x"), b"{")
    with pytest.raises(QualityLimit, match="1 of 2 lines were rejected"):
        ingest_night(log, max_reject_share=0.4)
    assert not live_files(catalog, "turns")
    assert not orphans()
    assert not staged(catalog)
    assert ingest_night(log, max_reject_share=0.5).published


# Where a run ends, how, and whether what it had staged is of use to the next attempt.
FAILURES = {
    "lines are lost": ("account.take", CorruptStaging("lost"), False),
    "another run was first": ("publish.publish", CommitConflict("late"), True),
    "the process is told to stop": ("account.take", KeyboardInterrupt(), True),
    "the disk is full": ("settle", OSError("no space"), True),
}


@pytest.mark.parametrize("place, error, resumes", FAILURES.values(), ids=FAILURES)
def test_a_failure_publishes_nothing_and_the_next_run_is_whole(
    place, error, resumes, catalog, chat, write_log, ingest_night, monkeypatch, orphans
):
    def fail(*args, **kwargs):
        raise error

    log = write_log("a.jsonl", chat("1", "x"))
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(f"ingestion.job.{place}", fail)
        ingest_night(log)
    assert not live_files(catalog, "turns")
    assert bool(orphans()) == bool(staged(catalog)) == resumes
    assert ingest_night(log).conversations == 1
    assert not orphans()
    assert not staged(catalog)


def test_a_run_that_failed_goes_on_where_it_was(
    chat, write_log, ingest_night, monkeypatch, tmp_path
):
    logs = [write_log(f"{name}.jsonl", chat(name, "x")) for name in "abc"]
    told = tmp_path / "told"  # Beam calls a copy of the function: no list of ours

    def stage_two(shard, *args, **kwargs):
        read = told.read_text().split() if told.exists() else []
        if len(read) == 2:
            raise OSError("no space")
        told.write_text(" ".join([*read, shard.file.name]))
        return stage(shard, *args, **kwargs)

    stage = transforms.stage_shard
    monkeypatch.setattr(transforms, "stage_shard", stage_two)
    with pytest.raises(OSError, match="no space"):
        ingest_night(*logs)
    first = told.read_text().split()
    told.unlink()
    assert ingest_night(*logs).conversations == 3
    assert len(first) == 2
    assert sorted(first + told.read_text().split()) == sorted(str(log.resolve()) for log in logs)


def test_a_failure_after_the_commit_keeps_the_published_files(
    chat, write_log, ingest_night, monkeypatch, sql
):
    def publish_and_fail(*args, **kwargs):
        commit(*args, **kwargs)
        raise OSError("no space for the views")

    commit = publish.publish
    log = write_log("a.jsonl", chat("1", "x"))
    with monkeypatch.context() as patch, pytest.raises(OSError, match="views"):
        patch.setattr("ingestion.job.publish.publish", publish_and_fail)
        ingest_night(log)
    assert sql("SELECT content FROM turns") == [("x",)]
    assert not ingest_night(log).published


def test_a_log_that_changes_while_it_is_read(catalog, chat, write_log, ingest_night, monkeypatch):
    log = write_log("a.jsonl", chat("1", "x"))
    run = job.run_pipeline

    def append(*args, **kwargs):
        run(*args, **kwargs)
        log.write_bytes(log.read_bytes() * 2)

    with monkeypatch.context() as patch, pytest.raises(SourceUnavailable, match="changed while"):
        patch.setattr(job, "run_pipeline", append)
        ingest_night(log)
    assert not live_files(catalog, "turns")
    assert ingest_night(log).duplicates == 1


def test_a_log_that_vanishes_is_named(chat, write_log, ingest_night, monkeypatch, orphans):
    log = write_log("a.jsonl", chat("1", "x"))
    plan = job.shards.plan

    def unlink(*args):
        log.unlink()
        return plan(*args)

    monkeypatch.setattr(job.shards, "plan", unlink)
    with pytest.raises(SourceUnavailable, match=r"a\.jsonl changed while it was read"):
        ingest_night(log)
    assert not orphans()


def test_progress_ends_at_the_number_of_logs(chat, write_log, ingest_night):
    told = []
    logs = [write_log(f"{name}.jsonl", chat(name, "x")) for name in "abc"]
    ingest_night(*logs, progress=lambda *state: told.append(state))
    assert told[-1] == (3, 3, "shards read")


def test_no_user_id_reaches_the_disk(catalog, chat, write_log, ingest_night, sql):
    ingest_night(
        write_log("a.jsonl", chat("1", "x") | {"user": "ann@example.org"}, b"ann@exa{"),
        max_reject_share=1.0,
    )
    rows = sql("SELECT * FROM turns") + sql("SELECT * FROM rejects")
    assert len(rows) == 2
    assert "ann@exa" not in str(rows)
    files = [path for path in catalog.root.rglob("*") if path.is_file()]
    assert not [path for path in files if b"ann@exa" in path.read_bytes()]


@pytest.mark.parametrize(
    "name, conversations, turns",
    [
        ("recllmsim-rated-chats.jsonl.gz", 758, 6957),
        ("hh-rlhf-multiturn.sharegpt.jsonl.gz", 822, 5124),
    ],
)
def test_real_logs_are_read_whole(name, conversations, turns, shared_data, ingest_night):
    report = ingest_night(shared_data / name)
    assert (report.lines_in, report.conversations, report.turns) == (
        conversations,
        conversations,
        turns,
    )
    assert report.rejected == report.duplicates == 0


def test_redaction_is_reported(chat, write_log, ingest_night, sql):
    report = ingest_night(write_log("a.jsonl", chat("1", "I am ann@example.com", "Hello!")))
    assert report.redacted == {"EMAIL": 1}
    assert sql("SELECT content FROM turns WHERE role = 'user'") == [("I am [EMAIL_1]",)]


def test_system_prompts_are_kept_once(write_log, ingest_night, sql):
    said = [
        {"id": i, "messages": [{"role": "system", "content": "Be kind."},
                               {"role": "user", "content": f"{i}"}]}
        for i in range(150)
    ]  # fmt: skip
    ingest_night(write_log("a.jsonl", *said))
    ((prompt_hash, content),) = sql("SELECT prompt_hash, content FROM system_prompts")
    assert content == "Be kind."
    found = sql("SELECT DISTINCT content, prompt_hash FROM turns WHERE role = 'system'")
    assert found == [("", prompt_hash)]


def test_erased_users_never_come_back(catalog, chat, write_log, ingest_night, sql):
    log = write_log("a.jsonl", chat("1", "x") | {"user": "ann"}, chat("2", "y") | {"user": "bob"})
    with catalog.write() as connection:
        bar(connection, Bar.ERASED, [user_key("ann", b"a secret")])
    report = ingest_night(log)
    assert (report.lines_in, report.conversations, report.suppressed) == (2, 1, 1)
    assert sql("SELECT content FROM turns") == [("y",)]
    assert night_counts(catalog, NIGHT).suppressed == 1


def test_users_on_the_list_are_analysed_and_not_trained_on(
    catalog, chat, write_log, ingest_night, sql, tmp_path
):
    users = tmp_path / "opted-out.txt"
    users.write_text("ann\n\n  cy \n")
    log = write_log("a.jsonl", chat("1", "x") | {"user": "ann"}, chat("2", "y") | {"user": "bob"})
    ingest_night(log, opt_out_users=str(users))
    assert sql("SELECT content, opted_out FROM turns ORDER BY 1") == [("x", True), ("y", False)]
    keys = {user_key(user, b"a secret") for user in ("ann", "cy")}
    assert barred(catalog, Bar.OPTED_OUT) == keys


def test_a_list_of_users_that_is_missing_stops_the_run(catalog, chat, write_log, ingest_night):
    with pytest.raises(SettingsError, match=r"none\.txt cannot be read .FileNotFoundError"):
        ingest_night(write_log("a.jsonl", chat("1", "x")), opt_out_users="none.txt")
    assert not live_files(catalog, "turns")


def test_pairs_are_counted_beside_conversations(write_log, ingest_night, sql):
    pair = {
        "prompt": "hi", "prompt_id": "p1", "score_chosen": 8.0, "score_rejected": 2.0,
        "chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"}],
        "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "What?"}],
    }  # fmt: skip
    report = ingest_night(write_log("a.jsonl", pair))
    assert (report.lines_in, report.seed_pairs, report.conversations) == (1, 1, 0)
    assert sql("SELECT chosen, rejected FROM seed_pairs") == [("Hello!", "What?")]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_large_log_is_read_in_parts(workers, chat, write_log, ingest_night, sql):
    """1 MiB a shard is the least."""
    log = write_log("a.jsonl", *(chat(i, f"{i}" + "x" * 4000) for i in range(600)))
    told = []
    report = ingest_night(
        log, shard_mb=1, workers=workers, progress=lambda *state: told.append(state)
    )
    assert report.conversations == 600
    assert told[-1][1] > 1
    assert sql("SELECT count(DISTINCT conversation_id) FROM turns") == [(600,)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_in_a_worker_is_raised_here_and_no_text_is_logged(
    workers, catalog, chat, write_log, ingest_night, capfd, caplog
):
    logs = [write_log(f"{name}.jsonl", chat(name, "ann said so")) for name in "ab"]
    (catalog.root / "data").mkdir()
    (catalog.root / "data" / "turns").write_text("in the way")
    with pytest.raises(OSError, match=r"data/turns"):
        ingest_night(*logs, workers=workers)
    assert "ann said so" not in str(capfd.readouterr()) + caplog.text
    (catalog.root / "data" / "turns").unlink()
    assert ingest_night(*logs, workers=workers).conversations == 2
