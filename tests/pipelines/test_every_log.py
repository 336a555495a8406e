"""`driftmine ingest` on every format and every way to write it: the same turns come out."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from ingestion.formats.detect import READERS
from ingestion.formats.ultrafeedback import READER as ULTRAFEEDBACK
from ingestion.formats.wildfeedback import READER as WILDFEEDBACK

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
# Format -> the first example of it.
EXAMPLES = dict(re.findall(r"^### (\w+)\n.*?^```json\n(.*?)\n```", TEXT, re.M | re.S))
PAIRS = {ULTRAFEEDBACK.name, WILDFEEDBACK.name}


def lines(records: list[dict]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def parquet(records: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return sink.getvalue().to_pybytes()


WRITTEN = {
    "log.jsonl": lines,
    "log.jsonl.gz": lambda records: gzip.compress(lines(records)),
    "log.jsonl.zst": lambda records: zstandard.compress(lines(records)),
    "log.json": lambda records: json.dumps(records, indent=1).encode(),
    "log.parquet": parquet,
}


def records_of(name: str) -> list[dict]:
    """One conversation: a line, or all lines where a format has one for each message."""
    records = [json.loads(line) for line in EXAMPLES[name].splitlines()]
    return records if READERS[name].joins else records[:1]


@pytest.mark.parametrize("written", WRITTEN)
def test_every_format_gives_the_same_turns(
    written: str, driftmine: Callable, tmp_path: Path
) -> None:
    for name in READERS:
        folder = tmp_path / name
        folder.mkdir()
        (folder / written).write_bytes(WRITTEN[written](records_of(name)))
    home = tmp_path / "home"
    logs = [tmp_path / name / written for name in READERS]
    done = driftmine("ingest", *logs, "--home", home, "--log-date", "2026-03-01", "--json")
    assert done.exit_code == 0, done.stderr
    assert (done.json()["rejected"], done.json()["seed_pairs"]) == (0, len(PAIRS))
    query = """
        SELECT source, list(role ORDER BY turn_index), list(content ORDER BY turn_index)
        FROM turns WHERE role IN ('user', 'assistant') GROUP BY conversation_id, source"""
    found = driftmine("sql", query, "--home", home, "--format", "json").json()["rows"]
    by_source = {row["source"]: list(row.values())[1:] for row in found}
    assert set(by_source) == set(READERS) - PAIRS
    for name, (roles, texts) in by_source.items():
        assert roles[:2] == ["user", "assistant"], name
        assert texts[:2] == ["How tall is K2?", "8,611 m."], name


def test_a_shape_of_ones_own(
    driftmine: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First without a mapping, then with it: what was rejected is read again."""
    log, home = tmp_path / "own.jsonl", tmp_path / "home"
    chat = [{"who": "customer", "says": "How tall is K2?"}, {"who": "bot", "says": "8,611 m."}]
    log.write_bytes(lines([{"ticket": 7, "chat": chat}]))
    monkeypatch.setenv("DRIFTMINE_INGESTION__MAX_REJECT_SHARE", "1")
    first = driftmine("ingest", log, "--home", home, "--json").json()
    assert first["rejected_by_reason"] == {"unknown_format": 1}
    again = driftmine("ingest", "--retry-rejects", "--home", home, "--json").json()
    assert (again["conversations"], again["dates"][0]["published"]) == (0, False)
    settings = home / "driftmine.toml"
    settings.write_text(
        settings.read_text() + '\n[ingestion.mapping]\nid = "ticket"\nmessages = "chat"\n'
        'role = "who"\ncontent = "says"\nroles = { customer = "user", bot = "assistant" }\n'
    )
    mended = driftmine("ingest", "--retry-rejects", "--home", home, "--json").json()
    assert (mended["conversations"], mended["rejected"]) == (1, 0)
    query = "SELECT content FROM turns ORDER BY turn_index"
    found = driftmine("sql", query, "--home", home, "--json").json()["rows"]
    assert [row["content"] for row in found] == ["How tall is K2?", "8,611 m."]


def test_logs_and_a_retry_exclude_each_other(driftmine: Callable, tmp_path: Path) -> None:
    for words in (("ingest",), ("ingest", "x.jsonl", "--retry-rejects")):
        done = driftmine(*words, "--home", tmp_path)
        assert (done.exit_code, "--retry-rejects" in done.stderr) == (2, True)
