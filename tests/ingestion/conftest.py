import datetime as dt
import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from ingestion.assemble import Assembler, Assembly, Origin
from ingestion.hashes import chain, content_hash, turn_ids
from ingestion.logs.lines import Line
from ingestion.logs.places import LogFile, digest, find
from ingestion.options import IngestionOptions
from ingestion.redact.options import RedactionOptions
from ingestion.scene import Scene
from ingestion.settle import settle
from warehouse.catalog import Catalog
from warehouse.live import LiveFile
from warehouse.query import connect
from warehouse.records import ConversationFacts, ReasonCode, Reject, Role, Turn
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter, verify
from warehouse.tables import files

NIGHT = dt.date(2026, 3, 1)
NOW = dt.datetime(2026, 3, 2, 4, tzinfo=dt.UTC)


@pytest.fixture
def origin() -> Origin:
    return Origin(file="/logs/a.jsonl", source="chat")


@pytest.fixture(scope="session")
def assembler() -> Assembler:
    """Costly to make: once for all tests."""
    return Assembler(Assembly(secret=b"a secret", redaction=RedactionOptions()))


@pytest.fixture
def look() -> Callable[..., list[LogFile]]:
    """The logs of paths, with their digests."""

    def run(*paths: Path | str) -> list[LogFile]:
        return [digest(file) for file in find([str(path) for path in paths])]

    return run


@pytest.fixture
def catalog(tmp_path):
    catalog = Catalog.open(tmp_path / "warehouse")
    yield catalog
    catalog.close()


@pytest.fixture
def chat() -> Callable[..., dict]:
    """A log record of the openai format, of texts that the user and the model say in turn."""

    def chat(conversation_id: object, *texts: str) -> dict:
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
        return {"id": conversation_id, "messages": messages}

    return chat


