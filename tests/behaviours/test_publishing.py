"""What a publish promises, to those who repeat it, race it and read beside it."""

import datetime as dt
import subprocess
import sys
import textwrap

import pytest
from sqlalchemy import select

from warehouse.errors import CommitConflict, CorruptStaging
from warehouse.ledger import SourceFile
from warehouse.manifest import Manifest, Run, read_all
from warehouse.publish import Seen, begin, fail, publish, run_id
from warehouse.query import generations, live_files
from warehouse.schema import Partition
from warehouse.tables import runs

pytestmark = pytest.mark.databases


def turn_ids(store) -> list[str]:
    return [turn_id for (turn_id,) in store.sql("SELECT turn_id FROM turns ORDER BY turn_id")]


def run_row(store, run: str):
    with store.catalog.read() as connection:
        return connection.execute(select(runs).where(runs.c.run_id == run)).one()


def on_disk(store) -> set[str]:
    return {path.relative_to(store.root).as_posix() for path in store.root.rglob("*.parquet")}


def test_a_run_that_is_published_twice_counts_once(store) -> None:
    won, lost = (store.stage("turns", "a", [store.turn(i)]) for i in (1, 2))
    assert store.publish("1", won) == 1
    assert store.publish("1", lost) is None
    assert turn_ids(store) == ["turn-1"]
    assert on_disk(store) == {won.path}, "nobody will ever name the other file"


def test_a_publish_that_is_repeated_keeps_its_files(store) -> None:
    staged = store.stage("turns", "a", [store.turn(1)])
    assert [store.publish("1", staged) for _ in range(2)] == [1, None]
    assert turn_ids(store) == ["turn-1"]


def test_a_committed_run_does_not_begin_again(store) -> None:
    begun = {"run_id": "1", "stage": "mine", "log_date": store.night, "now": store.now}
    assert begin(store.catalog, **begun)
    assert begin(store.catalog, **begun), "an attempt that died is begun again"
    store.publish("1")
    assert not begin(store.catalog, **begun)


def test_a_failed_run_says_why_and_can_be_repeated(store) -> None:
    begin(store.catalog, run_id="1", stage="mine", log_date=store.night, now=store.now)
    fail(store.catalog, run_id="1", reason="disk full", now=store.now)
    assert run_row(store, "1")[3:] == ("failed", store.now, store.now, None, None, "disk full")
    store.publish("1", counts={"turns": 0})
    assert run_row(store, "1")[3:] == ("committed", store.now, store.now, 1, {"turns": 0}, None)
    fail(store.catalog, run_id="1", reason="too late", now=store.now)
    assert run_row(store, "1").state == "committed"


def test_a_replaced_partition_shows_only_the_new_files(store) -> None:
    store.publish("1", store.stage("turns", "a", [store.turn(1)]))
    store.publish(
        "2", store.stage("turns", "a", [store.turn(2)]), store.stage("turns", "a", [store.turn(3)])
    )
    assert turn_ids(store) == ["turn-2", "turn-3"]


def test_a_partition_that_became_empty_shows_nothing(store) -> None:
    old = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", old, store.stage("turns", "b", [store.turn(2)]))
    store.publish("2", replaces={old.partition})
    assert turn_ids(store) == ["turn-2"]


def test_a_replaced_file_stays_on_the_disk_for_those_who_still_read_it(store) -> None:
    old = store.stage("turns", "a", [store.turn(1)])
    store.publish("1", old)
    before = (store.root / old.path).read_bytes()
    store.publish("2", store.stage("turns", "a", []))
    assert (store.root / old.path).read_bytes() == before


def test_a_file_of_an_undeclared_partition_is_a_defect(store) -> None:
    staged = store.stage("turns", "a", [])
    with pytest.raises(ValueError, match="not replaced"):
        store.publish("1", staged, replaces={Partition("turns", store.night, "b")})
    assert live_files(store.catalog, "turns") == []


def test_a_run_that_never_began_is_a_defect(store) -> None:
    with pytest.raises(ValueError, match="never begun"):
        publish(
            store.catalog, run_id="1", staged=[], replaces=[], counts={}, now=store.now,
            seen=Seen(erasure=0),
        )  # fmt: skip


# The night holds log a, published twice. What a run saw of it -> the log that a conflict names.
EXPECTATIONS = {
    "as it is": ({"a": 2}, None),
    "as it is, with a log that is absent": ({"a": 2, "b": 0}, None),
    "before a log was published again": ({"a": 1}, "a: generation 1 .* 2 now"),
    "before its first log": ({}, "a: generation 0 .* 2 now"),
    "with a log that is not there": ({"a": 2, "b": 1}, "b: generation 1 .* 0 now"),
}


