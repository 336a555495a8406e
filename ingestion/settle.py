"""From what workers staged to what is published: no turn shown twice, none lost.

The driver's part, over the narrow columns of staged and live files; no payload is ever shuffled.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter, itemgetter

import duckdb

from ingestion import carry, clusters, consent, duplicates, feedback, lost, rewrite
from ingestion.hashes import hash_of
from ingestion.lost import Lost
from ingestion.scene import Scene, tables
from warehouse.errors import SourceUnavailable
from warehouse.records import ReasonCode, Reject
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter, StagedFile

# Lines of a log that are looked up at once.
_LINES = 10_000

_DUPLICATES = """
SELECT log_date, origin_file, count(*) FROM left_out WHERE rival_file IS NULL GROUP BY ALL
"""
_CLASHES = """
SELECT origin_file, count(*) FROM left_out WHERE rival_file IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
_CLASHES_AT = """
SELECT log_date, origin_offset, rival_file, rival_offset FROM left_out
WHERE rival_file IS NOT NULL AND origin_file = $log AND origin_offset IN (SELECT unnest($offsets))
ORDER BY ALL
"""
# Of published records. What else is edited is staged.
_CHANGED = """
SELECT 'turns', log_date, origin_file FROM (
    SELECT log_date, origin_file FROM carries UNION ALL SELECT log_date, origin_file FROM feedback
)
UNION SELECT unnest(['turns', 'conversations']), log_date, origin_file FROM withdrawn
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a run publishes."""

    staged: list[StagedFile]
    rewritten: set[Partition]  # that other runs published: `staged` holds them anew, to replace
    duplicates: Counter[tuple[dt.date, str]]  # records left out, by night and log
    lost: list[Lost]  # conversations that go, by log


def settle(scene: Scene) -> Settled:
    """Leave out duplicates, reject clashes, mark what is carried, what is nearly the same and what
    may not be trained on, and give each turn that is shown the feedback on it.

    No file is changed or removed: what must differ is written anew. Raises SourceUnavailable
    where a log that was staged is no longer what it was.
    """
    with tables(scene) as connection:
        duplicates.find(connection)
        clusters.assign(connection)
        carry.mark(connection)
        feedback.gather(connection)
        consent.withdraw(connection)
        staged = [*_staged(connection, scene), *_clashes(connection, scene)]
        anew = list(_published(connection, scene))
        counts = connection.execute(_DUPLICATES).fetchall()
        gone = lost.find(connection, scene.erased)
    return Settled(
        staged=staged + anew,
        rewritten={file.partition for file in anew},
        duplicates=Counter({(night, log): count for night, log, count in counts}),
        lost=gone,
    )


def _staged(connection: duckdb.DuckDBPyConnection, scene: Scene) -> Iterator[StagedFile]:
    edited = rewrite.edited(connection)
    for file in scene.staged:
        kept: StagedFile | None = file
        if file.partition in edited:
            edits = rewrite.edits(connection, scene.store, file)
            if edits:
                kept = rewrite.write_anew(scene.store, file, edits, scene.note)
        if kept is not None and kept.rows:
            yield kept


def _published(connection: duckdb.DuckDBPyConnection, scene: Scene) -> Iterator[StagedFile]:
    """All files of those published partitions in which any row changes."""
    changed = {Partition(*place) for place in connection.execute(_CHANGED).fetchall()}
    for file in scene.live:
        if file.partition in changed:
            edits = rewrite.edits(connection, scene.store, file)
            if anew := rewrite.write_anew(scene.store, file, edits, scene.note):
                yield anew


def _clashes(connection: duckdb.DuckDBPyConnection, scene: Scene) -> Iterator[StagedFile]:
    for log, count in connection.execute(_CLASHES).fetchall():
        writers: dict[dt.date, PartitionWriter] = {}
        for log_date, rejects in _rejects(connection, scene, log):
            if log_date not in writers:
                partition = Partition("rejects", log_date, log)
                writers[log_date] = PartitionWriter(scene.store, partition, scene.note)
            writers[log_date].write(to_batch("rejects", log_date, rejects))
        files = [writer.close() for writer in writers.values()]
        if sum(file.rows for file in files) != count:
            raise SourceUnavailable(
                f"{log}: it has changed since it was read. Nothing was published; run again."
            )
        yield from files


def _rejects(
    connection: duckdb.DuckDBPyConnection, scene: Scene, log: str
) -> Iterator[tuple[dt.date, list[Reject]]]:
    """The Rejects of a log's clashes, by night, some at a time.

    Its records are read again, for their digests; of those that one line envelops, the first
    stands for all.
    """
    lines = (line for line in scene.lines(log) if not isinstance(line, Reject))
    firsts = (next(group) for _, group in groupby(lines, key=attrgetter("offset")))
    records = ((line.offset, (len(line.data), hash_of(line.data))) for line in firsts)
    while read := dict(islice(records, _LINES)):
        at = {"log": log, "offsets": list(read)}
        clashes = connection.execute(_CLASHES_AT, at).fetchall()
        for log_date, group in groupby(clashes, key=itemgetter(0)):
            yield (
                log_date,
                [
                    Reject(
                        reason=ReasonCode.ID_CLASH,
                        origin_file=log,
                        origin_offset=offset,
                        length=read[offset][0],
                        digest=read[offset][1],
                        detail=f"its id belongs to the record at {place} of {rival}",
                    )
                    for _, offset, rival, place in group
                ],
            )
