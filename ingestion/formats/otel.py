"""OpenTelemetry: spans and events of the GenAI semantic conventions, one JSON a line.

Attributes are a flat object, a nested one or OTLP's list of keys and values; a line may also be
an OTLP envelope of many spans or log records (resourceSpans, resourceLogs). See
opentelemetry.io/docs/specs/semconv/gen-ai and the schema of gen_ai.input.messages there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from ingestion.formats.parts import text_of
from ingestion.formats.paths import at
from ingestion.formats.payloads import conversation_id, exchange, settle, unpacked
from ingestion.formats.raw import RawConversation, RawTurn, Refused
from ingestion.formats.reader import UNREADABLE, Reader, Records, identity
from ingestion.formats.scores import Feedback
from ingestion.logs.lines import Line
from warehouse.records import ReasonCode, Reject

_INPUT = "gen_ai.input.messages"
_INPUT_BYTES = _INPUT.encode()
# How deep values of OTLP may nest: messages need seven levels.
_DEPTH = 24
# Epochs above this are nanoseconds: as milliseconds they would lie beyond the year 5000.
_NANOSECONDS = 1e14
_DIGITS = re.compile(r"[0-9]{1,19}")


class Record(msgspec.Struct, gc=False, rename="camel"):
    """One span or log record, as OTLP or an SDK's exporter writes it."""

    attributes: Any = None
    body: Any = None  # of an event, which may have there what others have as attributes
    events: Any = None  # of a span
    trace_id: Any = None
    start_time_unix_nano: Any = None
    end_time_unix_nano: Any = None
    time_unix_nano: Any = None
    timestamp: Any = None
    context: Any = None
    # As the SDKs' exporters to the console have them.
    exported_trace_id: Any = msgspec.field(name="trace_id", default=None)
    start_time: Any = msgspec.field(name="start_time", default=None)
    end_time: Any = msgspec.field(name="end_time", default=None)


class _Scope(msgspec.Struct, gc=False, rename="camel"):
    spans: list[msgspec.Raw] = []
    log_records: list[msgspec.Raw] = []


class _Resource(msgspec.Struct, gc=False, rename="camel"):
    scope_spans: list[_Scope] = []
    scope_logs: list[_Scope] = []


class _Envelope(msgspec.Struct, gc=False, rename="camel"):
    resource_spans: list[_Resource] = []
    resource_logs: list[_Resource] = []


_ENVELOPES = msgspec.json.Decoder(_Envelope)


def regroup(lines: Records) -> Records:
    """OTLP envelopes come apart: a Line for each of their spans and records with GenAI messages.

    The offset is that of the span or record itself. The others are no records of a chat log and
    are passed over; an envelope of such alone stays one Line, which cannot be read, so that it
    is counted. So does an envelope that is damaged.
    """
    for line in lines:
        if isinstance(line, Reject) or not _is_envelope(line.data):
            yield line
            continue
        parts = list(_chats(line))
        yield from parts or [line]


def _is_envelope(data: bytes) -> bool:
    return b'"resourceSpans"' in data or b'"resourceLogs"' in data


def _chats(line: Line) -> Iterator[Line]:
    try:
        envelope = _ENVELOPES.decode(line.data)
    except UNREADABLE:
        return
    end = 0
    for resource in (*envelope.resource_spans, *envelope.resource_logs):
        for scope in (*resource.scope_spans, *resource.scope_logs):
            for raw in (*scope.spans, *scope.log_records):
                data = bytes(raw)
                # From the end of the one before, for equal ones; logs may stand before spans.
                start = line.data.find(data, end)
                start = line.data.find(data) if start < 0 else start
                end = start + len(data)
                if _INPUT_BYTES in data:
                    yield Line(line.offset + start, data)


def extract(record: Record) -> RawConversation | Refused:
    """The messages of one call to a model."""
    said = partial(_said, _places(record))
    turns = exchange(said(_INPUT), _chosen(said("gen_ai.output.messages")))
    if not turns:
        return Refused(ReasonCode.WRONG_SHAPE, f"no {_INPUT}")
    system = text_of(unpacked(said("gen_ai.system_instructions")))
    if system and turns[0].role != "system":
        turns.insert(0, RawTurn("system", system))
    # An event has one time, that of the call's end.
    event = (record.time_unix_nano, record.timestamp)
    settle(
        turns,
        Feedback(),
        model=said("gen_ai.response.model") or said("gen_ai.request.model"),
        asked_at=_moment(record.start_time_unix_nano, record.start_time, *event),
        answered_at=_moment(record.end_time_unix_nano, record.end_time, *event),
    )
    trace = (record.trace_id, record.exported_trace_id, at(record.context, "trace_id"))
    return RawConversation(
        id=conversation_id(
            identity(said("gen_ai.conversation.id"), said("session.id")), identity(*trace), turns
        ),
        user=identity(said("user.id"), said("enduser.id")),
        turns=turns,
    )


def _places(record: Record) -> list[object]:
    """Where a record may say something: attributes come before its body and its events'."""
    events = record.events if isinstance(record.events, list) else []
    places = [record.attributes, record.body]
    places += [event.get("attributes") for event in events if isinstance(event, dict)]
    return [_opened(place) for place in places]


def _said(places: list[object], name: str) -> Any:
    found = (at(place, name) for place in places)
    return next((value for value in found if value is not None and value != ""), None)


def _opened(place: object) -> object:
    """Attributes, or the body of an event, as an object."""
    held = unpacked(place)
    if isinstance(held, list):
        return _pairs(held, _DEPTH)
    value = _value(held, _DEPTH)
    return held if value is None else unpacked(value)


def _value(value: object, depth: int) -> object:
    """A value of OTLP as plain JSON; None for what is none."""
    match value:
        case {"arrayValue": {"values": list(values)}} if depth:
            return [_value(inner, depth - 1) for inner in values]
        case {"kvlistValue": {"values": list(values)}} if depth:
            return _pairs(values, depth - 1)
        case {"stringValue": inner} | {"intValue": inner} | {"doubleValue": inner}:
            return inner
        case {"boolValue": inner}:
            return inner
    return None


def _pairs(pairs: list[Any], depth: int) -> dict[str, object]:
    return {
        pair["key"]: _value(pair.get("value"), depth)
        for pair in pairs
        if isinstance(pair, dict) and isinstance(pair.get("key"), str)
    }


def _chosen(answers: object) -> object:
    """Several answers in a row are choices, of which the user saw the first."""
    held = unpacked(answers)
    if isinstance(held, list) and all(at(answer, "role") == "assistant" for answer in held):
        return held[:1]
    return held


def _moment(*times: object) -> object:
    """The first time that is known; nanoseconds as seconds."""
    known = next((time for time in times if time not in (None, "", 0, "0")), None)
    whole = int(known) if isinstance(known, str) and _DIGITS.fullmatch(known) else known
    if isinstance(whole, int) and _NANOSECONDS < whole < 2**63:
        return whole / 1e9
    return known


READER = Reader("otel", Record, extract, regroup)
