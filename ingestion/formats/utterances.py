"""WildFeedback's labelled utterances, one a record: sat_dsat_annotation.json.

The file names no conversation: its utterances are numbered from 0 in each, and stand in order.
So those in a row are joined into one record, a JSON array of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from ingestion.formats.raw import RawConversation, RawTurn
from ingestion.formats.reader import UNREADABLE, Reader, Records, decode
from ingestion.logs.lines import Line
from ingestion.normalize import clean_line
from warehouse.records import Reject

# Most utterances and bytes of one record: a file whose numbers never start over must not be
# held in memory as one conversation. The longest of WildChat's have some hundred turns.
_MOST_UTTERANCES = 2_000
_MOST_BYTES = 8 << 20
_ROLES = {"Agent": "assistant"}


class Utterance(msgspec.Struct, gc=False, rename="pascal"):
    """One utterance. The labels of a user's say how the answer before it was received; an
    agent's repeats those of the user before it. 'Disatisfaction' is spelled so.
    """

    utterance_id: int
    role: str
    content: str
    satisfaction: Any = None
    disatisfaction: Any = None


_UTTERANCE = msgspec.json.Decoder(Utterance)


def regroup(lines: Records) -> Records:
    """Join the utterances of each conversation; whatever is none stands alone."""
    group: list[Line] = []
    size = last = 0
    for line in lines:
        number = None if isinstance(line, Reject) else _number(line.data)
        if group and (number is None or number <= last or len(group) == _MOST_UTTERANCES):
            yield _joined(group)
            group, size = [], 0
        if number is None or isinstance(line, Reject):
            yield line
            continue
        if group and size + len(line.data) > _MOST_BYTES:
            yield _joined(group)
            group, size = [], 0
        group.append(line)
        size, last = size + len(line.data), number
    if group:
        yield _joined(group)


def _number(data: bytes) -> int | None:
    try:
        utterance: Utterance = decode(_UTTERANCE, clean_line(data))
    except UNREADABLE:
        return None
    return utterance.utterance_id


def _joined(group: list[Line]) -> Line:
    return Line(group[0].offset, b"[" + b",".join(line.data for line in group) + b"]")


def extract(record: list[Utterance] | Utterance) -> RawConversation:
    """What the warehouse keeps of the utterances of one conversation."""
    said = record if isinstance(record, list) else [record]
    turns = [RawTurn(_ROLES.get(one.role, one.role), one.content) for one in said]
    for (turn, _), (_, follow_up) in pairwise(zip(turns, said, strict=True)):
        if turn.role == "assistant" and follow_up.role == "User":
            turn.thumb = _thumb(follow_up)
    return RawConversation(id=None, user=None, turns=turns)


def _thumb(follow_up: Utterance) -> int | None:
    """Both labels, or none, say nothing."""
    match follow_up.satisfaction, follow_up.disatisfaction:
        case True, False | None:
            return 1
        case False | None, True:
            return -1
    return None


READER = Reader("utterances", list[Utterance] | Utterance, extract, regroup, joins=True)
