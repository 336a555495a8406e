"""What a night's DSAT turns may teach: no prompt and no user more than its share.

A pass over the whole night, after its workers and before it is published: which turns go depends
on all others, so no worker can tell. The surest stay, and of equals the first by id: the same turns
whatever the number of workers and the order of the files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from mining.options import MiningOptions
from mining.verdict import Untrainable
from warehouse import reading
from warehouse.staging import PartitionWriter, StagedFile

# Turns read at once: their contexts are long.
_ROWS = 2_000
_NAMES = ("turn_id", "trainable", "probability", "user_key", "cluster", "context")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """At most so many trainable turns of one night."""

    per_prompt: int  # to prompts that are nearly the same
    per_user: int


def limits_of(options: MiningOptions) -> Limits:
    """Those of the settings."""
    return Limits(per_prompt=options.max_per_prompt, per_user=options.max_per_user)


class Taught(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A trainable turn, as far as limits look at it."""

    turn_id: str
    probability: float
    user_key: str | None
    prompts: tuple[str, ...]  # what its prompt is nearly the same as: equal entries, near prompts


def excess(turns: Sequence[Taught], limits: Limits) -> dict[str, Untrainable]:
    """The turns that are too many -> why. A turn that goes uses up no limit."""
    prompts: Counter[str] = Counter()
    users: Counter[str] = Counter()
    found: dict[str, Untrainable] = {}
    for turn in sorted(turns, key=lambda turn: (-turn.probability, turn.turn_id)):
        if any(prompts[prompt] >= limits.per_prompt for prompt in turn.prompts):
            found[turn.turn_id] = Untrainable.NEAR_DUPLICATE
        elif turn.user_key is not None and users[turn.user_key] >= limits.per_user:
            found[turn.turn_id] = Untrainable.FREQUENT_USER
        else:
            prompts.update(turn.prompts)
            users[turn.user_key or ""] += 1
    return found


def limited(
    store: Path, staged: Sequence[StagedFile], limits: Limits, note: Callable[[str], object]
) -> list[StagedFile]:
    """The files of a night's run, those of DSAT turns written anew where any turn is too many.

    `note` is told the path of a new file before there is one; the former one is left as it is.
    """
    held = {file.path: list(_taught(store, file)) for file in staged if file.table == "dsat_turns"}
    reasons = excess([turn for turns in held.values() for turn in turns], limits)
    changed = {
        path for path, turns in held.items() if any(turn.turn_id in reasons for turn in turns)
    }
    return [_anew(store, file, reasons, note) if file.path in changed else file for file in staged]


def _taught(store: Path, file: StagedFile) -> Iterator[Taught]:
    for batch in reading.columns_at(store / file.path, file.table, _NAMES, rows=_ROWS):
        for row in batch.filter(batch["trainable"]).to_pylist():
            yield Taught(
                turn_id=row["turn_id"],
                probability=row["probability"],
                user_key=row["user_key"],
                prompts=near(row["context"], row["cluster"]),
            )


def near(context: Sequence[Any], cluster: str | None) -> tuple[str, ...]:
    """What a prompt is nearly the same as: itself, and its place in a cluster's conversations."""
    digest = hashlib.blake2b(msgspec.json.encode(context), digest_size=16).hexdigest()
    return (digest,) if cluster is None else (digest, f"{cluster} {len(context)}")


def _anew(
    store: Path,
    file: StagedFile,
    reasons: Mapping[str, Untrainable],
    note: Callable[[str], object],
) -> StagedFile:
    writer = PartitionWriter(store, file.partition, note)
    for batch in reading.batches(store, file, rows=_ROWS):
        why = [reasons.get(turn_id) for turn_id in batch["turn_id"].to_pylist()]
        trainable = zip(batch["trainable"].to_pylist(), why, strict=True)
        former = zip(batch["untrainable_reason"].to_pylist(), why, strict=True)
        batch = _with(batch, "trainable", [old and not new for old, new in trainable])
        batch = _with(batch, "untrainable_reason", [new or old for old, new in former])
        writer.write(batch)
    return writer.close()


def _with(batch: pa.RecordBatch, name: str, values: Sequence[Any]) -> pa.RecordBatch:
    at = batch.schema.get_field_index(name)
    field = batch.schema.field(at)
    return batch.set_column(at, field, pa.array(values, field.type))
