"""The nouns of Driftmine. READ FIRST.

Rows are `msgspec.Struct`s and not dataclasses because a night makes millions of them: a frozen
struct is built about ten times faster than a frozen dataclass, and `gc=False` keeps them off
the garbage collector's lists (they hold no cycles).

Times are UTC. Character offsets count Unicode code points. Hashes are lower-case hex.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import msgspec


class Role(StrEnum):
    """Who wrote a turn."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class SignalKind(StrEnum):
    """What a user follow-up says of the answer before it."""

    DSAT = "dsat"
    SAT = "sat"
    NEUTRAL = "neutral"


class Category(StrEnum):
    """The kinds of follow-up, in order of precedence where two fit (docs/detection.md)."""

    REFUSAL_PUSHBACK = "refusal_pushback"
    CORRECTION = "correction"
    REFINEMENT = "refinement"
    COMPLAINT = "complaint"
    CHALLENGE = "challenge"
    SAT = "sat"
    NEUTRAL = "neutral"

    @property
    def signal(self) -> SignalKind:
        """The signal that a follow-up of this category carries."""
        match self:
            case Category.SAT:
                return SignalKind.SAT
            case Category.NEUTRAL:
                return SignalKind.NEUTRAL
        return SignalKind.DSAT


class ReasonCode(StrEnum):
    """Why a record of a log could not be read. Stable: reports and alerts are built on them."""

    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    WRONG_SHAPE = "wrong_shape"  # JSON, but not the shape of the file's format
    UNKNOWN_FORMAT = "unknown_format"  # no reader knows the file's shape
    LINE_TOO_LONG = "line_too_long"
    TRUNCATED_STREAM = "truncated_stream"  # a compressed file that ends too early
    EXPANSION_LIMIT = "expansion_limit"  # a compressed file that expands beyond all measure
    NO_USER_TURN = "no_user_turn"
    ID_CLASH = "id_clash"  # another conversation of the stream has the same id


class _Row(msgspec.Struct, frozen=True, gc=False):
    """Base of all rows."""


class Turn(_Row, frozen=True, kw_only=True):
    """One message of a conversation, as logged."""

    turn_id: str  # 32 hex: of source, conversation id and index, so the same on every re-run
    conversation_id: str  # as the log gives it; else "sha-" and a hash of the record
    turn_index: int  # from 0, counting every message of the conversation
    role: Role
    content: str  # redacted; "" where `prompt_hash` says what it was
    prompt_hash: str | None = None  # 32 hex: a system turn's text, kept once in system_prompts
    model: str | None = None  # that wrote it; of assistant turns only
    user_key: str | None = None  # 32 hex, keyed hash of the user's id; never the id
    language: str | None = None  # ISO 639-1, such as "en"
    event_ts: dt.datetime | None = None  # UTC, with tzinfo
    thumb: int | None = None  # explicit feedback on this turn: 1 or -1
    rating: float | None = None  # explicit rating of this turn, on the scale of its source
    regenerated: bool | None = None  # the user asked for another answer by a button
    edited: bool | None = None  # the user rewrote this turn by hand
    flagged: bool | None = None  # the log's own moderation calls it unsafe or toxic
    opted_out: bool = False  # may be analysed, never trained on
    carried: bool = False  # an earlier record shows this turn: here it is context only
    source: str  # name of the log stream: a setting, else the format's name
    origin_file: str  # absolute path or URL of the log file
    origin_offset: int  # byte at which the record starts in the (decompressed) file; or its row
    chain: int  # 64-bit keyed hash of this turn and all before it: equal chains, equal prefixes


class Conversation(_Row, frozen=True, kw_only=True):
    """All turns of one conversation that one log record holds, in order."""

    conversation_id: str
    turns: tuple[Turn, ...]
    cluster: str | None = None  # the near-duplicate conversations that it belongs to


class Redaction(_Row, frozen=True):
    """How many things of one kind were replaced by placeholders."""

    kind: str  # EMAIL, PHONE, ... (docs/redaction.md)
    count: int


class ConversationFacts(_Row, frozen=True, kw_only=True):
    """What is known of one conversation without its text, as one log record holds it."""

    conversation_id: str
    source: str
    messages: int  # turns of the record, those that are carried included
    user_key: str | None = None
    language: str | None = None  # ISO 639-1, of the user's first turn
    opted_out: bool = False
    started_at: dt.datetime | None = None  # UTC: the first time that a turn says, and the last
    ended_at: dt.datetime | None = None
    redactions: tuple[Redaction, ...] = ()
    content_hash: str  # 32 hex: equal for records that say the same, to the same user, at one time
    sketch: tuple[int, ...] = ()  # 64-bit MinHash bands of the user's texts: one shared, near
    cluster: str | None = None  # 32 hex: the near-duplicate conversations that it belongs to
    chain: int  # of the last turn
    origin_file: str
    origin_offset: int


