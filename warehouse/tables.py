"""The catalog's tables: which files are live, what ran, and who holds which turns.

A file is live from the commit that added it until the commit that removed it. Every change that
the views show is one row of `commits`, so the newest commit id names a state of the warehouse.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    insert,
)

# Of the tables below. A catalog of another version is refused, never guessed at.
SCHEMA_VERSION = 2


class Utc(TypeDecorator[dt.datetime]):
    """An instant: aware in Python, naive UTC in the database, for SQLite knows no zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Refuses a naive datetime: it names no instant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the catalog takes aware datetimes only")
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        """The instant, aware, in UTC."""
        return None if value is None else value.replace(tzinfo=dt.UTC)


metadata = MetaData()

schema_version = Table(
    "schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)

commits = Table(
    "commits",
    metadata,
    Column("commit_id", Integer, primary_key=True),
    Column("kind", String, nullable=False),  # publish | model
    Column("subject", String, nullable=False),  # the run id, or the model version
    Column("committed_at", Utc, nullable=False),
    sqlite_autoincrement=True,  # an id is never given twice
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("stage", String, nullable=False),
    Column("log_date", Date, nullable=False),
    Column("state", String, nullable=False),  # running | committed | failed
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("commit_id", ForeignKey(commits.c.commit_id)),
    Column("counts", JSON(none_as_null=True)),
    Column("reason", String),  # of a failure
)

partitions = Table(
    "partitions",
    metadata,
    Column("table_name", String, primary_key=True),
    Column("log_date", Date, primary_key=True),
    Column("part", String, primary_key=True),
    # How often it was replaced, and by which commit last. A partition that became empty keeps
    # both, so that "nothing was found" is known from "nobody looked".
    Column("generation", Integer, nullable=False),
    Column("head", ForeignKey(commits.c.commit_id), nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("path", String, primary_key=True),  # relative to the root, with forward slashes
    Column("table_name", String, nullable=False),
    Column("log_date", Date, nullable=False),
    Column("part", String, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("stats", JSON, nullable=False),
    Column("generation", Integer, nullable=False),  # of the partition, that it came with
    Column("added_commit", ForeignKey(commits.c.commit_id), nullable=False),
    Column("removed_commit", ForeignKey(commits.c.commit_id)),
    ForeignKeyConstraint(
        ["table_name", "log_date", "part"],
        [partitions.c.table_name, partitions.c.log_date, partitions.c.part],
    ),
    Index("files_by_partition", "table_name", "log_date", "part"),
)

sources = Table(
    "sources",
    metadata,
    Column("log_date", Date, primary_key=True),
    Column("name", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("stamp", String, nullable=False),
    Column("sha256", String, nullable=False, index=True),
    Column("lines", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("suppressed", BigInteger, nullable=False),
    Column("run_id", ForeignKey(runs.c.run_id), nullable=False),
)

# Whose turns are kept out, and of what. Keyed hashes: the users' ids themselves are nowhere.
barred_users = Table(
    "barred_users",
    metadata,
    Column("user_key", String, primary_key=True),
    Column("bar", String, primary_key=True),  # erased: from everything | opted_out: from training
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("stage", String, primary_key=True),
    Column("log_date", Date, nullable=False),
)

streams = Table("streams", metadata, Column("stream", String, primary_key=True))

batches = Table(
    "batches",
    metadata,
    Column("batch_id", String, primary_key=True),
    Column("stream", ForeignKey(streams.c.stream), nullable=False),
    Column("token", String, nullable=False),
    Column("state", String, nullable=False),  # leased | finished | released | expired
    Column("snapshot", ForeignKey(commits.c.commit_id), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
)

batch_items = Table(
    "batch_items",
    metadata,
    # The key that keeps the promise: no turn trains a model twice in one stream.
    Column("stream", ForeignKey(streams.c.stream), primary_key=True),
    Column("turn_id", String, primary_key=True),
    Column("batch_id", ForeignKey(batches.c.batch_id), nullable=False, index=True),
)

models = Table(
    "models",
    metadata,
    Column("version", String, primary_key=True),
    Column("parent", String),
    Column("batch_id", ForeignKey(batches.c.batch_id), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("promoted", Boolean, nullable=False),
    Column("manifest_sha256", String, nullable=False),
)


def add_commit(connection: Connection, kind: str, subject: str, now: dt.datetime) -> int:
    """Insert the row of a commit and return its id."""
    row = insert(commits).values(kind=kind, subject=subject, committed_at=now)
    (commit_id,) = connection.execute(row.returning(commits.c.commit_id)).one()
    return int(commit_id)