@pytest.mark.parametrize("saw, conflict", EXPECTATIONS.values(), ids=EXPECTATIONS)
def test_a_run_publishes_only_on_the_night_that_it_saw(store, saw, conflict) -> None:
    for run in "12":
        store.publish(run, store.stage("turns", "a", [store.turn(1)]))
    seen = {Partition("turns", store.night, part): n for part, n in saw.items()}
    expects = Seen(erasure=0, nights={("turns", store.night): seen})
    staged = store.stage("signals", "rules@1", [])
    if conflict is None:
        store.publish("3", staged, seen=expects)
        return
    with pytest.raises(CommitConflict, match=f"turns of 2026-11-20, {conflict}"):
        store.publish("3", staged, seen=expects)
    assert live_files(store.catalog, "signals") == []
    assert run_row(store, "3").state == "running"
    assert len(list((store.root / "manifests").iterdir())) == 2


def test_a_run_publishes_only_on_the_table_that_it_saw(store) -> None:
    """Of whatever night: what others hold of a conversation decides what is new of it."""
    store.publish("1", store.stage("turns", "a", []))
    staged = store.stage("turns", "b", [store.turn(1)])
    store.publish("2", store.stage("turns", "c", [], dt.date(2026, 11, 2)))
    with pytest.raises(CommitConflict, match="turns: another run has published some of it"):
        store.publish("3", staged, seen=Seen(erasure=0, tables={"turns": 1}))
    assert store.publish("3", staged, seen=Seen(erasure=0, tables={"turns": 2, "signals": 0})) == 3


def test_an_empty_night_can_be_expected(store) -> None:
    other = store.night.replace(day=1)
    store.publish("1", store.stage("turns", "a", [], other), night=other)
    seen = Seen(erasure=0, nights={("turns", store.night): {}})
    store.publish("2", store.stage("turns", "a", []), seen=seen)
    with pytest.raises(CommitConflict, match="a: generation 0 when the run started, 1 now"):
        store.publish("3", store.stage("turns", "b", []), seen=seen)