@pytest.fixture
def write_log(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Write records (dicts, or lines as bytes) to a log; its path is relative, as users give it."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, *records: dict | bytes) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
        data = b"".join(line + b"\n" for line in lines)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path

    return write


@pytest.fixture
def ingest_night(catalog):
    """Ingest logs into one night of the test's warehouse."""
    from ingestion.job import ingest

    def run(
        *logs: Path | str, log_date=NIGHT, dating="run", progress=None, now=NOW, **options: object
    ):
        return ingest(
            catalog,
            logs=find([str(log) for log in logs], log_date=log_date),
            log_date=log_date,
            options=IngestionOptions(**options),
            user_key=b"a secret",
            now=now,
            dating=dating,
            progress=progress,
        )

    return run


@pytest.fixture
def orphans(catalog) -> Callable[[], set[str]]:
    """The data files on the disk that no publish has ever named."""

    def find() -> set[str]:
        found = (catalog.root / "data").rglob("*.parquet")
        with catalog.read() as connection:
            named = set(connection.execute(select(files.c.path)).scalars())
        return {path.relative_to(catalog.root).as_posix() for path in found} - named

    return find


@pytest.fixture
def sql(catalog) -> Callable[[str], list[tuple]]:
    """The rows of a query over the views."""

    def run(query: str) -> list[tuple]:
        with connect(catalog.root) as connection:
            return connection.execute(query).fetchall()

    return run


def night(number: int) -> dt.date:
    return dt.date(2026, 3, number)


@dataclass(frozen=True)
class Record:
    """A record of a log: a message a letter."""

    night: int
    log: str
    texts: str
    id: str = "x"
    source: str = "chat"
    user: str | None = None
    sketch: tuple[int, ...] = ()
    said: dict[int, dict] = field(default_factory=dict)  # turn index -> feedback on it
    opted_out: bool = False

    def rows(self, offset: int) -> tuple[list[Turn], ConversationFacts]:
        same = {
            "conversation_id": self.id, "source": self.source, "user_key": self.user,
            "origin_file": self.log, "origin_offset": offset, "opted_out": self.opted_out,
        }  # fmt: skip
        turns, before, ids = [], b"", turn_ids(self.source, self.id)
        for index, text in enumerate(self.texts):
            role = (Role.USER, Role.ASSISTANT)[index % 2]
            before = chain(before, role, text)
            own = {"turn_id": next(ids), "turn_index": index, "role": role, "content": text}
            feedback = self.said.get(index, {})
            turns.append(Turn(**same, **own, **feedback, chain=int.from_bytes(before)))
        hashes = {"content_hash": content_hash(turns), "chain": turns[-1].chain}
        facts = ConversationFacts(**same, **hashes, messages=len(turns), sketch=self.sketch)
        return turns, facts


class World:
    """A warehouse without a catalog: what a log gives takes the place of what it gave before."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.live: list[LiveFile] = []
        self.noted: list[str] = []
        self.lines: dict[str, list[Line | Reject]] = {}

    def ingest(self, *records: dict, emptied: tuple[tuple[int, str], ...] = (), window: int = 30):
        """Stage, settle and publish; what `settle` gave. `emptied`: logs that lost a night."""
        staged = self.stage(*records)
        held = {(record["night"], record["log"]) for record in records}
        places = {(night(number), log) for number, log in (*held, *emptied)}
        settled = settle(self.scene(staged, places, window))
        away = settled.rewritten | {
            Partition(table, *place) for place in places for table in ("turns", "conversations")
        }
        self.live = [file for file in self.live if file.partition not in away]
        for file in settled.staged:
            verify(self.root, file)
            if file.table in ("turns", "conversations"):
                known = msgspec.structs.asdict(file)
                self.live.append(LiveFile(**known, generation=1, commit_id=1))
        return settled

    def stage(self, *records: dict):
        """Of each night and log: a file of turns, one of conversations, one of rejects."""
        logs: dict[str, list[Record]] = {}
        for record in (Record(**record) for record in records):
            logs.setdefault(record.log, []).append(record)
        staged = []
        for log, held in logs.items():
            self.lines[log] = [Line(10 * i, b"%d" % i) for i in range(len(held))]
            places: dict[dt.date, list[tuple[list[Turn], ConversationFacts]]] = {}
            for i, record in enumerate(held):
                places.setdefault(night(record.night), []).append(record.rows(10 * i))
            for log_date, made in places.items():
                turns = [turn for turns, _ in made for turn in turns]
                staged.append(self.write("turns", log_date, log, turns))
                staged.append(self.write("conversations", log_date, log, [f for _, f in made]))
                staged.append(self.write("rejects", log_date, log, [self.broken(log)]))
        return staged

    def make(self, offset: int, record: dict) -> tuple[list[Turn], ConversationFacts]:
        return Record(**record).rows(offset)

    def broken(self, log: str) -> Reject:
        place = {"origin_file": log, "origin_offset": 9_999, "length": 1, "digest": "00"}
        return Reject(reason=ReasonCode.INVALID_JSON, **place, detail="")

    def write(self, table, log_date, log, contents):
        writer = PartitionWriter(self.root, Partition(table, log_date, log))
        writer.write(to_batch(table, log_date, contents))
        return writer.close()

    def scene(self, staged, places, window: int = 30) -> Scene:
        return Scene(
            store=self.root,
            spill=self.root / "spill",
            staged=staged,
            live=[file for file in self.live if (file.log_date, file.part) not in places],
            replaced=[file for file in self.live if (file.log_date, file.part) in places],
            window=dt.timedelta(days=window),
            memory_mb=200,
            note=self.noted.append,
            lines=self.lines.__getitem__,
        )

    def shown(self) -> list[str]:
        """Live records: night, log, id and texts, those in brackets that are carried."""
        found: dict[tuple, list[tuple[int, bool, str]]] = {}
        for row in self.rows("turns"):
            place = (row["log_date"].day, row["origin_file"], row["conversation_id"])
            turn = (row["turn_index"], row["carried"], row["content"])
            found.setdefault((*place, row["origin_offset"]), []).append(turn)
        records = []
        for (day, log, name, _), turns in sorted(found.items()):
            carried = "".join(text for _, carried, text in sorted(turns) if carried)
            rest = "".join(text for _, carried, text in sorted(turns) if not carried)
            records.append(f"{day}{log} {name} " + (f"({carried})" if carried else "") + rest)
        return records

    def rows(self, table: str) -> list[dict]:
        paths = [self.root / file.path for file in self.live if file.table == table]
        return [row for path in paths for row in pq.read_table(path).to_pylist()]

    def check(self) -> None:
        """Every turn that is live is shown once; each table has the same records."""
        turns = self.rows("turns")
        shown = Counter(row["turn_id"] for row in turns if not row["carried"])
        assert set(shown) == {row["turn_id"] for row in turns}
        assert set(shown.values()) <= {1}
        records = {(row["log_date"], row["origin_file"], row["origin_offset"]) for row in turns}
        facts = self.rows("conversations")
        assert len(facts) == len(records)
        assert sum(row["messages"] for row in facts) == len(turns)


@pytest.fixture(scope="session")
def new_world(tmp_path_factory) -> Callable[[], World]:
    return lambda: World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(new_world) -> World:
    return new_world()
