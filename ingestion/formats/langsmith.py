"""LangSmith: runs, as its bulk export (Parquet) and its API have them.

`inputs`, `outputs`, `extra` and `feedback_stats` are objects or JSON texts of such. See
docs.langchain.com/langsmith/run-data-format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ingestion.formats.parts import first
from ingestion.formats.payloads import conversation_id, exchange, settle, spoken, unpacked
from ingestion.formats.raw import RawConversation, Refused
from ingestion.formats.reader import Reader, identity
from ingestion.formats.scores import feedback
from warehouse.records import ReasonCode

# Kinds of run that nobody talks to.
_STEPS = frozenset(("tool", "retriever", "embedding", "prompt", "parser"))
# Where LangSmith looks for the thread of a run, and products for its user.
_THREAD = ("thread_id", "session_id", "conversation_id")
_USER = ("user_id", "ls_user_id", "user")
_MODEL = ("ls_model_name", "model_name", "model")


class Record(msgspec.Struct, gc=False):
    """One run. Its own `session_id` is the tracing project's, so it is not read."""

    run_type: str
    inputs: Any
    outputs: Any = None
    id: Any = None
    trace_id: Any = None
    thread_id: Any = None
    start_time: Any = None
    end_time: Any = None
    extra: Any = None
    feedback_stats: Any = None


def extract(record: Record) -> RawConversation | Refused:
    """The messages that a run was given and gave back, or a question and its answer."""
    if record.run_type in _STEPS:
        return Refused(ReasonCode.WRONG_SHAPE, f"run_type {record.run_type} holds no conversation")
    given, given_back = unpacked(record.inputs), unpacked(record.outputs)
    turns = exchange(given, given_back) or spoken(given, given_back)
    if not turns:
        return Refused(ReasonCode.WRONG_SHAPE, "inputs without messages or a question")
    extra = _fields(record.extra)
    metadata = _fields(extra.get("metadata"))
    settle(
        turns,
        feedback(_averages(record.feedback_stats)),
        model=first(metadata, _MODEL) or first(_fields(extra.get("invocation_params")), _MODEL),
        asked_at=record.start_time,
        answered_at=record.end_time,
    )
    return RawConversation(
        id=conversation_id(
            identity(record.thread_id, *map(metadata.get, _THREAD)),
            identity(record.trace_id, record.id),
            turns,
        ),
        user=identity(*map(metadata.get, _USER)),
        turns=turns,
    )


def _fields(value: object) -> Mapping[str, Any]:
    held = unpacked(value)
    return held if isinstance(held, dict) else {}


def _averages(stats: object) -> Iterator[tuple[object, object]]:
    """(key, score) of the feedback that a run was given; one label alone is a score too."""
    for key, stat in _fields(stats).items():
        if not isinstance(stat, dict):
            yield key, stat
        elif stat.get("avg") is not None:
            yield key, stat["avg"]
        elif isinstance(values := stat.get("values"), dict) and len(values) == 1:
            yield key, next(iter(values))


READER = Reader("langsmith", Record, extract)