DAMAGE = {
    "gone": lambda path: path.unlink(),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(b"PAR1" + path.read_bytes()),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_stops_the_publish(store, damage) -> None:
    good, bad = store.stage("turns", "a", [store.turn(1)]), store.stage("turns", "b", [])
    damage(store.root / bad.path)
    with pytest.raises(CorruptStaging, match="run the stage again"):
        store.publish("1", good, bad)
    assert turn_ids(store) == []


def test_the_manifest_says_all_that_changed(store) -> None:
    staged = store.stage("turns", "a", [store.turn(1)])
    gone = Partition("turns", store.night, "b")
    log = SourceFile(
        name="a", log_date=store.night, size=1, stamp="", sha256="0" * 64,
        lines=1, duplicates=0, suppressed=0,
    )  # fmt: skip
    store.publish(
        "1", staged, replaces={gone, staged.partition}, counts={"lines_in": 1},
        sources=[log],
    )  # fmt: skip
    assert list(read_all(store.root)) == [
        Manifest(
            commit_id=1, kind="publish", subject="1", committed_at=store.now,
            run=Run(
                run_id="1", stage="mine", log_date=store.night, started_at=store.now,
                counts={"lines_in": 1},
            ),
            staged=[staged], replaces=[staged.partition, gone], sources=[log],
            watermark=store.night,
        )
    ]  # fmt: skip


def test_run_ids_tell_different_work_apart() -> None:
    ids = {run_id("mine", "ab", "c"), run_id("mine", "a", "bc"), run_id("ingest", "ab", "c")}
    assert len(ids) == 3
    assert run_id("mine", "ab", "c") == run_id("mine", "ab", "c")
    assert run_id("mine").startswith("mine-")


PUBLISHER = textwrap.dedent(
    """
    import datetime as dt, sys
    from pathlib import Path
    from warehouse import publish as p
    from warehouse.catalog import Catalog
    from warehouse.errors import CommitConflict
    from warehouse.query import generations
    from warehouse.schema import Partition, to_batch
    from warehouse.staging import PartitionWriter

    root, url, name, part, rounds = Path(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
    night, now = dt.date(2026, 11, 20), dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    catalog = Catalog.open(root, url)
    partition = Partition("rejects", night, part)

    def attempt(run, seen):
        writer = PartitionWriter(root, partition)
        writer.write(to_batch("rejects", night, []))
        p.begin(catalog, run_id=run, stage="mine", log_date=night, now=now)
        nights = {} if seen is None else {("rejects", night): seen}
        try:
            return p.publish(catalog, run_id=run, staged=[writer.close()], replaces=[partition],
                             seen=p.Seen(erasure=0, nights=nights), counts={}, now=now)
        except CommitConflict:
            return "conflict"

    print("ready", flush=True)
    how = sys.stdin.readline().strip()
    for i in range(rounds):
        if how == "each round once":
            said = attempt(f"{name}-{i}", {partition: i})
            print("won" if isinstance(said, int) else said, flush=True)
        elif how == "expecting nothing":
            print("won" if isinstance(attempt(f"{name}-{i}", None), int) else "?", flush=True)
        elif how == "the same run":
            print("won" if attempt(f"both-{i}", {partition: i}) == i + 1 else "done", flush=True)
        elif how == "until it is in":
            said = "conflict"
            while said == "conflict":
                seen = generations(catalog, "rejects", night)
                said = attempt(f"{name}-{i}", seen)
            # Every commit is one more generation: it took the place of just what it saw.
            print("won" if said == sum(seen.values()) + 1 else "stale", flush=True)
    """
)


def race(store, how: str, parts: tuple[str, str], rounds: int) -> list[list[str]]:
    """Two processes that publish to `parts`, started together -> what each said, by round."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(store.root), store.url, name, part, str(rounds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name, part in zip("xy", parts, strict=True)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write(f"{how}\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    return said


def test_of_two_publishers_on_one_partition_just_one_wins_every_round(store) -> None:
    rounds = 8
    said = race(store, "each round once", ("same", "same"), rounds)
    assert [sorted(pair) for pair in zip(*said, strict=True)] == [["conflict", "won"]] * rounds
    partition = Partition("rejects", store.night, "same")
    assert generations(store.catalog, "rejects", store.night) == {partition: rounds}
    assert len(live_files(store.catalog, "rejects")) == 1


def test_of_two_attempts_at_one_run_just_one_publishes(store) -> None:
    rounds = 8
    said = race(store, "the same run", ("same", "same"), rounds)
    assert [sorted(pair) for pair in zip(*said, strict=True)] == [["done", "won"]] * rounds
    assert len(on_disk(store)) == rounds, "the other attempt's files are gone"


def test_two_publishers_that_add_to_one_night_never_miss_each_other(store) -> None:
    rounds = 6
    said = race(store, "until it is in", ("one", "two"), rounds)
    assert said == [["won"] * rounds] * 2
    found = generations(store.catalog, "rejects", store.night)
    assert {partition.part: n for partition, n in found.items()} == {"one": rounds, "two": rounds}


def test_two_publishers_that_expect_nothing_both_succeed(store) -> None:
    said = race(store, "expecting nothing", ("one", "two"), 4)
    assert said == [["won"] * 4, ["won"] * 4]
    assert {file.part for file in live_files(store.catalog, "rejects")} == {"one", "two"}
    assert store.sql("SELECT commit_id FROM warehouse_info") == [(8,)]


READER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from warehouse.query import connect

    root = Path(sys.argv[1])
    print("ready", flush=True)
    last = reads = 0
    while last < int(sys.argv[2]):
        with connect(root) as connection:
            (commit,), = connection.execute("SELECT commit_id FROM warehouse_info").fetchall()
            shown = connection.execute(
                "SELECT (SELECT list(DISTINCT content) FROM turns), "
                "(SELECT list(DISTINCT detail) FROM rejects), (SELECT count(*) FROM turns), "
                "(SELECT count(*) FROM signals), (SELECT sum(dsat) FROM dsat_rate_daily), "
                "(SELECT count(answer) FROM follow_ups)"
            ).fetchall()
        assert commit >= last, (commit, last)
        expected = [(None, None, 0, 0, None, 0)]
        if commit:
            expected = [([str(commit)], [str(commit)], 50, commit, commit, commit)]
        assert shown == expected, (commit, shown)
        last, reads = commit, reads + 1
    print(reads)
    """
)


def test_readers_in_other_processes_never_see_half_a_publish(store) -> None:
    from warehouse.records import ReasonCode, Reject

    commits = 12
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(store.root), str(commits)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for reader in readers:
        assert reader.stdout.readline() == "ready\n"
    for commit in range(1, commits + 1):
        reject = Reject(
            reason=ReasonCode.INVALID_JSON, origin_file="a", origin_offset=0, length=1,
            digest="", detail=str(commit),
        )  # fmt: skip
        turns = [store.turn(i, content=str(commit)) for i in range(50)]
        signals = [
            store.signal(4 * i + 2, answer_turn_id=f"turn-{4 * i + 1}") for i in range(commit)
        ]
        store.publish(
            f"run-{commit}",
            store.stage("turns", "a", turns[:25]),
            store.stage("turns", "a", turns[25:]),
            store.stage("rejects", "a", [reject]),
            store.stage("signals", "rules@1", signals),
        )
    for reader in readers:
        reads, errors = reader.communicate(timeout=60)
        assert reader.returncode == 0, errors
        assert int(reads) > 0
