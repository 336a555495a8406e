"""The catalog's tables: which files are live, what ran, and who holds which turns.

A file is live from the commit that added it until the commit that removed it. Every change that
the views show is one row of `commits`, so a commit's id names a state of the warehouse, which can
be read again as long as its files are on the disk.

A change here needs a migration (`warehouse.migrations`) that makes it in older catalogs.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
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
)


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
    # Counted by us, without gaps: the manifest of an attempt that was killed before its commit has
    # the id of the next one, which writes its own in its place.
    Column("commit_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),  # publish | model | erase | compact | detector
    # Run id, model version, what was done to what, or the detector that is promoted.
    Column("subject", String, nullable=False),
    Column("committed_at", Utc, nullable=False),
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

# One row each time that a partition was replaced, counted from 1. A partition that became empty
# has its row too, so that "nothing was found" is known from "nobody looked".
generations = Table(
    "generations",
    metadata,
    Column("table_name", String, primary_key=True),
    Column("log_date", Date, primary_key=True),
    Column("part", String, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("commit_id", ForeignKey(commits.c.commit_id), nullable=False, index=True),
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
    Column("shape", String),  # digest of the schema that it was written in; null: not known
    Column("generation", Integer, nullable=False),  # of the partition, that it came with
    Column("added_commit", ForeignKey(commits.c.commit_id), nullable=False),
    Column("removed_commit", ForeignKey(commits.c.commit_id)),
    # When its bytes were given up: from then on no snapshot that shows it can be read.
    Column("deleted_at", Utc),
    ForeignKeyConstraint(
        ["table_name", "log_date", "part", "generation"],
        [generations.c[name] for name in ("table_name", "log_date", "part", "generation")],
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
    # Digest of its content and of all settings that its rows depend on: equal, and reading it
    # again would change nothing; "": not known.
    Column("reading", String, nullable=False),
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
    # Of a batch that is trained on once more, on purpose: the one whose turns it has.
    Column("reuses", ForeignKey("batches.batch_id")),
)

batch_items = Table(
    "batch_items",
    metadata,
    # The key that keeps the promise: no turn trains a model twice in one stream.
    Column("stream", ForeignKey(streams.c.stream), primary_key=True),
    Column("turn_id", String, primary_key=True),  # or the id of a seed pair
    Column("batch_id", ForeignKey(batches.c.batch_id), nullable=False, index=True),
    Column("kind", String, nullable=False, server_default="dsat"),  # dsat | sat | seed
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
    Column("erased_turns", Integer, nullable=False),  # of its batch: their users were erased since
)
