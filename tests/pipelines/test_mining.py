import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.job import ingest
from ingestion.logs.places import find
from ingestion.options import IngestionOptions
from mining import job
from mining.detector import load_detector
from mining.job import MineReport, mine
from mining.options import MiningOptions
from warehouse.catalog import Catalog
from warehouse.errors import CommitConflict, DetectorUnusable, DriftmineError
from warehouse.query import connect, generations, live_files, stale_dates
from warehouse.schema import TABLES

NIGHT = dt.date(2026, 3, 1)
NOW = dt.datetime(2026, 3, 2, 4, tzinfo=dt.UTC)
CHATS = {
    "wrong": ("capital of Australia?", "Sydney.", "No, that's wrong, it's Canberra"),
    "sure": ("when did it end?", "In 1947.", "are you sure?", "Yes.", "perfect, thanks!"),
    "refused": ("open my shed", "I'm sorry, but I can't help with that.", "it's my own shed!"),
    "silent": ("hi", "hello"),
}


@pytest.fixture
def catalog(tmp_path: Path):
    catalog = Catalog.open(tmp_path / "warehouse")
    yield catalog
    catalog.close()


@pytest.fixture
def ingested(catalog: Catalog, tmp_path: Path) -> Callable[..., None]:
    """Ingest chats, {id: texts}, as one log of the night."""

    def run(chats: dict[str, tuple[str, ...]], log: str = "a.jsonl") -> None:
        roles = ("user", "assistant")
        lines = [
            {"id": name, "messages": [
                {"role": roles[i % 2], "content": text} for i, text in enumerate(texts)
            ]}
            for name, texts in chats.items()
        ]  # fmt: skip
        path = tmp_path / log
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        ingest(
            catalog, logs=find([str(path)]), log_date=NIGHT,
            options=IngestionOptions(max_lost_share=1.0), user_key=b"key", now=NOW,
        )  # fmt: skip

    return run


def run(catalog: Catalog, **options: object) -> MineReport:
    return mine(catalog, log_date=NIGHT, options=MiningOptions(**options), now=NOW)


def test_a_night(catalog: Catalog, ingested: Callable) -> None:
    ingested(CHATS)
    told = []
    report = mine(
        catalog, log_date=NIGHT, options=MiningOptions(), now=NOW,
        progress=lambda done, total, what: told.append((done, total)),
    )  # fmt: skip
    assert report.published
    assert (report.conversations, report.follow_ups) == (3, 4)
    assert report.signals == {"dsat": 3, "sat": 1}
    assert report.dsat == sum(report.dsat_by_category.values()) == 3
    assert report.dsat_by_model["unknown"].follow_ups == 4
    assert report.untrainable_by_reason == {"refusal_pushback": 1}
    assert report.trainable == 2
    assert told[-1] == (1, 1)
    assert sum(file.rows for file in live_files(catalog, "signals")) == 4
    assert sum(file.rows for file in live_files(catalog, "dsat_turns")) == 3
    assert not list((catalog.root / "staging").iterdir())


def test_the_same_turns_are_mined_once(catalog: Catalog, ingested: Callable) -> None:
    ingested(CHATS)
    first, again = run(catalog), run(catalog)
    assert (first.published, again.published) == (True, False)
    changed = {"published": False}
    assert {**{f: getattr(first, f) for f in first.__struct_fields__}, **changed} == {
        f: getattr(again, f) for f in again.__struct_fields__
    }
    assert [file.generation for file in live_files(catalog, "signals")] == [1]


def test_a_late_log_is_mined_with_its_night(catalog: Catalog, ingested: Callable) -> None:
    ingested(CHATS)
    first = run(catalog)
    ingested({"late": ("q", "r", "???")}, "b.jsonl")
    second = run(catalog)
    assert second.published
    assert second.follow_ups == first.follow_ups + 1
    assert {file.generation for file in live_files(catalog, "signals")} == {2}


def test_another_threshold_is_another_run(catalog: Catalog, ingested: Callable) -> None:
    ingested(CHATS)
    run(catalog)
    strict = run(catalog, threshold=1.0)
    assert strict.published
    assert strict.dsat == 0
    assert live_files(catalog, "dsat_turns") == []
    assert [p.table for p in generations(catalog, "dsat_turns", NIGHT)] == ["dsat_turns"]


def test_going_back_to_former_thresholds_mines_again(catalog: Catalog, ingested: Callable) -> None:
    ingested(CHATS)
    first = run(catalog)
    assert run(catalog, threshold=1.0).dsat == 0
    again = run(catalog)
    assert again.published
    assert again.dsat == first.dsat > 0
    assert sum(file.rows for file in live_files(catalog, "dsat_turns")) == first.dsat
    assert not run(catalog).published


def test_a_night_without_follow_ups(catalog: Catalog, ingested: Callable) -> None:
    ingested({"silent": CHATS["silent"]})
    report = run(catalog)
    assert (report.published, report.follow_ups, report.dsat) == (True, 0, 0)


SAME = dict.fromkeys(("one", "two", "three"), CHATS["wrong"])
OTHER = {"other": CHATS["sure"]}


