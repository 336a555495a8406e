import datetime as dt
import json
from collections import Counter

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import nights
from ingestion.assemble import Assembled, Suppressed, reject
from ingestion.formats.mapping_options import Mapping
from ingestion.formats.raw import RawConversation, RawPair, Refused
from ingestion.handoff import Handoff
from ingestion.logs.contents import Container
from ingestion.logs.lines import Limits, Span
from ingestion.logs.places import LogFile
from ingestion.nights import NightFiles
from ingestion.shards import Shard
from ingestion.stage import Job, stage_shard
from warehouse.records import ConversationFacts, Role, SeedPair, SystemPrompt, Turn

NIGHT = dt.date(2026, 3, 1)
LIMITS = Limits(line_bytes=1000, expansion=100)


class PlainAssembler:
    """Rows without hashes: what staging does with them is what is tested."""

    def assemble(self, raw, line, origin):
        match raw:
            case Refused():
                return reject(raw.reason, line, origin.file, raw.detail)
            case RawPair():
                return _pair(raw, line, origin)
            case RawConversation(user="erased"):
                return Suppressed(_time(raw.turns[-1]))
        return _conversation(raw, line, origin)


def _time(turn):
    return turn.timestamp and dt.datetime.fromisoformat(turn.timestamp)


def _conversation(raw, line, origin):
    place = {
        "source": origin.source, "origin_file": origin.file, "origin_offset": line.offset,
        "conversation_id": str(raw.id), "chain": 1,
    }  # fmt: skip
    turns = [
        Turn(turn_id=f"{raw.id}-{i}", turn_index=i, role=Role(turn.role), content=turn.content,
             event_ts=_time(turn), **place)
        for i, turn in enumerate(raw.turns)
    ]  # fmt: skip
    prompts = [
        SystemPrompt(prompt_hash=turn.content, content=turn.content)
        for turn in turns
        if turn.role is Role.SYSTEM
    ]
    facts = ConversationFacts(
        messages=len(turns), content_hash="", ended_at=_time(raw.turns[-1]), **place
    )
    return Assembled(turns, facts, prompts)


def _pair(raw, line, origin):
    return SeedPair(
        pair_id=str(raw.id), prompt=(), chosen=raw.chosen, rejected=raw.rejected,
        source=origin.source, origin_file=origin.file, origin_offset=line.offset,
    )  # fmt: skip


