"""Settings of ingestion: section [ingestion] of driftmine.toml."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Interval

from ingestion.formats.mapping_options import Mapping
from ingestion.redact.options import RedactionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestionOptions:
    """What a data engineer may set. Every field has a default that serves a first night."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    format: str = "auto"  # or a reader's name (docs/formats.md)
    source: str = ""  # name of the log stream, part of every turn id; "" = the format's name
    # What a conversation's id is unique in: all of a stream, or one night's logs of it.
    id_scope: Literal["source", "night"] = "source"
    # Which night a record counts to, where the command names none: that of its log ("run": by a
    # {date} in the path, else today), or its own last time.
    log_date: Literal["run", "record"] = "run"
    roots: tuple[str, ...] = ()  # folders and URLs outside which no log is read; none: anywhere
    max_line_mb: Annotated[int, Ge(1)] = 16  # longer records become rejects, unread
    max_expansion: Annotated[int, Ge(2)] = 200  # bytes that one stored byte may expand to
    # Share of lines rejected above which nothing is published (exit 3).
    max_reject_share: Annotated[float, Interval(ge=0, le=1)] = 0.2
    # Share of a log's conversations that may go where it is read again; more: the same.
    max_lost_share: Annotated[float, Interval(ge=0, le=1)] = 0.5
    near_duplicate_nights: Annotated[int, Ge(0)] = 30  # how far back near duplicates are sought
    opt_out_users: str = ""  # file of users' ids, one a line, who may not be trained on
    shard_mb: Annotated[int, Ge(1)] = 64  # a plain file is cut into ranges of about this size
    workers: Annotated[int, Ge(1)] = 1  # processes; 1 runs in this one
    runner: str = "local"  # or PortableRunner, FlinkRunner, SparkRunner, DataflowRunner
    runner_options: tuple[str, ...] = ()  # flags for the runner, such as --job_endpoint=...
    mapping: Mapping = field(default_factory=Mapping)
    redaction: RedactionOptions = field(default_factory=RedactionOptions)
