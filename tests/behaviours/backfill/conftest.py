"""Three nights that were ingested and mined, and short words for what tests do to them."""

import dataclasses
import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from driftmine.backfill import Asked, backfill
from driftmine.console import Console
from driftmine.home import Home, create
from driftmine.session import Session
from ingestion import job
from ingestion.logs.places import find
from ingestion.options import IngestionOptions
from mining.job import mine
from mining.options import MiningOptions
from tests.databases import Postgres, Sqlite
from warehouse.catalog import Catalog
from warehouse.query import connect, generations
from warehouse.schema import TABLES

NIGHTS = [dt.date(2026, 3, day) for day in (1, 2, 3)]
NOW = dt.datetime(2026, 3, 10, 4, tzinfo=dt.UTC)


class World:
    """A home with a log a night, and short words for what tests do to it."""

    def __init__(self, folder: Path, capsys: Any) -> None:
        self.folder = folder
        self.capsys = capsys
        self.session = self.call()
        create(self.session.home, self.session.settings.warehouse)
        warehouse = self.session.settings.warehouse
        self.catalog = Catalog.open(self.session.home.warehouse, warehouse.catalog_url)

    def call(self, **ingestion: Any) -> Session:
        """A new call of the program, with other settings where they are given."""
        session = Session(Home(self.folder / "home"), Console(as_json=True, quiet=True), NOW)
        changed = dataclasses.replace(session.settings.ingestion, **ingestion)
        session.__dict__["settings"] = session.settings.model_copy(update={"ingestion": changed})
        return session

    def log(self, name: str, *ids: str, said: str = "No, that's wrong.") -> Path:
        """A log of conversations in which users complain."""
        texts = ("capital of Australia?", "Sydney.", said)
        roles = ("user", "assistant", "user")
        lines = [
            {"id": i, "user": f"user-{i}", "messages": [
                {"role": role, "content": f"{text} {i}"}
                for role, text in zip(roles, texts, strict=True)
            ]}
            for i in ids
        ]  # fmt: skip
        path = self.folder / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def ingest(self, night: dt.date, *logs: Path, **options: Any) -> None:
        job.ingest(
            self.catalog, logs=find([str(log) for log in logs]), log_date=night,
            options=IngestionOptions(**options), user_key=self.session.home.user_key(), now=NOW,
        )  # fmt: skip

    def fill(self) -> None:
        """Three nights with a log each, ingested and mined."""
        for night in NIGHTS:
            self.ingest(night, self.log(f"{night.day}.jsonl", f"{night.day}a", f"{night.day}b"))
            self.mine(night)

    def mine(self, night: dt.date) -> None:
        mine(self.catalog, log_date=night, options=MiningOptions(), now=NOW)

    def again(
        self, stage: str, first: int, end: int, work: Callable = backfill, **ingestion: Any
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Backfill days of March: exit code, state by date, all of the report."""
        asked = Asked(
            stage=stage, first=dt.date(2026, 3, first), end=dt.date(2026, 3, end)
        )  # fmt: skip
        self.capsys.readouterr()
        code = work(self.call(**ingestion), asked)
        report = json.loads(self.capsys.readouterr().out)
        return code, {date["log_date"][-2:]: date["state"] for date in report["dates"]}, report

    def generations(self) -> dict[str, int]:
        return {
            f"{partition.table} {night.day} {Path(partition.part).name}": generation
            for table in TABLES
            for night in NIGHTS
            for partition, generation in generations(self.catalog, table, night).items()
        }

    def moved(self, before: dict[str, int]) -> set[str]:
        """The partitions that were replaced since."""
        return {name for name, n in self.generations().items() if n != before.get(name)}

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.catalog.root) as connection:
            return connection.execute(query).fetchall()

    def shown(self) -> list[str]:
        """Conversations, by night."""
        found = self.sql("SELECT DISTINCT log_date, conversation_id FROM turns ORDER BY ALL")
        return [f"{night.day} {name}" for night, name in found]


@pytest.fixture(scope="session")
def three_nights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A folder that a test may change, and the next finds as it was: nights take seconds to make.

    Always the same one, because a warehouse knows its logs by their whole names.
    """
    folder = tmp_path_factory.mktemp("three-nights")
    live, kept = folder / "live", folder / "kept"

    def again() -> Path:
        if kept.exists():
            shutil.rmtree(live)
            shutil.copytree(kept, live)
            return live
        live.mkdir()
        world = World(live, None)
        world.fill()
        world.catalog.close()
        shutil.copytree(live, kept)
        return live

    return again


@pytest.fixture
def world(
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    databases: Sqlite | Postgres,
    three_nights: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Three nights that were ingested and mined."""
    monkeypatch.setenv("DRIFTMINE_WAREHOUSE__CATALOG_URL", databases.new())
    if isinstance(databases, Sqlite):
        world = World(three_nights(), capsys)
    else:
        world = World(tmp_path, capsys)
        world.fill()
    yield world
    world.catalog.close()
