"""Near duplicates: bots and load tests, whose conversations share a band of their sketches.

What shares a band is joined through the band's first conversation, its hub, and never pair by
pair: a band of 100,000 conversations is 100,000 joins. Those that hang together are a cluster.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import duckdb
import numpy as np
import pyarrow as pa

from ingestion.scene import RECORD

_ROWS = 100_000

# A conversation is one node, whatever its records: a later state is no near duplicate of an
# earlier one. Nodes are numbered by their first records, the live ones before the staged.
_GRAPH = f"""
CREATE TABLE kept AS
SELECT {RECORD}, source, sketch FROM staged
ANTI JOIN left_out USING ({RECORD}) WHERE len(sketch) > 0;

CREATE TABLE near AS
SELECT {RECORD}, source, cluster, band
FROM (SELECT {RECORD}, source, cluster, unnest(sketch) AS band FROM near_conversations)
SEMI JOIN (SELECT unnest(sketch) AS band FROM kept) USING (band);

CREATE TABLE nodes AS
WITH records AS (
    SELECT DISTINCT true AS published, {RECORD}, source, cluster FROM near
    UNION ALL SELECT false, {RECORD}, source, NULL FROM kept
), ranked AS (
    SELECT *, row_number() OVER (
        ORDER BY published DESC, log_date, origin_file, origin_offset, conversation_id
    ) AS rank
    FROM records
)
SELECT source, conversation_id, min(rank) AS node, arg_min(cluster, rank) AS cluster
FROM ranked GROUP BY source, conversation_id;

CREATE TABLE members AS
SELECT band, node FROM near JOIN nodes USING (source, conversation_id)
UNION ALL SELECT unnest(sketch), node FROM kept JOIN nodes USING (source, conversation_id);
"""
# Few bands are shared: only those are joined, so that no table of all is built twice.
_EDGES = """
WITH hubs AS MATERIALIZED (
    SELECT band, min(node) AS hub FROM members GROUP BY band HAVING min(node) <> max(node)
)
SELECT DISTINCT hub, node FROM members JOIN hubs USING (band) WHERE hub <> node
"""
_CLUSTERED = f"""
INSERT INTO clustered
WITH components AS (
    SELECT root, arg_min(cluster, node) AS cluster FROM nodes JOIN roots USING (node)
    GROUP BY root HAVING count(*) > 1
), named AS (
    SELECT root,
        coalesce(components.cluster, md5(source || chr(0) || conversation_id)) AS cluster
    FROM components JOIN nodes ON nodes.node = root
)
SELECT {RECORD}, named.cluster
FROM kept JOIN nodes USING (source, conversation_id) JOIN roots USING (node) JOIN named USING (root)
"""


# What follows needs the memory.
_TIDY = "DROP TABLE members; DROP TABLE nodes; DROP TABLE near; DROP TABLE kept"


def assign(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `clustered`, after `left_out`, from the tables of a scene.

    A cluster has the id that a live member has; else one that is made of its first member, a live
    one if there is any. So a conversation that is published alone lends its id to its first near
    duplicate, though it is not marked itself: published files are not edited for this.
    """
    connection.execute(_GRAPH)
    (size,) = connection.execute("SELECT coalesce(max(node), 0) + 1 FROM nodes").fetchone() or (1,)
    edges = connection.execute(_EDGES)
    found = roots(size, (row for rows in iter(lambda: edges.fetchmany(_ROWS), []) for row in rows))
    columns = {"node": np.arange(size), "root": np.frombuffer(found, np.int64)}
    connection.register("roots", pa.table(columns))
    connection.execute(_CLUSTERED)
    connection.unregister("roots")
    connection.execute(_TIDY)


def roots(size: int, edges: Iterable[tuple[int, int]]) -> array[int]:
    """Of each node from 0 to `size` - 1, the least that it hangs together with."""
    parents = array("q", range(size))
    for one, other in edges:
        low, high = sorted((_root(parents, one), _root(parents, other)))
        parents[high] = low
    for node in range(size):
        parents[node] = _root(parents, node)
    return parents


def _root(parents: array[int], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node