class SystemPrompt(_Row, frozen=True, kw_only=True):
    """The text of system turns, once."""

    prompt_hash: str  # 32 hex
    content: str  # redacted


class Evidence(_Row, frozen=True, kw_only=True):
    """One reason to believe that a follow-up shows what it is said to show."""

    rule: str  # name and version: "explicit_complaint_v2"
    start: int  # [start, end) in characters of the follow-up; 0, 0 for a structural sign
    end: int
    weight: float  # log-odds, from the rule's file


class Signal(_Row, frozen=True, kw_only=True):
    """The verdict of one detector on one user follow-up."""

    turn_id: str  # of the follow-up
    conversation_id: str
    turn_index: int  # of the follow-up
    answer_turn_id: str  # of the assistant turn that it speaks about
    signal: SignalKind
    category: Category
    probability: float  # calibrated, in [0, 1]: that the follow-up is DSAT
    evidence: tuple[Evidence, ...]
    detector: str
    detector_version: str
    model: str | None = None  # that wrote the answer
    user_key: str | None = None
    language: str | None = None
    event_ts: dt.datetime | None = None  # of the follow-up
    # Probabilities that it was judged by: DSAT from the first on, trained on from the second on.
    report_threshold: float | None = None
    trainable_threshold: float | None = None


class Message(_Row, frozen=True, kw_only=True):
    """One message of a prompt: the shape that chat templates take."""

    role: Role
    content: str
    prompt_hash: str | None = None  # set where the text is kept in system_prompts instead


class DsatTurn(_Row, frozen=True, kw_only=True):
    """A dissatisfying answer with what came before it and what the user said of it."""

    turn_id: str  # of the feedback turn: what leases and lineage speak of
    conversation_id: str
    answer_turn_id: str
    context: tuple[Message, ...]  # all up to the request; the last is a user's
    answer: str  # the dissatisfying answer, as logged
    feedback: str  # the follow-up
    category: Category
    probability: float  # calibrated, in [0, 1]
    trainable: bool
    untrainable_reason: str | None = None  # set where `trainable` is false
    detector: str
    detector_version: str
    model: str | None = None  # that wrote the answer
    user_key: str | None = None
    language: str | None = None
    event_ts: dt.datetime | None = None
    cluster: str | None = None  # the near-duplicate conversations that it belongs to


class SatTurn(_Row, frozen=True, kw_only=True):
    """An answer that a user was content with, what came before it and what the user said of it."""

    turn_id: str  # of the feedback turn: what leases and lineage speak of
    conversation_id: str
    answer_turn_id: str
    context: tuple[Message, ...]  # all up to the request; the last is a user's
    answer: str
    feedback: str
    probability: float  # calibrated, in [0, 1]: that the feedback is DSAT, and so a low one
    model: str | None = None  # that wrote the answer
    user_key: str | None = None
    language: str | None = None
    event_ts: dt.datetime | None = None
    cluster: str | None = None  # the near-duplicate conversations that it belongs to


class ItemKind(StrEnum):
    """What a batch can hold."""

    DSAT = "dsat"  # a DsatTurn
    SAT = "sat"  # a SatTurn
    SEED = "seed"  # a SeedPair


class LineageTurn(_Row, frozen=True, kw_only=True):
    """A turn, or a seed pair, that a model version was trained on."""

    turn_id: str  # of the DsatTurn or SatTurn, or the id of the SeedPair
    batch_id: str
    stream: str
    model_version: str
    user_key: str | None = None
    kind: ItemKind = ItemKind.DSAT


class SeedPair(_Row, frozen=True, kw_only=True):
    """An answer and a better one to the same prompt: what a first update may learn from."""

    # 32 hex: of source and id, so the same on every re-run; of a pair that a conversation holds,
    # the turn_id of its DsatTurn: one of the two trains a model, or neither.
    pair_id: str
    conversation_id: str | None = None
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    user_key: str | None = None
    opted_out: bool = False
    redactions: tuple[Redaction, ...] = ()
    source: str
    origin_file: str
    origin_offset: int


class PreferencePair(_Row, frozen=True, kw_only=True):
    """What one DPO step learns from, with the turn that it came from."""

    turn_id: str  # of the DsatTurn
    prompt: tuple[Message, ...]  # the context, without the feedback
    chosen: str
    rejected: str


class Reject(_Row, frozen=True, kw_only=True):
    """A record that could not be read. It carries a digest and a place, never user text."""

    reason: ReasonCode
    origin_file: str
    origin_offset: int  # byte at which the record starts in the (decompressed) file
    length: int  # bytes
    digest: str  # 32 hex, blake2b of the record's bytes
    detail: str  # what a person would look for; names of fields and types only
