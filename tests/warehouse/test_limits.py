"""The draw under caps, against one that looks at each candidate in turn."""

import datetime as dt
import random
from collections import Counter
from hashlib import md5
from itertools import groupby
from string import ascii_lowercase

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import limits

FIRST = dt.date(2026, 11, 1)
COLUMNS = ("user_key", "model", "cluster")
ORDER = "log_date DESC, md5($seed || ':' || turn_id), turn_id"

Row = dict  # of turn_id, log_date and a value, or None, in each of the columns

values = st.sampled_from([None, "a", "b", "c"])
rows = st.lists(
    st.fixed_dictionaries({"night": st.integers(0, 2)} | dict.fromkeys(COLUMNS, values)),
    max_size=24,
).map(
    lambda found: [
        {"turn_id": f"t{i}", "log_date": FIRST + dt.timedelta(row.pop("night")), **row}
        for i, row in enumerate(map(dict, found))
    ]
)
caps = st.dictionaries(st.sampled_from(COLUMNS), st.integers(1, 3))
numbers = st.integers(1, 12) | st.just(2**62)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


def draw(connection, found, caps, *, n=2**62, seed=0, stratum="") -> list[str]:
    kinds = pa.schema([("turn_id", "string"), ("log_date", pa.date32())])
    for column in COLUMNS:
        kinds = kinds.append(pa.field(column, pa.string()))
    connection.register("given", pa.Table.from_pylist(found, schema=kinds))
    drawn = limits.draw(
        connection, "FROM given", {"seed": str(seed)}, n=n, order=ORDER, caps=caps, stratum=stratum
    )
    assert all(night == row["log_date"] for row in found for night in [drawn.get(row["turn_id"])]
               if night)  # fmt: skip
    return list(drawn)


def in_line(found: list[Row], seed: int) -> list[Row]:
    def place(row: Row):
        return (-row["log_date"].toordinal(), md5(f"{seed}:{row['turn_id']}".encode()).hexdigest())

    return sorted(found, key=place)


def by_turns(line: list[Row], stratum: str) -> list[Row]:
    """The first of each stratum, in their order in line, then the second of each, ..."""
    turn: Counter = Counter()
    placed = []
    for at, row in enumerate(line):
        placed.append((turn[row[stratum]], at, row))
        turn[row[stratum]] += 1
    return [row for *_, row in sorted(placed, key=lambda entry: entry[:2])]


def breaks(row: Row, taken: list[Row], caps: dict[str, int]) -> bool:
    return any(
        row[column] is not None and sum(row[column] == t[column] for t in taken) >= most
        for column, most in caps.items()
    )


def one_by_one(line: list[Row], caps: dict[str, int]) -> list[Row]:
    taken: list[Row] = []
    for row in line:
        if not breaks(row, taken, caps):
            taken.append(row)
    return taken


@settings(deadline=None, max_examples=60)
@given(rows, caps, numbers, st.integers(0, 3))
def test_it_takes_what_one_look_at_each_in_turn_would(connection, found, caps, n, seed) -> None:
    expected = one_by_one(in_line(found, seed), caps)[:n]
    assert draw(connection, found, caps, n=n, seed=seed) == [row["turn_id"] for row in expected]


@settings(deadline=None, max_examples=60)
@given(rows, caps, numbers, st.integers(0, 3), st.sampled_from(["", "model"]))
def test_no_cap_is_exceeded_and_none_that_fits_is_left(
    connection, found, caps, n, seed, stratum
) -> None:
    drawn = set(draw(connection, found, caps, n=n, seed=seed, stratum=stratum))
    taken = [row for row in found if row["turn_id"] in drawn]
    for column, most in caps.items():
        assert max(Counter(row[column] for row in taken if row[column]).values(), default=0) <= most
    left = [row for row in found if row["turn_id"] not in drawn]
    assert len(taken) <= n
    assert len(taken) == n or all(breaks(row, taken, caps) for row in left)


@pytest.mark.parametrize("seed", range(6))
def test_it_does_so_in_a_crowd(connection, seed) -> None:
    """With conflicts that several rounds have to settle."""
    rng = random.Random(seed)
    found = [
        {"turn_id": f"t{i}", "log_date": FIRST + dt.timedelta(rng.randrange(3))}
        | {column: rng.choice((None, *ascii_lowercase)) for column in COLUMNS}
        for i in range(250)
    ]
    most = dict(zip(COLUMNS, rng.choices((1, 2, 3, 4), k=3), strict=True))
    expected = [row["turn_id"] for row in one_by_one(in_line(found, seed), most)]
    assert draw(connection, found, most, seed=seed) == expected


@settings(deadline=None, max_examples=60)
@given(rows, caps, numbers, st.integers(0, 3))
def test_strata_take_turns_among_what_the_caps_let_through(
    connection, found, caps, n, seed
) -> None:
    let = one_by_one(by_turns(in_line(found, seed), "model"), caps)
    drawn = draw(connection, found, caps, n=n, seed=seed, stratum="model")
    assert drawn == [row["turn_id"] for row in by_turns(let, "model")][:n]
    model = {row["turn_id"]: row["model"] for row in found}
    shares, whole = Counter(model[turn] for turn in drawn), Counter(row["model"] for row in let)
    for stratum, most in whole.items():
        # Whoever has less than the largest share, less one, has all that it could have.
        assert shares[stratum] >= min(most, max(shares.values(), default=0) - 1)


def test_the_number_of_threads_and_the_order_of_rows_change_nothing(connection) -> None:
    found = [
        {"turn_id": f"t{i}", "log_date": FIRST, "user_key": f"u{i % 97}", "model": "ab"[i % 2],
         "cluster": f"c{i % 89}" if i % 3 else None}
        for i in range(3000)
    ]  # fmt: skip
    caps, draws = {"user_key": 3, "cluster": 2, "model": 120}, []
    for threads, given_ in ((1, found), (2, found), (4, found[::-1])):
        connection.execute(f"SET threads = {threads}")
        draws.append(draw(connection, given_, caps, n=200, stratum="model"))
    assert draws[0] == draws[1] == draws[2] and len(draws[0]) == 200


def test_a_chain_of_conflicts_is_followed_to_its_end(connection) -> None:
    """Of each two neighbours one cap lets one through: decided one after the other."""
    found = [
        {"turn_id": f"t{i:03}", "log_date": FIRST - dt.timedelta(i), "user_key": f"u{i // 2}",
         "cluster": f"c{(i + 1) // 2}", "model": None}
        for i in range(40)
    ]  # fmt: skip
    expected = [f"t{i:03}" for i in range(0, 40, 2)]
    assert draw(connection, found, {"user_key": 1, "cluster": 1}) == expected


def test_newest_nights_come_first_also_under_caps(connection) -> None:
    found = [
        {"turn_id": f"t{i}", "log_date": FIRST + dt.timedelta(i // 10), "user_key": f"u{i % 3}",
         "model": None, "cluster": None}
        for i in range(40)
    ]  # fmt: skip
    night = {row["turn_id"]: row["log_date"] for row in found}
    drawn = draw(connection, found, {"user_key": 4})
    assert len(drawn) == 12
    assert [key for key, _ in groupby(night[turn] for turn in drawn)] == [
        FIRST + dt.timedelta(3), FIRST + dt.timedelta(2)
    ]  # fmt: skip
