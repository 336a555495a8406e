"""Version 3: every generation of a partition, every model's lineage, a manifest of every commit.

The tables that change, and those that refer to them, are read, dropped, made anew and filled again:
that is the same on every database, and leaves the same names of keys as in a new catalog.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy import Connection, MetaData, insert, select

from warehouse import durable
from warehouse.migrations.frozen_0003 import metadata
from warehouse.records import LineageTurn
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter
from warehouse.store import parquet_file, remove

Rows = dict[str, list[dict[str, Any]]]  # by table
Replaced = dict[int, set[Partition]]  # by commit

_FORMER = ("commits", "runs", "partitions", "files", "sources", "batches", "batch_items", "models")
_MANIFESTS = "manifests"


def upgrade(connection: Connection, store: Path) -> None:
    """Make a catalog of version 2 one of version 3. Raises OSError where no file can be written."""
    former = MetaData()
    former.reflect(connection, only=[*_FORMER, "barred_users"])
    rows: Rows = {
        name: [dict(row) for row in connection.execute(select(former.tables[name])).mappings()]
        for name in (*_FORMER, "barred_users")
    }
    rows["commits"].sort(key=lambda commit: commit["commit_id"])
    said = {
        row["commit_id"]: _manifest_of_run(store, row["subject"])
        for row in rows["commits"]
        if row["kind"] == "publish"
    }
    replaced = _replaced(rows, said)
    _add_lineage(rows, replaced, store)
    rows["generations"] = list(_generations(rows, replaced))
    for manifest in _manifests(rows, replaced, said):
        path = store / _MANIFESTS / f"{manifest['commit_id']:010d}.json"
        durable.write_whole(path, msgspec.json.encode(manifest))
    former.drop_all(connection, [former.tables[name] for name in _FORMER])
    metadata.create_all(connection)
    new: dict[str, dict[str, Any]] = {
        "files": {"shape": None},
        "sources": {"reading": ""},
        "models": {"erased_turns": 0},
    }
    for table in metadata.sorted_tables:
        if rows.get(table.name):
            added = new.get(table.name, {})
            connection.execute(insert(table), [added | row for row in rows[table.name]])


def clear(store: Path) -> None:
    """Remove the manifests of version 2, which bear the names of runs."""
    for path in (store / _MANIFESTS).glob("*.json"):
        if not path.stem.isdecimal():
            remove(path)


def _manifest_of_run(store: Path, run_id: str) -> dict[str, Any]:
    """What version 2 wrote of a publish; empty where it cannot be read."""
    try:
        found = msgspec.json.decode((store / _MANIFESTS / f"{run_id}.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _partition(row: Mapping[str, Any]) -> Partition:
    return Partition(row["table_name"], row["log_date"], row["part"])


def _replaced(rows: Rows, said: Mapping[int, Mapping[str, Any]]) -> Replaced:
    """Which partitions each commit replaced, as its manifest says and as the catalog shows."""
    found: Replaced = defaultdict(set)
    for commit_id, manifest in said.items():
        found[commit_id].update(
            msgspec.convert(entry, Partition) for entry in manifest.get("replaces", ())
        )
    for row in rows["partitions"]:
        found[row["head"]].add(_partition(row))
    for row in rows["files"]:
        found[row["added_commit"]].add(_partition(row))
        if row["removed_commit"] is not None:
            found[row["removed_commit"]].add(_partition(row))
    return found


def _generations(rows: Rows, replaced: Replaced) -> Iterator[dict[str, Any]]:
    """A row each time that a partition was replaced; where a manifest is lost, some are missing."""
    known = {(_partition(row), row["head"]): row["generation"] for row in rows["partitions"]}
    known |= {(_partition(row), row["added_commit"]): row["generation"] for row in rows["files"]}
    counted: Counter[Partition] = Counter()
    for commit_id in sorted(replaced):
        for partition in sorted(replaced[commit_id]):
            counted[partition] = known.get((partition, commit_id), counted[partition] + 1)
            yield {
                "table_name": partition.table,
                "log_date": partition.log_date,
                "part": partition.part,
                "generation": counted[partition],
                "commit_id": commit_id,
            }


def _add_lineage(rows: Rows, replaced: Replaced, store: Path) -> None:
    """Write down the turns of every finished batch, as `leases.finish` does from now on."""
    made = {row["subject"]: row for row in rows["commits"] if row["kind"] == "model"}
    finished = {row["batch_id"] for row in rows["models"]}
    users = _users(rows, store, {i["turn_id"] for i in rows["batch_items"]})
    streams = {row["batch_id"]: row["stream"] for row in rows["batches"]}
    turns: dict[str, list[str]] = {batch_id: [] for batch_id in finished}
    for item in rows["batch_items"]:
        if item["batch_id"] in finished:
            turns[item["batch_id"]].append(item["turn_id"])
    for model in rows["models"]:
        commit, batch_id = made[model["version"]], model["batch_id"]
        partition = Partition("lineage", commit["committed_at"].date(), batch_id)
        held = [
            LineageTurn(
                turn_id=turn_id,
                batch_id=batch_id,
                stream=streams[batch_id],
                model_version=model["version"],
                user_key=users.get(turn_id),
            )
            for turn_id in sorted(turns[batch_id])
        ]
        writer = PartitionWriter(store, partition)
        writer.write(to_batch("lineage", partition.log_date, held))
        row = msgspec.structs.asdict(writer.close())
        row["table_name"] = row.pop("table")
        came = {"generation": 1, "added_commit": commit["commit_id"], "removed_commit": None}
        rows["files"].append(row | came)
        replaced[commit["commit_id"]].add(partition)


def _users(rows: Rows, store: Path, wanted: set[str]) -> dict[str, str]:
    """Turn -> key of its user, of those that any file of DSAT turns still tells."""
    found: dict[str, str] = {}
    for row in rows["files"]:
        if row["table_name"] != "dsat_turns":
            continue
        try:
            with parquet_file(store / row["path"]) as parquet:
                held = parquet.read(["turn_id", "user_key"])
        except (OSError, pa.ArrowException):
            continue
        pairs = zip(*(column.to_pylist() for column in held.columns), strict=True)
        found |= {turn: user for turn, user in pairs if user is not None and turn in wanted}
    return found


def _manifests(
    rows: Rows, replaced: Replaced, said: Mapping[int, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The manifests of all commits, in the form that version 3 reads."""
    runs, models, batches = (
        {row[key]: _aware(row) for row in rows[table]}
        for table, key in (("runs", "run_id"), ("models", "version"), ("batches", "batch_id"))
    )
    staged, ledgered = _by(rows["files"], "added_commit"), _by(rows["sources"], "run_id")
    erased = sorted(row["user_key"] for row in rows["barred_users"] if row["bar"] == "erased")
    for commit in rows["commits"]:
        commit_id, subject = commit["commit_id"], commit["subject"]
        whole = _aware(commit) | {
            "replaces": sorted(replaced[commit_id]),
            "staged": [_staged(row) for row in staged[commit_id]],
        }
        if commit["kind"] == "publish":
            whole["run"] = _only(
                runs[subject], "run_id", "stage", "log_date", "started_at", "counts"
            )
            whole["watermark"] = runs[subject]["log_date"]
            whole["sources"] = said[commit_id].get("sources", ledgered[subject])
        else:
            batch = batches[models[subject]["batch_id"]]
            names = ("batch_id", "stream", "snapshot", "created_at", "expires_at")
            whole |= {"model": models[subject], "batch": _only(batch, *names)}
        if commit is rows["commits"][-1]:
            whole["erased"] = erased
        yield whole


def _by(rows: list[dict[str, Any]], name: str) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return found


def _only(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _staged(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("log_date", "part", "path", "rows", "bytes", "sha256", "stats", "shape")
    return {"table": row["table_name"]} | {name: row.get(name) for name in names}


def _aware(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose instants say that they are in UTC."""
    return {
        name: value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) else value
        for name, value in row.items()
    }