def chat(name, *, at=None, user=None, system=None, texts=("hi", "hello")):
    """A line of the openai format."""
    said = [("system", system)] if system else []
    said += [(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
    messages = [{"role": role, "content": text, "timestamp": at} for role, text in said]
    record = {"id": name, "messages": messages, "user": user}
    return json.dumps(record).encode()


@pytest.fixture
def stage(tmp_path):
    """Stage lines as one shard; what was done, and the rows by table and night."""

    def stage(*lines, form="openai", dating="run", span=None, assembler=None, note=print):
        path = tmp_path / "a.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        file = LogFile(str(path), path.stat().st_size, "1")
        shard = Shard(file, Container.LINES, span or Span(), form, "chat")
        job = Job(store=tmp_path, log_date=NIGHT, dating=dating, limits=LIMITS, mapping=Mapping())
        done = stage_shard(shard, assembler or PlainAssembler(), note, job=job)
        rows = {}
        for staged in done.staged:
            assert staged.part == str(path)
            table = pq.ParquetFile(tmp_path / staged.path).read().to_pylist()
            assert len(table) == staged.rows > 0
            rows.setdefault((staged.table, staged.log_date), []).extend(table)
        return done, rows

    return stage


def _ids(rows):
    return [row["conversation_id"] for row in rows]


def test_every_record_goes_one_way(stage):
    done, rows = stage(
        chat("c1", system="be kind"), b"{", chat("c2", user="erased"), chat("c3"), b"x" * 2000
    )
    assert (done.lines, done.suppressed) == (5, {NIGHT: 1})
    assert _ids(rows["conversations", NIGHT]) == ["c1", "c3"]
    assert _ids(rows["turns", NIGHT]) == ["c1"] * 3 + ["c3"] * 2
    assert [row["reason"] for row in rows["rejects", NIGHT]] == ["invalid_json", "line_too_long"]
    assert [row["content"] for row in rows["system_prompts", NIGHT]] == ["be kind"]
    assert len(rows) == 4


def test_a_log_that_no_reader_knows_is_rejected_whole(stage):
    done, rows = stage(b'{"a": 1}', b"{", form=None)
    (rejects,) = rows.values()
    assert done.lines == 2
    assert {row["reason"] for row in rejects} == {"unknown_format"}
    assert "by the file's first 50 records" in rejects[0]["detail"]


def test_an_empty_shard_is_done_without_a_file(stage):
    done, rows = stage()
    assert (done.lines, done.staged, rows) == (0, [], {})


DATES = {
    "its own last time": ("2026-02-03T23:59:59+00:00", dt.date(2026, 2, 3)),
    "none": (None, NIGHT),
    "tomorrow, for clocks differ": ("2026-03-02T10:00:00+00:00", dt.date(2026, 3, 2)),
    "the future": ("2026-03-03T00:00:00+00:00", NIGHT),
    "before there were chats": ("1999-12-31T23:00:00+00:00", NIGHT),
    "a clock that was never set": ("1970-01-01T00:00:00+00:00", NIGHT),
}


@pytest.mark.parametrize("at, night", DATES.values(), ids=DATES)
def test_records_are_dated_by_themselves(at, night, stage):
    done, rows = stage(chat("c1", at=at), chat("c2", at=at, user="erased"), b"{", dating="record")
    assert done.suppressed == {night: 1}
    assert {key for key in rows if key[0] != "rejects"} == {
        ("turns", night),
        ("conversations", night),
    }
    assert ("rejects", NIGHT) in rows


def test_records_are_dated_by_the_run(stage):
    _, rows = stage(chat("c1", at="2026-02-03T10:00:00+00:00"), dating="run")
    assert {night for _, night in rows} == {NIGHT}


def test_a_system_prompt_is_written_once_a_night(stage):
    days = ("2026-02-03T10:00:00+00:00", "2026-02-04T10:00:00+00:00")
    lines = [chat(f"c{i}", at=days[i % 2], system="be kind") for i in range(8)]
    _, rows = stage(*lines, dating="record")
    prompts = {
        night: len(found) for (table, night), found in rows.items() if table == "system_prompts"
    }
    assert prompts == {dt.date(2026, 2, 3): 1, dt.date(2026, 2, 4): 1}


def test_what_is_known_of_system_prompts_is_bounded(stage, monkeypatch):
    monkeypatch.setattr("ingestion.stage._PROMPTS", 2)
    prompts = ("a", "b", "a", "c", "c", "a")
    _, rows = stage(*[chat(f"c{i}", system=prompt) for i, prompt in enumerate(prompts)])
    assert [row["content"] for row in rows["system_prompts", NIGHT]] == ["a", "b", "c", "a"]


def test_spans_of_a_file_hold_each_record_once(stage):
    lines = [chat(f"c{i}") for i in range(50)]
    size = sum(map(len, lines)) + len(lines)
    borders = [0, 1, size // 3, size // 3 + 1, size - 1, None]
    found = []
    for start, end in zip(borders, borders[1:], strict=False):
        _, rows = stage(*lines, span=Span(start, end))
        found += _ids(rows.get(("conversations", NIGHT), []))
    assert found == [f"c{i}" for i in range(50)]


def test_many_nights_share_few_open_files(stage, monkeypatch):
    monkeypatch.setattr(nights, "OPEN_NIGHTS", 2)
    monkeypatch.setattr(nights, "LIST_RECORDS", 3)
    opened = []
    days = [f"2026-02-{1 + i % 5:02d}T10:00:00+00:00" for i in range(60)]
    lines = [chat(f"c{i}", at=day) for i, day in enumerate(days)]
    done, rows = stage(*lines, dating="record", note=opened.append)
    assert sorted(opened) == sorted(file.path for file in done.staged)
    assert len(done.staged) > 10, "files were closed to make room"
    for day in range(5):
        night = dt.date(2026, 2, 1 + day)
        assert sorted(_ids(rows["conversations", night])) == sorted(
            f"c{i}" for i in range(day, 60, 5)
        )


BOUNDS = {
    "rows that wait for their row group": ("PENDING_BYTES", 1),
    "one file": ("FILE_BYTES", 1),
}


@pytest.mark.parametrize("name, bound", BOUNDS.values(), ids=BOUNDS)
def test_memory_is_bounded(name, bound, stage, monkeypatch, tmp_path):
    monkeypatch.setattr(nights, "LIST_RECORDS", 2)
    lines = [chat(f"c{i}", at=f"2026-02-{1 + i % 3:02d}T10:00:00+00:00") for i in range(30)]
    _, expected = stage(*lines, dating="record")
    monkeypatch.setattr(nights, name, bound)
    done, rows = stage(*lines, dating="record")
    assert rows == expected
    groups = sum(pq.read_metadata(tmp_path / file.path).num_row_groups for file in done.staged)
    assert groups > 2 * 3, "more than one of each table and night"


def test_records_that_wait_for_their_night_are_bounded(monkeypatch, tmp_path):
    monkeypatch.setattr(nights, "WAITING_BYTES", 5_000)
    noted = []
    files = NightFiles(tmp_path, "a", noted.append)
    for day in range(3):
        files.add(NIGHT + dt.timedelta(days=day), 1_000 + day, conversations=[_facts("c")])
    assert noted == []
    files.add(NIGHT, 1_000, conversations=[_facts("c")])
    assert [f"log_date={NIGHT}" in path for path in noted] == [True], "the largest gives way"
    files.discard()


class Failing(PlainAssembler):
    """Fails at the record "bad"."""

    def assemble(self, raw, line, origin):
        if raw.id == "bad":
            raise OSError("the disk is full")
        return super().assemble(raw, line, origin)


def test_a_shard_that_fails_leaves_no_file(stage, monkeypatch, tmp_path):
    monkeypatch.setattr(nights, "LIST_RECORDS", 1)
    monkeypatch.setattr(nights, "FILE_BYTES", 1)
    noted = []
    with pytest.raises(OSError, match="the disk is full"):
        stage(chat("c1"), chat("c2"), chat("bad"), assembler=Failing(), note=noted.append)
    assert len(noted) > 2, "files were begun"
    assert not list(tmp_path.rglob("*.parquet"))


# A file that cannot be finished is closed by the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_what_the_error_says(stage, monkeypatch, tmp_path):
    def full(writer):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nights.PartitionWriter, "flush", full)
    with pytest.raises(OSError, match="No space left"):
        stage(chat("c1"))
    assert not list(tmp_path.rglob("*.parquet"))


def _facts(name):
    return ConversationFacts(
        conversation_id=name, source="chat", messages=1, content_hash="", chain=1,
        origin_file="a", origin_offset=0,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(days=st.lists(st.integers(0, 9), max_size=60), size=st.sampled_from([0, 10, 3_000_000]))
def test_every_row_is_in_one_file_of_its_night_in_order(days, size, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    files = NightFiles(root, "a", lambda path: None)
    for i, day in enumerate(days):
        files.add(NIGHT + dt.timedelta(days=day), size, conversations=[_facts(f"{i:03d}")])
    found = {}
    for file in files.close():
        rows = _ids(pq.ParquetFile(root / file.path).read().to_pylist())
        assert rows == sorted(rows)
        found.setdefault((file.log_date - NIGHT).days, []).extend(rows)
    assert {day: len(rows) for day, rows in found.items()} == Counter(days)
    assert all(days[int(name)] == day for day, rows in found.items() for name in rows)


def test_a_second_attempt_stages_what_is_missing(tmp_path):
    lines = [chat(f"c{i}") for i in range(40)]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    file = LogFile(str(tmp_path / "a.jsonl"), 1, "1", sha256="aa")
    spans = [Span(0, 1000), Span(1000, 2000), Span(2000, None)]
    shards = [Shard(file, Container.LINES, span, "openai", "chat") for span in spans]
    job = Job(store=tmp_path, log_date=NIGHT, dating="run", limits=LIMITS, mapping=Mapping())
    handoff = Handoff(tmp_path, tmp_path, "ingest-1")
    ids = {shard.id for shard in shards}

    def attempt(assembler):
        with handoff.held():
            done = handoff.resume(ids)
            for shard in shards:
                if shard.id not in done:
                    handoff.finish(stage_shard(shard, assembler, handoff.note, job=job))
        return done

    class FailsLate(PlainAssembler):
        def assemble(self, raw, line, origin):
            if line.offset >= 2000:
                raise OSError("unplugged")
            return super().assemble(raw, line, origin)

    with pytest.raises(OSError, match="unplugged"):
        attempt(FailsLate())
    first = handoff.staged()
    assert attempt(PlainAssembler()) == {shard.id for shard in shards[:2]}
    assert handoff.staged() != first
    assert {f.path for f in first} < {f.path for f in handoff.staged()}
    assert sum(done.lines for done in handoff.complete(ids)) == 40
    found = [
        name
        for staged in handoff.staged()
        if staged.table == "conversations"
        for name in _ids(pq.ParquetFile(tmp_path / staged.path).read().to_pylist())
    ]
    assert sorted(found) == sorted(f"c{i}" for i in range(40))


def test_a_marker_survives_its_json(stage):
    done, _ = stage(chat("c1"), chat("c2", user="erased"))
    assert msgspec.json.decode(msgspec.json.encode(done), type=type(done)) == done
