"""A shape of one's own: records read by the paths that [ingestion.mapping] names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingestion.formats.mapping_options import Mapping
from ingestion.formats.parts import text_of
from ingestion.formats.paths import at
from ingestion.formats.payloads import unpacked
from ingestion.formats.raw import RawConversation, RawTurn, Refused
from ingestion.formats.reader import Reader, identity
from warehouse.errors import SettingsError
from warehouse.records import ReasonCode

_RECORD = "record."
# What may be said of each message: the setting, and the field of a RawTurn.
_OF_MESSAGE = {
    "time": "timestamp",
    "model": "model",
    "language": "language",
    "rating": "rating",
    "thumb": "thumb",
    "regenerated": "regenerated",
    "edited": "edited",
    "flagged": "flagged",
}

_Fields = dict[str, Any]
_Lookup = Callable[[_Fields, _Fields], Any]


def reader(mapping: Mapping) -> Reader:
    """The reader of records of that shape, named "mapping".

    Raises SettingsError where the mapping does not say where the messages are.
    """
    _check(mapping)
    said = {
        field: _lookup(path)
        for setting, field in _OF_MESSAGE.items()
        if (path := getattr(mapping, setting))
    }
    turns = _turns_of_messages if mapping.messages else _turns_of_texts
    id_of, user_of, country_of, opt_out_of = (
        _lookup(path) for path in (mapping.id, mapping.user, mapping.country, mapping.opt_out)
    )

    def extract(record: _Fields) -> RawConversation | Refused:
        found = turns(record, mapping, said)
        if isinstance(found, Refused):
            return found
        return RawConversation(
            id=identity(id_of(record, record)),
            user=identity(user_of(record, record)),
            turns=found,
            country=country_of(record, record),
            opted_out=opt_out_of(record, record),
        )

    return Reader("mapping", _Fields, extract)


def _lookup(path: str) -> _Lookup:
    """How a path is looked up in a message and its record, or in a record given twice."""
    inside = path.removeprefix(_RECORD)
    if inside != path:
        return lambda message, record: at(record, inside)
    return lambda message, record: at(message, path)


def _turns_of_messages(
    record: _Fields, mapping: Mapping, said: dict[str, _Lookup]
) -> list[RawTurn] | Refused:
    messages = unpacked(_lookup(mapping.messages)(record, record))
    if not isinstance(messages, list):
        return _refused(f"no list at messages = {mapping.messages!r}")
    roles = mapping.roles
    turns = []
    for index, message in enumerate(messages):
        role = identity(at(message, mapping.role))
        if not isinstance(message, dict) or role is None:
            return _refused(f"message {index} has nothing at role = {mapping.role!r}")
        turn = RawTurn(roles.get(str(role), str(role)), text_of(at(message, mapping.content)))
        for field, look in said.items():
            setattr(turn, field, look(message, record))
        turns.append(turn)
    return turns


def _turns_of_texts(
    record: _Fields, mapping: Mapping, said: dict[str, _Lookup]
) -> list[RawTurn] | Refused:
    """What is said of a message is said of the answer, its time of the question too."""
    asked = text_of(_lookup(mapping.user_text)(record, record))
    if not asked:
        return _refused(f"no text at user_text = {mapping.user_text!r}")
    of_record = {field: look(record, record) for field, look in said.items()}
    same = {name: of_record.get(name) for name in ("timestamp", "language")}
    turns = [RawTurn("user", asked, **same)]
    if answer := text_of(_lookup(mapping.assistant_text)(record, record)):
        turns.append(RawTurn("assistant", answer, **of_record))
    return turns


def _check(mapping: Mapping) -> None:
    """One of the two ways to say where the messages are, whole."""
    messages = ("messages", "role", "content")
    texts = ("user_text", "assistant_text")
    named = [name for name in (*messages, *texts) if getattr(mapping, name)]
    if any(name in messages for name in named) and any(name in texts for name in named):
        raise SettingsError(
            f"[ingestion.mapping] names {named[0]} and {named[-1]}. Say where the messages are by "
            "messages, role and content, or else by user_text and assistant_text."
        )
    needed = ("user_text",) if any(name in texts for name in named) else messages
    for name in needed:
        if name not in named:
            raise SettingsError(
                f"[ingestion.mapping] lacks {name}: the path to it. See docs/formats.md."
            )


def _refused(detail: str) -> Refused:
    return Refused(ReasonCode.WRONG_SHAPE, detail)
