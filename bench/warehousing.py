"""What the warehouse costs: publishing, reading, leasing, erasing.

    python bench/warehousing.py publish [--repeats 10]
    python bench/warehousing.py queries
    python bench/warehousing.py many [--many 10000]
    python bench/warehousing.py erase
    python bench/warehousing.py acquire [--catalog-url URL]

publish  commit the first files of an empty warehouse, then put others in place of three nights;
         the same with pyiceberg and delta-rs, in turn (extra `bench`), and how many times longer
         they take. "commit" is the transaction with its manifest, flushed to the disk; "flushed"
         is delta-rs with its log's entry flushed as well; "check" opens each staged file; "views"
         makes warehouse.duckdb anew.
queries  through the views, each on a new connection; the draw of a trainer's batch.
many     the views, and a query for one night, of 10,000 small files.
erase    one user, of all files.
acquire  a batch of 5,000 turns, with and without the limits of [training.selection], and how many
         are fresh. A URL must name an empty database.

2,000,000 turns in 30 nights of 4 files, made at the first call and kept in --folder. All figures
are milliseconds: median, least, most; of CPU those of all threads. --json prints one JSON object.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import warehouse_data as data
from table_formats import Delta, Iceberg

from warehouse import publish as publishing
from warehouse import query, views
from warehouse.candidates import candidates
from warehouse.catalog import Catalog
from warehouse.leases import acquire as lease
from warehouse.leases import release
from warehouse.query import live_files
from warehouse.records import ItemKind
from warehouse.selection import UNLIMITED, SelectionOptions, Terms, Wanted
from warehouse.staging import StagedFile
from warehouse.streams import fresh

BATCH = 5_000  # turns
REPLACED = 3  # nights
RATE = """
SELECT log_date, model, count_if(signal = 'dsat') / count(*) AS rate
FROM signals GROUP BY ALL ORDER BY ALL"""
NIGHT = "SELECT role, count(*) FROM turns WHERE log_date = ? GROUP BY ALL"

Taken = dict[str, list[float]]  # what -> milliseconds


@contextmanager
def timed(taken: Taken, what: str) -> Iterator[None]:
    began, cpu = time.perf_counter(), time.process_time()
    yield
    taken.setdefault(what, []).append((time.perf_counter() - began) * 1000)
    taken.setdefault(f"{what}, CPU", []).append((time.process_time() - cpu) * 1000)


def spread(values: Sequence[float]) -> list[float]:
    """Median, least, most."""
    return [round(f(values), 2) for f in (statistics.median, min, max)]


# ---- publish ---------------------------------------------------------------------------------


def publish(args: argparse.Namespace, root: Path, folder: Path) -> dict[str, Any]:
    origin = Catalog.open(root)
    files = live_files(origin, "turns")
    origin.close()
    nights = sorted({file.log_date for file in files})[:REPLACED]
    again = [file for file in files if file.log_date in nights]
    taken: Taken = {}
    for repeat in range(args.repeats):
        place = folder / str(repeat)
        first, second = (data.linked(some, root, place) for some in (files, again))
        engines = [_ours, _iceberg, _delta]
        for engine in engines[:: 1 if repeat % 2 == 0 else -1]:
            engine(place, first, second, taken)
    found: dict[str, Any] = {name: spread(values) for name, values in sorted(taken.items())}
    for kind in ("first", "replace"):
        ours = statistics.median(taken[f"{kind}: commit"])
        for other in ("pyiceberg", "delta-rs", "delta-rs, flushed"):
            found[f"{kind}: {other} / ours"] = round(
                statistics.median(taken[f"{kind}: {other}"]) / ours, 1
            )
    return found | {"files": len(files), "replaced": len(again), "n": args.repeats}


def _ours(
    place: Path, first: Sequence[StagedFile], second: Sequence[StagedFile], taken: Taken
) -> None:
    catalog = Catalog.open(place)
    for kind, staged in (("first", first), ("replace", second)):
        with parts(taken, kind), timed(taken, f"{kind}: all of it"):
            data.put(catalog, kind, staged, data.FIRST)
    catalog.close()


@contextmanager
def parts(taken: Taken, kind: str) -> Iterator[None]:
    """Time what a publish is made of."""
    names = {"_check_staged": "check", "_commit": "commit", "refresh_if_stale": "views"}
    before = {name: getattr(publishing, name) for name in names}

    def watched(work: Callable[..., Any], what: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            with timed(taken, f"{kind}: {what}"):
                return work(*args)

        return call

    for name, what in names.items():
        setattr(publishing, name, watched(before[name], what))
    try:
        yield
    finally:
        for name, work in before.items():
            setattr(publishing, name, work)


def _iceberg(
    place: Path, first: Sequence[StagedFile], second: Sequence[StagedFile], taken: Taken
) -> None:
    table = Iceberg(place, place / "iceberg")
    was, new = table.described(first), table.described(second)
    with timed(taken, "first: pyiceberg"):
        table.swap([], was)
    gone = table.held({file.log_date for file in second})
    with timed(taken, "replace: pyiceberg"):
        table.swap(gone, new)
    table.close()


def _delta(
    place: Path, first: Sequence[StagedFile], second: Sequence[StagedFile], taken: Taken
) -> None:
    table = Delta(place)
    was, new = table.described(first), table.described(second)
    with timed(taken, "first: delta-rs, flushed"):
        with timed(taken, "first: delta-rs"):
            table.create(was)
        table.flush()
    with timed(taken, "replace: delta-rs, flushed"):
        with timed(taken, "replace: delta-rs"):
            table.swap(sorted({file.log_date for file in second}), new)
        table.flush()


# ---- queries ---------------------------------------------------------------------------------


def queries(args: argparse.Namespace, root: Path, folder: Path) -> dict[str, Any]:
    catalog = Catalog.open(root)
    taken: Taken = {}
    for _ in range(args.repeats + 1):
        with timed(taken, "DSAT rate by day and model"), query.connect(root) as views_:
            views_.execute(RATE).fetchall()
        with timed(taken, "one night"), query.connect(root) as views_:
            views_.execute(NIGHT, [data.FIRST]).fetchall()
        with (
            timed(taken, f"next {BATCH} unseen DSAT turns"),
            catalog.read() as connection,
            candidates(connection, catalog) as found,
        ):
            terms = Terms(stream="main", holdout=0.05, seed=0, now=data.NOW)
            drawn = found.draw(ItemKind.DSAT, terms, n=BATCH)
    catalog.close()
    return _warm(taken) | {"drawn": len(drawn), "n": args.repeats}


def _warm(taken: Taken) -> dict[str, Any]:
    """Without the first, which loads what the others find loaded."""
    return {what: spread(values[1:]) for what, values in taken.items()}


# ---- many files ------------------------------------------------------------------------------


def many(args: argparse.Namespace, root: Path, folder: Path) -> dict[str, Any]:
    small = data.made(folder, turns=8 * args.nights, nights=args.nights, files=1)
    origin = Catalog.open(small)
    one_a_night = live_files(origin, "turns")
    origin.close()
    catalog = Catalog.open(folder / "many")
    times = args.many // len(one_a_night)
    data.put(catalog, "many", data.linked(one_a_night * times, small, catalog.root), data.FIRST)
    taken: Taken = {}
    for _ in range(args.repeats + 1):
        with timed(taken, "views"):
            views.refresh_views(catalog)
        with timed(taken, "views that are up to date"):
            views.refresh_if_stale(catalog)
        with timed(taken, "one night"), query.connect(catalog.root) as views_:
            views_.execute(NIGHT, [data.FIRST]).fetchall()
    files = len(live_files(catalog, "turns"))
    catalog.close()
    return _warm(taken) | {"files": files, "n": args.repeats}


# ---- leases and erasure ----------------------------------------------------------------------


def acquire(args: argparse.Namespace, root: Path, folder: Path) -> dict[str, Any]:
    catalog = data.copied(root, folder / "acquire", args.catalog_url, ("dsat_turns",))
    taken: Taken = {}
    words: dict[str, Any] = {"stream": "main", "holdout": 0.05, "now": data.NOW, "seed": 0}
    limits = {"no limits": UNLIMITED, "default limits": SelectionOptions()}
    for _ in range(args.repeats + 1):
        for name, selection in limits.items():
            with timed(taken, f"acquire {BATCH} turns, {name}"):
                batch = lease(
                    catalog,
                    Wanted(turns=BATCH),
                    ttl=dt.timedelta(hours=1),
                    selection=selection,
                    **words,
                )
            assert batch is not None
            release(catalog, batch)
            with timed(taken, f"fresh turns, {name}"):
                waiting = fresh(catalog, selection=selection, **words)
    catalog.close()
    return _warm(taken) | {"turns": len(batch.turns), "fresh": waiting, "n": args.repeats}


def erase(args: argparse.Namespace, root: Path, folder: Path) -> dict[str, Any]:
    try:
        from warehouse.erase import erase as erase_users
    except ImportError:
        return {"skipped": "there is no warehouse.erase here"}
    catalog = data.copied(root, folder / "erase")
    files = sum(len(live_files(catalog, table)) for table in ("turns", "signals", "dsat_turns"))
    taken: Taken = {}
    for user in range(args.repeats):
        with timed(taken, "erase one user"):
            erase_users(catalog, [f"{user:032x}"], data.NOW)
    catalog.close()
    found = {what: spread(values) for what, values in taken.items()}
    return found | {"files": files, "n": args.repeats}


# ---- the command line ------------------------------------------------------------------------

MEASURES = {
    "publish": publish,
    "queries": queries,
    "many": many,
    "erase": erase,
    "acquire": acquire,
}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measure", choices=list(MEASURES))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "warehouse")
    parser.add_argument("--turns", type=int, default=2_000_000)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--files", type=int, default=4, help="of a night's turns")
    parser.add_argument("--many", type=int, default=10_000, help="small files")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--catalog-url", default="", help="of an empty PostgreSQL database")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main() -> None:
    args = parser().parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    root = data.made(args.folder, turns=args.turns, nights=args.nights, files=args.files)
    # Beside what is kept: links do not reach from one disk to another.
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        found = MEASURES[args.measure](args, root, Path(scratch))
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
