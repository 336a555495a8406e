"""`driftmine explain`: why a turn was (not) called DSAT, and whether it was trained on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from driftmine import render_explain
from driftmine.session import Session, need_extra
from warehouse.errors import SettingsError
from warehouse.records import Category, Evidence, Role, SignalKind
from warehouse.trail import Record, StoredVerdict, Trail, Training

if TYPE_CHECKING:
    from mining.card import Thresholds
    from mining.conversations import Exchange
    from mining.detector import Detector, Word
    from mining.verdict import Verdict

# Probabilities that differ by less are shown alike, in three digits.
ROUNDING = 0.0005


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One turn."""

    turn_id: str
    turn_index: int
    log_date: dt.date  # of the record that shows it first
    source: str
    role: Role
    content: str
    model: str | None


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that hit or a structural sign, and what it speaks for."""

    rule: str
    start: int  # [start, end) in characters of the follow-up; 0, 0 for a structural sign
    end: int
    weight: float  # log-odds
    category: Category | None  # None: a thumb


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One follow-up: what each stage says of it now, what is stored, and what it trained."""

    turn_id: str
    turn_index: int
    log_date: dt.date
    answer_turn_id: str
    follow_up: str  # several messages in a row are one, joined by newlines
    language: str | None
    model: str | None  # that wrote the answer
    signs: tuple[Sign, ...]
    linear: Word
    first: float  # P(DSAT) of signs and linear model together
    encoder: Word | None
    not_asked: str | None  # why the encoder was not asked
    probability: float  # of all stages, calibrated
    signal: SignalKind
    category: Category
    trainable: bool
    untrainable_reason: str | None  # of DSAT turns: why not
    stored: tuple[StoredVerdict, ...]  # of every detector version
    as_stored: bool  # as readers see it, but for rounding; true where they see no verdict
    judged: bool  # what readers see has a judge's word in it; here no judge is asked
    trained: tuple[Training, ...]
    leased: str | None  # the batch that a trainer holds it in
    held_out: bool  # its conversation is never trained on: the gate is measured on it


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What `driftmine explain` says."""

    conversation_id: str
    detector: str
    detector_version: str
    thresholds: Thresholds
    other_versions: tuple[str, ...]  # that the current stored verdicts are of; (): this one
    turns: tuple[Said, ...]
    follow_ups: tuple[Explained, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the follow-ups are explained with."""

    trail: Trail
    detector: Detector
    opted_out: frozenset[str]
    held_out: bool


def explain(session: Session, said: str, turn: int | None) -> int:
    """Explain all follow-ups of a conversation, or the one at `turn`."""
    need_extra("etl", "spacy")
    from mining.detector import load_detector
    from warehouse.barred import Bar, barred
    from warehouse.candidates import place
    from warehouse.trail import trail

    detector = load_detector(session.settings.mining)
    with session.catalog() as catalog:
        found = trail(catalog, said, now=session.now)
        opted_out = barred(catalog, Bar.OPTED_OUT)
    known = _Known(
        trail=found,
        detector=detector,
        opted_out=opted_out,
        held_out=place(found.conversation_id) < session.settings.training.holdout,
    )
    follow_ups = [_explained(known, night, one) for night, one in _exchanges(found.records)]
    if turn is not None:
        follow_ups = [_at(follow_ups, turn)]
    explanation = Explanation(
        conversation_id=found.conversation_id,
        detector=detector.name,
        detector_version=detector.version,
        thresholds=detector.thresholds,
        other_versions=_others(detector, found.verdicts),
        turns=tuple(_turns(found.records)),
        follow_ups=tuple(follow_ups),
    )
    session.console.result(explanation, lambda: render_explain.explanation(explanation))
    return 0


def _at(follow_ups: Sequence[Explained], turn: int) -> Explained:
    for found in follow_ups:
        if found.turn_index == turn:
            return found
    at = ", ".join(str(found.turn_index) for found in follow_ups) or "none"
    raise SettingsError(
        f"--turn {turn}: no follow-up begins there. Follow-ups of this conversation: {at}. A "
        "user's first message, a blank one, and the second of two in a row are none."
    )


def _exchanges(records: Sequence[Record]) -> Iterator[tuple[dt.date, Exchange]]:
    from mining.conversations import exchanges

    for record in records:
        for exchange in exchanges(record.conversation):
            yield record.log_date, exchange


def _turns(records: Sequence[Record]) -> Iterator[Said]:
    """Each turn once: a record that goes on shows again what was said before."""
    seen: set[str] = set()
    for record in records:
        for turn in record.conversation.turns:
            if turn.turn_id not in seen:
                seen.add(turn.turn_id)
                yield Said(
                    turn_id=turn.turn_id,
                    turn_index=turn.turn_index,
                    log_date=record.log_date,
                    source=turn.source,
                    role=turn.role,
                    content=turn.content,
                    model=turn.model,
                )


def _others(detector: Detector, verdicts: Sequence[StoredVerdict]) -> tuple[str, ...]:
    stored = {f"{one.detector}@{one.detector_version}" for one in verdicts if one.current}
    return tuple(sorted(stored - {f"{detector.name}@{detector.version}"}))


def _explained(known: _Known, log_date: dt.date, exchange: Exchange) -> Explained:
    from mining.harvest import why_untrainable
    from mining.judge import RULE

    stages = known.detector.explain(exchange.follow_up)
    verdict, turn = stages.verdict, exchange.turn
    is_dsat = verdict.signal is SignalKind.DSAT
    here = (turn.turn_id, log_date)
    stored = tuple(one for one in known.trail.verdicts if (one.turn_id, one.log_date) == here)
    thresholds = known.detector.thresholds
    reason = why_untrainable(exchange, verdict, thresholds, known.opted_out) if is_dsat else None
    return Explained(
        turn_id=turn.turn_id,
        turn_index=turn.turn_index,
        log_date=log_date,
        answer_turn_id=exchange.answer_turn.turn_id,
        follow_up=exchange.follow_up.follow_up,
        language=turn.language,
        model=exchange.answer_turn.model,
        signs=tuple(_sign(rule.evidence, rule.category) for rule in stages.rules),
        linear=stages.linear,
        first=stages.first,
        encoder=stages.encoder,
        not_asked=stages.not_asked,
        probability=verdict.probability,
        signal=verdict.signal,
        category=verdict.category,
        trainable=is_dsat and reason is None,
        untrainable_reason=reason,
        stored=stored,
        as_stored=all(_is_like(one, verdict) for one in stored if one.current),
        judged=any(RULE in one.rules for one in stored if one.current),
        trained=tuple(one for one in known.trail.trained if one.turn_id == turn.turn_id),
        leased=known.trail.leased.get(turn.turn_id),
        held_out=known.held_out,
    )


def _is_like(stored: StoredVerdict, verdict: Verdict) -> bool:
    gap = abs(stored.probability - verdict.probability)
    return stored.signal is verdict.signal and gap < ROUNDING


def _sign(evidence: Evidence, category: Category | None) -> Sign:
    return Sign(
        rule=evidence.rule,
        start=evidence.start,
        end=evidence.end,
        weight=evidence.weight,
        category=category,
    )