def test_one_of_many_near_duplicates_is_trained_on(catalog: Catalog, ingested: Callable) -> None:
    ingested(SAME | OTHER)
    report = run(catalog)
    assert (report.dsat, report.trainable) == (4, 2)
    assert report.untrainable_by_reason == {"near_duplicate": 2}
    live = {file.path for table in TABLES for file in live_files(catalog, table)}
    found = (catalog.root / "data").rglob("*.parquet")
    assert {path.relative_to(catalog.root).as_posix() for path in found} == live, "no orphans"
    assert run(catalog, max_per_prompt=3).trainable == 4
    again = run(catalog)
    assert (again.published, again.trainable) == (True, 2)
    assert not run(catalog).published


def test_the_same_are_trained_on_whatever_the_number_of_files(
    catalog: Catalog, ingested: Callable
) -> None:
    for name, log in zip(SAME, ("a.jsonl", "b.jsonl", "c.jsonl"), strict=True):
        ingested({name: SAME[name]}, log)
    kept = []
    for workers in (1, 2):
        assert run(catalog, workers=workers, threshold=0.1 * workers).trainable == 1
        with connect(catalog.root) as connection:
            kept += connection.execute("SELECT turn_id FROM dsat_turns WHERE trainable").fetchall()
    assert kept[0] == kept[1]


# Which log another run publishes while the night is mined.
MEANWHILE = {"a log is replaced": "a.jsonl", "a log joins": "b.jsonl"}


@pytest.mark.parametrize("log", MEANWHILE.values(), ids=MEANWHILE)
def test_turns_that_change_meanwhile_are_a_conflict(
    catalog: Catalog, ingested: Callable, log: str
) -> None:
    ingested(CHATS)
    changes = iter([{"late": ("q", "r", "???")}])

    def meanwhile(done: int, total: int, what: str) -> None:
        for chats in changes:
            ingested(chats, log)

    with pytest.raises(CommitConflict, match="run again"):
        mine(catalog, log_date=NIGHT, options=MiningOptions(), now=NOW, progress=meanwhile)
    assert live_files(catalog, "signals") == []
    assert not list((catalog.root / "data" / "signals").rglob("*.parquet")), "no orphans"
    assert stale_dates(catalog) == [NIGHT]
    assert run(catalog).published
    assert stale_dates(catalog) == []


def test_of_two_minings_at_once_one_publishes(catalog: Catalog, ingested: Callable) -> None:
    ingested(CHATS)
    others: list[MineReport] = []

    def meanwhile(done: int, total: int, what: str) -> None:
        if not others:
            others.append(run(catalog))

    late = mine(catalog, log_date=NIGHT, options=MiningOptions(), now=NOW, progress=meanwhile)
    assert (others[0].published, late.published) == (True, False)
    assert (late.run_id, late.dsat) == (others[0].run_id, others[0].dsat)
    live = {file.path for table in TABLES for file in live_files(catalog, table)}
    found = (catalog.root / "data").rglob("*.parquet")
    assert {path.relative_to(catalog.root).as_posix() for path in found} == live, "no orphans"
    assert not list((catalog.root / "staging").iterdir())


def test_two_processes_find_the_same(catalog: Catalog, ingested: Callable) -> None:
    ingested(CHATS)
    ingested({"late": ("q", "r", "???")}, "b.jsonl")
    report = run(catalog, workers=2)
    assert (report.published, report.follow_ups) == (True, 5)
    assert sum(file.rows for file in live_files(catalog, "signals")) == 5


def _failing(marks: Path) -> Callable:
    """Loads a detector that fails at one log, quoting it, until it is mended."""

    def load(options, account):  # nested, so that it crosses processes without this module

        class Failing:
            def __init__(self, detector):
                self._detector = detector

            def __getattr__(self, name):
                return getattr(self._detector, name)

            def detect(self, follow_ups):
                said = [follow_up.follow_up for follow_up in follow_ups]
                if "???" in said and not (marks / "mended").exists():
                    raise ValueError(f"cannot read {said}")
                return self._detector.detect(follow_ups)

        return Failing(load_detector(options))

    return load


def _unloadable(marks: Path) -> Callable:
    def load(options, account):
        from warehouse.errors import DetectorUnusable

        if not (marks / "mended").exists():
            raise DetectorUnusable(f"{marks}: the detector is gone")
        return load_detector(options)

    return load


FAILURES = {
    "at a record": (_failing, DriftmineError, "ValueError at .*, line"),
    "while it is loaded": (_unloadable, DetectorUnusable, "the detector is gone"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("load, kind, says", FAILURES.values(), ids=FAILURES)
def test_what_a_worker_fails_of_is_raised_by_the_driver(
    catalog, ingested, tmp_path, monkeypatch, capfd, caplog, load, kind, says, workers
) -> None:
    ingested(CHATS)
    ingested({"late": ("q", "r", "???")}, "b.jsonl")
    monkeypatch.setattr(job, "load_detector", load(tmp_path))
    with pytest.raises(kind, match=says) as raised:
        run(catalog, workers=workers)
    told = "".join([*capfd.readouterr(), caplog.text, str(raised.value)])
    assert "???" not in told
    assert "Canberra" not in told
    assert live_files(catalog, "signals") == []
    assert not list((catalog.root / "data" / "signals").rglob("*.parquet")), "no orphans"
    assert not list((catalog.root / "staging").iterdir())
    (tmp_path / "mended").touch()
    assert run(catalog, workers=workers).follow_ups == 5
