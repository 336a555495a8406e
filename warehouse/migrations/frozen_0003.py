"""The tables as version 3 has them, frozen: only those that its migration makes anew."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

metadata = MetaData()
Table("streams", metadata, Column("stream", String, primary_key=True))  # stays as it is
Table(
    "commits",
    metadata,
    Column("commit_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("committed_at", DateTime, nullable=False),
)
Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("stage", String, nullable=False),
    Column("log_date", Date, nullable=False),
    Column("state", String, nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("ended_at", DateTime),
    Column("commit_id", ForeignKey("commits.commit_id")),
    Column("counts", JSON(none_as_null=True)),
    Column("reason", String),
)
Table(
    "generations",
    metadata,
    Column("table_name", String, primary_key=True),
    Column("log_date", Date, primary_key=True),
    Column("part", String, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("commit_id", ForeignKey("commits.commit_id"), nullable=False, index=True),
)
Table(
    "files",
    metadata,
    Column("path", String, primary_key=True),
    Column("table_name", String, nullable=False),
    Column("log_date", Date, nullable=False),
    Column("part", String, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("stats", JSON, nullable=False),
    Column("shape", String),
    Column("generation", Integer, nullable=False),
    Column("added_commit", ForeignKey("commits.commit_id"), nullable=False),
    Column("removed_commit", ForeignKey("commits.commit_id")),
    Column("deleted_at", DateTime),
    ForeignKeyConstraint(
        ["table_name", "log_date", "part", "generation"],
        [f"generations.{name}" for name in ("table_name", "log_date", "part", "generation")],
    ),
    Index("files_by_partition", "table_name", "log_date", "part"),
)
Table(
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
    Column("reading", String, nullable=False),
    Column("run_id", ForeignKey("runs.run_id"), nullable=False),
)
Table(
    "batches",
    metadata,
    Column("batch_id", String, primary_key=True),
    Column("stream", ForeignKey("streams.stream"), nullable=False),
    Column("token", String, nullable=False),
    Column("state", String, nullable=False),
    Column("snapshot", ForeignKey("commits.commit_id"), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("expires_at", DateTime, nullable=False),
    Column("reuses", ForeignKey("batches.batch_id")),
)
Table(
    "batch_items",
    metadata,
    Column("stream", ForeignKey("streams.stream"), primary_key=True),
    Column("turn_id", String, primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False, index=True),
)
Table(
    "models",
    metadata,
    Column("version", String, primary_key=True),
    Column("parent", String),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("promoted", Boolean, nullable=False),
    Column("manifest_sha256", String, nullable=False),
    Column("erased_turns", Integer, nullable=False),
)
