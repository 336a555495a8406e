"""The warehouse that `warehousing.py` measures: seeded, made once and kept."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from warehouse.catalog import Catalog
from warehouse.publish import Seen, begin, erasure, publish
from warehouse.query import live_files
from warehouse.schema import TABLES, Partition
from warehouse.staging import PartitionWriter, StagedFile

FIRST = dt.date(2026, 3, 1)
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
BYTES = 476  # of a text, in the mean
POOL = 20_000  # different texts
MODELS = ("large-1", "large-2", "small-1", "small-2")
DETECTOR = "rules@1"
TURNS = 8  # of a conversation; the user's but the first are follow-ups
DSAT = 0.13  # of the follow-ups


def made(folder: Path, *, turns: int, nights: int, files: int) -> Path:
    """The root of a warehouse of so many turns, nights, and files a night; made where it lacks."""
    spec = {"turns": turns, "nights": nights, "files": files, "version": 1}
    root, note = folder / f"{turns}-{nights}-{files}", folder / f"{turns}-{nights}-{files}.json"
    if not note.exists():
        rng = np.random.default_rng(0)
        catalog = Catalog.open(root)
        pool = _texts(rng)
        for night in range(nights):
            date = FIRST + dt.timedelta(night)
            found = list(_night(root, rng, pool, date, turns // nights, files))
            put(catalog, "turns", [file for file in found if file.table == "turns"], date)
            put(catalog, "mined", [file for file in found if file.table != "turns"], date)
        catalog.close()
        note.write_text(json.dumps(spec))
    return root


def put(catalog: Catalog, run: str, staged: Sequence[StagedFile], date: dt.date) -> None:
    """Publish files in place of all that their partitions hold."""
    run_id = f"{run}-{date}"
    begin(catalog, run_id=run_id, stage=run, log_date=date, now=NOW)
    publish(
        catalog,
        run_id=run_id,
        staged=staged,
        replaces={file.partition for file in staged},
        seen=Seen(erasure=erasure(catalog)),
        counts={},
        now=NOW,
    )


def linked(files: Iterable[StagedFile], source: Path, root: Path) -> list[StagedFile]:
    """The same files in another store, under names that were never used: no bytes are copied."""
    found = []
    for file in files:
        known = {name: getattr(file, name) for name in StagedFile.__struct_fields__}
        folder = Path(file.path).parent
        known["path"] = (folder / f"{os.urandom(16).hex()}.parquet").as_posix()
        (root / folder).mkdir(parents=True, exist_ok=True)
        os.link(source / file.path, root / known["path"])
        found.append(StagedFile(**known))
    return found


def copied(source: Path, root: Path, url: str = "", tables: Iterable[str] = TABLES) -> Catalog:
    """A warehouse of the same live files, with a catalog of its own, all published at once."""
    origin = Catalog.open(source)
    files = [file for table in tables for file in live_files(origin, table)]
    origin.close()
    catalog = Catalog.open(root, url)
    put(catalog, "copy", linked(files, source, root), FIRST)
    return catalog


# ---- rows ------------------------------------------------------------------------------------


def _texts(rng: np.random.Generator) -> pa.Array:
    words = np.array(["".join(map(chr, rng.integers(97, 123, n))) for n in range(2, 12)] * 50)
    per_text = np.maximum(rng.poisson(BYTES / 7.5, POOL), 1)
    return pa.array([" ".join(rng.choice(words, n)) for n in per_text])


def _ids(rng: np.random.Generator, n: int) -> pa.Array:
    digits = rng.bytes(16 * n).hex()
    return pa.array([digits[at : at + 32] for at in range(0, 32 * n, 32)])


def _night(
    root: Path, rng: np.random.Generator, pool: pa.Array, date: dt.date, turns: int, files: int
) -> Iterator[StagedFile]:
    rows = [_turns(rng, pool, date, turns // files) for _ in range(files)]
    for batch in rows:
        yield _written(root, "turns", date, "log.jsonl", batch)
    said = _signals(rng, date, pa.Table.from_batches(rows).combine_chunks().to_batches()[0])
    yield _written(root, "signals", date, DETECTOR, said)
    yield _written(root, "dsat_turns", date, DETECTOR, _dsat(rng, pool, said))


def _written(root: Path, table: str, date: dt.date, part: str, batch: pa.RecordBatch) -> StagedFile:
    writer = PartitionWriter(root, Partition(table, date, part))
    writer.write(batch)
    return writer.close()


def _turns(rng: np.random.Generator, pool: pa.Array, date: dt.date, wanted: int) -> pa.RecordBatch:
    conversations = max(wanted // TURNS, 1)
    n = conversations * TURNS
    index = np.tile(np.arange(TURNS, dtype=np.int32), conversations)
    of = np.repeat(np.arange(conversations), TURNS)
    users = pa.array([f"{user:032x}" for user in range(20_000)])
    start = dt.datetime.combine(date, dt.time(), dt.UTC).timestamp()
    return _batch(
        "turns",
        n,
        log_date=pa.repeat(pa.scalar(date), n),
        turn_id=_ids(rng, n),
        conversation_id=_ids(rng, conversations).take(of),
        turn_index=pa.array(index),
        role=pa.array(["user", "assistant"]).take(index % 2),
        content=pool.take(rng.integers(0, POOL, n)),
        model=pa.array([*MODELS, None]).take(
            np.where(index % 2, rng.integers(0, 4, conversations)[of], 4)
        ),
        user_key=users.take(rng.integers(0, len(users), conversations)[of]),
        language=pa.array(["en", "de", "zh"]).take(rng.integers(0, 3, conversations)[of]),
        event_ts=pa.array((start + rng.integers(0, 86_400, n)) * 1_000_000, pa.int64()),
        chain=pa.array(rng.integers(0, 2**63, n, dtype=np.uint64)),
    )


def _signals(rng: np.random.Generator, date: dt.date, turns: pa.RecordBatch) -> pa.RecordBatch:
    follow_ups = np.flatnonzero(
        (np.arange(turns.num_rows) % TURNS > 0) & (np.arange(turns.num_rows) % 2 == 0)
    )
    n = len(follow_ups)
    is_dsat = rng.random(n) < DSAT
    same = ("log_date", "turn_id", "conversation_id", "turn_index", "user_key", "language")
    return _batch(
        "signals",
        n,
        **{name: turns.column(name).take(follow_ups) for name in (*same, "event_ts")},
        answer_turn_id=turns.column("turn_id").take(follow_ups - 1),
        model=turns.column("model").take(follow_ups - 1),
        signal=pa.array(["neutral", "dsat"]).take(is_dsat.astype(int)),
        category=pa.array(["none", "complaint"]).take(is_dsat.astype(int)),
        probability=pa.array(np.where(is_dsat, 0.9, 0.1)),
        detector=pa.repeat("rules", n),
        detector_version=pa.repeat("1", n),
    )


def _dsat(rng: np.random.Generator, pool: pa.Array, signals: pa.RecordBatch) -> pa.RecordBatch:
    found = signals.filter(pa.compute.equal(signals.column("signal"), "dsat"))
    n = found.num_rows
    ends = np.concatenate([[0], np.cumsum(rng.integers(1, 6, n))])
    messages = TABLES["dsat_turns"].field("context").type
    size = int(ends[-1])
    context = _struct(
        messages.value_type,
        role=pa.array(["user", "assistant"]).take(np.arange(size) % 2),
        content=pool.take(rng.integers(0, POOL, size)),
        prompt_hash=pa.nulls(size, pa.string()),
    )
    same = [name for name in found.schema.names if name in TABLES["dsat_turns"].names]
    return _batch(
        "dsat_turns",
        n,
        **{name: found.column(name) for name in same},
        context=pa.ListArray.from_arrays(pa.array(ends, pa.int32()), context, type=messages),
        answer=pool.take(rng.integers(0, POOL, n)),
        feedback=pool.take(rng.integers(0, POOL, n)),
        trainable=pa.array(rng.random(n) < 0.8),
    )


def _struct(kind: pa.StructType, **columns: pa.Array) -> pa.StructArray:
    return pa.StructArray.from_arrays([columns[f.name] for f in kind], fields=list(kind))


def _batch(table: str, n: int, **columns: Any) -> pa.RecordBatch:
    """What is not given is null or, where that may not be, its type's zero."""
    from warehouse.schema import default

    arrays = []
    for field in TABLES[table]:
        if field.name in columns:
            arrays.append(columns[field.name].cast(field.type))
        elif field.nullable:
            arrays.append(pa.nulls(n, field.type))
        else:
            arrays.append(pa.repeat(pa.scalar(default(field), field.type), n))
    return pa.RecordBatch.from_arrays(arrays, schema=TABLES[table])
