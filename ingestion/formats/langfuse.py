"""Langfuse: observations, or traces with or without theirs, as its API and its exports have them.

Fields: the API's names (traceId) and the blob storage export's (trace_id); the export's
`provided_model_name` is the API's `model`. See langfuse.com/docs, "Blob Storage Export Field
Reference".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ingestion.formats.parts import first
from ingestion.formats.payloads import conversation_id, exchange, settle, spoken
from ingestion.formats.raw import RawConversation, RawTurn, Refused
from ingestion.formats.reader import Reader, identity
from ingestion.formats.scores import feedback
from warehouse.records import ReasonCode

# Observations whose bare text is what a user asked and was answered. Of the others, which are
# steps of a program, only messages are a conversation. A trace has no type.
_SPEAKING = frozenset(("", "GENERATION", "AGENT"))
_TYPES = frozenset(
    ("GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR")
    + ("EMBEDDING", "GUARDRAIL")
)


class Record(msgspec.Struct, gc=False, rename="camel"):
    """One observation or trace."""

    id: str | int
    input: Any
    output: Any = None
    type: Any = None
    trace_id: Any = None
    session_id: Any = None
    user_id: Any = None
    model: Any = None
    provided_model_name: Any = None
    start_time: Any = None
    end_time: Any = None
    timestamp: Any = None
    scores: Any = None
    observations: Any = None
    exported_trace_id: Any = msgspec.field(name="trace_id", default=None)
    exported_session_id: Any = msgspec.field(name="session_id", default=None)
    exported_user_id: Any = msgspec.field(name="user_id", default=None)
    exported_model: Any = msgspec.field(name="provided_model_name", default=None)
    exported_start: Any = msgspec.field(name="start_time", default=None)
    exported_end: Any = msgspec.field(name="end_time", default=None)


class _Shape(msgspec.Struct, gc=False):
    """What tells a record from other objects with an id and an input."""

    trace_id: Any = msgspec.field(name="traceId", default=None)
    exported_trace_id: Any = msgspec.field(name="trace_id", default=None)
    project_id: Any = msgspec.field(name="projectId", default=None)
    exported_project_id: Any = msgspec.field(name="project_id", default=None)

    def __post_init__(self) -> None:
        """Raises ValueError, as msgspec asks."""
        if not any(msgspec.structs.astuple(self)):
            raise ValueError("neither a trace nor a project")


def extract(record: Record) -> RawConversation | Refused:
    """The longest exchange that the record holds: its own, or that of a nested observation."""
    calls = list(_calls(record))
    turns, model = max(calls, key=lambda call: len(call[0]))
    if not turns:
        return Refused(ReasonCode.WRONG_SHAPE, f"{_kind(record)} without messages")
    settle(
        turns,
        feedback(_scores(record.scores)),
        model=model or next((model for _, model in calls if model), None),
        asked_at=record.start_time or record.exported_start or record.timestamp,
        answered_at=record.end_time or record.exported_end,
    )
    trace = identity(record.trace_id, record.exported_trace_id, record.id)
    session = identity(record.session_id, record.exported_session_id)
    return RawConversation(
        id=conversation_id(session, trace, turns),
        user=identity(record.user_id, record.exported_user_id),
        turns=turns,
    )


def _calls(record: Record) -> Iterator[tuple[list[RawTurn], object]]:
    """The turns of each exchange, and the model that answered; the record's own first."""
    model = record.model or record.provided_model_name or record.exported_model
    yield _turns(record.type, record.input, record.output), model
    for nested in record.observations if isinstance(record.observations, list) else ():
        if isinstance(nested, dict):
            names = ("model", "providedModelName", "provided_model_name")
            turns = _turns(nested.get("type"), nested.get("input"), nested.get("output"))
            yield turns, first(nested, names)


def _turns(kind: object, given: object, given_back: object) -> list[RawTurn]:
    if turns := exchange(given, given_back):
        return turns
    return spoken(given, given_back) if _speaks(kind) else []


def _speaks(kind: object) -> bool:
    return kind is None or (isinstance(kind, str) and kind.upper() in _SPEAKING)


def _kind(record: Record) -> str:
    if isinstance(record.type, str) and record.type.upper() in _TYPES:
        return f"{record.type.upper()} observation"
    return "trace" if record.type is None else "observation of unknown type"


def _scores(scores: object) -> Iterator[tuple[object, object]]:
    """(name, value) of those that came by the API: not a reviewer's, not an evaluator's."""
    for score in scores if isinstance(scores, list) else ():
        if isinstance(score, dict) and score.get("source") not in ("EVAL", "ANNOTATION"):
            label = first(score, ("stringValue", "string_value"))
            kind = first(score, ("dataType", "data_type"))
            value = score.get("value")
            yield score.get("name"), label if kind == "CATEGORICAL" or value is None else value


READER = Reader("langfuse", Record, extract, shape=_Shape)
