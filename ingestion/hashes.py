"""The hashes that rows are known by: BLAKE2b, the same on every machine and every re-run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from warehouse.records import Role, Turn

# Characters of a conversation that hardly comes about twice.
_LONG = 400


def hash_of(data: bytes) -> str:
    """32 hex: of a record, a text, a name."""
    return blake2b(data, digest_size=16).hexdigest()


def user_key(user: str | int, secret: bytes) -> str:
    """32 hex: keyed hash of a user's id. `secret`: at most 64 bytes."""
    return blake2b(str(user).encode(), key=secret, digest_size=16).hexdigest()


def turn_ids(source: str, conversation_id: str) -> Iterator[str]:
    """32 hex each: the ids of a conversation's turns, one by one, without end."""
    base = blake2b(f"{source}\0{conversation_id}\0".encode(), digest_size=16)
    index = 0
    while True:
        turn_id = base.copy()
        turn_id.update(b"%d" % index)
        yield turn_id.hexdigest()
        index += 1


def chain_start(secret: bytes) -> bytes:
    """8 bytes: what chains begin with. Keyed, for chains are made of text that is not redacted."""
    return blake2b(b"chain", key=secret, digest_size=8).digest()


def chain(before: bytes, role: Role, text: str) -> bytes:
    """8 bytes: of a turn and all before it.

    `text` as the user wrote it: by what rules it is redacted must not tell conversations apart.
    Nor must a system prompt, which products change within a conversation (a clock, a document),
    nor space around a text, which many trim before they send it as history.
    """
    said = "" if role is Role.SYSTEM else text.strip()
    return blake2b(f"{role}\0{said}".encode(), key=before, digest_size=8).digest()


def id_of(user: str | None, chains: Iterable[bytes], times: Iterable[dt.datetime | None]) -> str:
    """32 hex: names a conversation that its log gives no id, however its record is written."""
    said = " ".join(f"{chain.hex()} {at}" for chain, at in zip(chains, times, strict=True))
    return hash_of(f"{user} {said}".encode())


def content_hash(turns: Sequence[Turn]) -> str:
    """32 hex: of what was said, by whom and when. Equal hashes under two ids: one is a copy.

    Two users who both say hello are no copies, and neither is one who does on two days. Where a
    log says neither who nor when, a short conversation may be had twice, and only a long one,
    answers and all, is the same one again.
    """
    digest = blake2b(f"{turns[0].user_key}".encode(), digest_size=16)
    for turn in turns:
        digest.update(f"{turn.chain} {turn.event_ts}".encode())
    nameless = turns[0].user_key is None and not any(turn.event_ts for turn in turns)
    if nameless and sum(len(turn.content) for turn in turns) < _LONG:
        digest.update(turns[0].conversation_id.encode())
    return digest.hexdigest()
