"""From what a reader took from a log record to rows of the warehouse.

Here ids, keys and hashes are made, and here personal things are taken out: what leaves this
module may be stored.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from urllib.parse import unquote

import msgspec

from ingestion import normalize
from ingestion.formats.raw import Raw, RawConversation, RawPair, RawTurn, Refused
from ingestion.hashes import (
    chain,
    chain_start,
    content_hash,
    hash_of,
    id_of,
    turn_ids,
    user_key,
)
from ingestion.language import Identifier
from ingestion.logs.lines import Line
from ingestion.redact.options import RedactionOptions
from ingestion.redact.redactor import Redacted
from ingestion.redact.stages import load_redactor
from ingestion.sketch import Sketcher
from warehouse.records import (
    ConversationFacts,
    Message,
    ReasonCode,
    Redaction,
    Reject,
    Role,
    SeedPair,
    SystemPrompt,
    Turn,
)

# What ids have that hold an address or a phone number; of most ids nothing else is looked at.
_REACHES = re.compile(r"[@+]|%40|%2[Bb]|(?:^|:)00\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """All that rows depend on beside the record itself. Workers are sent it."""

    secret: bytes  # key of the users' hashes, at most 64 bytes
    redaction: RedactionOptions
    suppressed: frozenset[str] = frozenset()  # keys of users whose records are dropped
    opted_out: frozenset[str] = frozenset()  # keys of users who may not be trained on
    id_prefix: str = ""  # of conversation ids that are unique within a night only


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The log file that records come from."""

    file: str  # its name in the warehouse
    source: str  # name of the log stream


class Assembled(msgspec.Struct, gc=False):
    """The rows of one conversation."""

    turns: list[Turn]
    facts: ConversationFacts
    prompts: list[SystemPrompt]


class Suppressed(msgspec.Struct, frozen=True, gc=False):
    """A record of a user who is erased: counted, and nothing of it kept."""

    at: dt.datetime | None  # its last time, UTC


def reject(reason: ReasonCode, line: Line, file: str, detail: str) -> Reject:
    """The Reject of a record: where it stands and a digest of it, never its text."""
    return Reject(
        reason=reason,
        origin_file=file,
        origin_offset=line.offset,
        length=len(line.data),
        digest=hash_of(line.data),
        detail=detail,
    )


class Assembler:
    """Makes rows. Build one a process: it holds a language model and the redaction patterns."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._redactor = load_redactor(assembly.redaction)
        self._start = chain_start(assembly.secret)
        self._identifier = Identifier()
        self._sketcher = Sketcher()

    def assemble(
        self, raw: Raw, line: Line, origin: Origin
    ) -> Assembled | SeedPair | Reject | Suppressed:
        """One record's rows, with the ids they keep on every re-run. Never raises on bad input."""
        if isinstance(raw, Refused):
            return reject(raw.reason, line, origin.file, raw.detail)
        said = raw.turns if isinstance(raw, RawConversation) else raw.prompt
        roles = [normalize.role(turn.role) for turn in said]
        if None in roles:
            detail = f"message {roles.index(None)} has an unknown role"
            return reject(ReasonCode.WRONG_SHAPE, line, origin.file, detail)
        if Role.USER not in roles:
            detail = f"{len(roles)} messages, none by a user"
            return reject(ReasonCode.NO_USER_TURN, line, origin.file, detail)
        key = None if raw.user in (None, "") else user_key(raw.user, self._assembly.secret)
        if key in self._assembly.suppressed:
            times = (normalize.timestamp(turn.timestamp) for turn in said)
            return Suppressed(max(filter(None, times), default=None))
        known = [role for role in roles if role is not None]
        if isinstance(raw, RawPair):
            return self._pair(raw, known, key, line, origin)
        return self._conversation(raw, known, key, line, origin)

    def _conversation(
        self,
        raw: RawConversation,
        roles: Sequence[Role],
        key: str | None,
        line: Line,
        origin: Origin,
    ) -> Assembled:
        texts = [normalize.text(turn.content) for turn in raw.turns]
        languages = self._languages(raw.turns, roles, texts)
        spoken = languages[roles.index(Role.USER)]
        country = raw.country if isinstance(raw.country, str) else None
        redacted = self._redactor.redact(texts, language=spoken, country=country)
        chains = self._chains(roles, texts)
        times = [normalize.timestamp(turn.timestamp) for turn in raw.turns]
        same: dict[str, Any] = {
            "conversation_id": self._conversation_id(raw.id, key, chains, times),
            "user_key": key,
            "opted_out": self._opted_out(raw.opted_out, key),
            "source": origin.source,
            "origin_file": origin.file,
            "origin_offset": line.offset,
        }
        said = zip(raw.turns, roles, redacted.texts, languages, chains, times, strict=True)
        turns = list(_turns(said, same))
        facts = ConversationFacts(
            **same,
            messages=len(turns),
            language=spoken,
            started_at=min(filter(None, times), default=None),
            ended_at=max(filter(None, times), default=None),
            redactions=_redactions(redacted),
            content_hash=content_hash(turns),
            sketch=self._sketcher.bands([t.content for t in turns if t.role is Role.USER]),
            chain=turns[-1].chain,
        )
        return Assembled(turns, facts, _prompts(turns, redacted.texts))

    def _pair(
        self, raw: RawPair, roles: Sequence[Role], key: str | None, line: Line, origin: Origin
    ) -> SeedPair:
        texts = [normalize.text(turn.content) for turn in raw.prompt]
        answers = [normalize.text(raw.chosen), normalize.text(raw.rejected)]
        chains = self._chains([*roles, *2 * [Role.ASSISTANT]], texts + answers)
        known_as = self._conversation_id(raw.id, key, chains, len(chains) * [None])
        language = self._languages(raw.prompt, roles, texts)[roles.index(Role.USER)]
        redacted = self._redactor.redact(texts + answers, language=language, country=None)
        *prompt, chosen, rejected = redacted.texts
        return SeedPair(
            pair_id=hash_of(f"{origin.source}\0{known_as}\0pair".encode()),
            prompt=tuple(
                Message(role=role, content=text) for role, text in zip(roles, prompt, strict=True)
            ),
            chosen=chosen,
            rejected=rejected,
            user_key=key,
            opted_out=self._opted_out(raw.opted_out, key),
            redactions=_redactions(redacted),
            source=origin.source,
            origin_file=origin.file,
            origin_offset=line.offset,
        )

    def _languages(
        self, said: Sequence[RawTurn], roles: Sequence[Role], texts: Sequence[str]
    ) -> list[str | None]:
        """A system prompt is in the language that its log says, or in none: nobody spoke it."""
        known = [normalize.language(turn.language) for turn in said]
        if None not in known:
            return known
        spoken = [at for at, role in enumerate(roles) if role in (Role.USER, Role.ASSISTANT)]
        found = self._identifier.identify_all(
            [texts[at] for at in spoken], [known[at] for at in spoken]
        )
        for at, language in zip(spoken, found, strict=True):
            known[at] = language
        return known

    def _chains(self, roles: Sequence[Role], texts: Sequence[str]) -> list[bytes]:
        said = zip(roles, texts, strict=True)
        return list(accumulate(said, lambda c, turn: chain(c, *turn), initial=self._start))[1:]

    def _conversation_id(
        self,
        given: str | int | None,
        key: str | None,
        chains: Sequence[bytes],
        times: Sequence[dt.datetime | None],
    ) -> str:
        """As the log gives it, unless there is none or it is itself a way to reach somebody."""
        if given in (None, ""):
            return f"sha-{id_of(key, chains, times)}"
        text = str(given)
        if _REACHES.search(text):
            # A space before each plus: behind user_ or the like it begins a number all the same.
            plain = unquote(text).replace("+", " +")
            found = self._redactor.redact([plain], language=None, country=None)
            if found.counts:
                text = f"key-{user_key(text, self._assembly.secret)}"
        return self._assembly.id_prefix + text

    def _opted_out(self, said: object, key: str | None) -> bool:
        return bool(normalize.flag(said)) or key in self._assembly.opted_out


def _turns(
    said: Iterable[tuple[RawTurn, Role, str, str | None, bytes, dt.datetime | None]],
    same: Mapping[str, Any],
) -> Iterator[Turn]:
    """`same`: the fields that all turns of a record share."""
    ids = turn_ids(same["source"], same["conversation_id"])
    for index, (turn, role, text, language, so_far, at) in enumerate(said):
        prompt_hash = hash_of(text.encode()) if role is Role.SYSTEM and text else None
        yield Turn(
            **same,
            turn_id=next(ids),
            turn_index=index,
            role=role,
            content=text if prompt_hash is None else "",
            prompt_hash=prompt_hash,
            model=_name(turn.model) if role is Role.ASSISTANT else None,
            language=language,
            event_ts=at,
            thumb=normalize.thumb(turn.thumb),
            rating=normalize.rating(turn.rating),
            regenerated=normalize.flag(turn.regenerated),
            edited=normalize.flag(turn.edited),
            flagged=normalize.flag(turn.flagged),
            chain=int.from_bytes(so_far),
        )


def _prompts(turns: Sequence[Turn], texts: Sequence[str]) -> list[SystemPrompt]:
    """What the system messages among `turns` say, whose own content is a hash."""
    return [
        SystemPrompt(prompt_hash=turn.prompt_hash, content=text)
        for turn, text in zip(turns, texts, strict=True)
        if turn.prompt_hash is not None
    ]


def _redactions(redacted: Redacted) -> tuple[Redaction, ...]:
    return tuple(Redaction(kind, count) for kind, count in sorted(redacted.counts.items()))


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
