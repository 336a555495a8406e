"""The behaviour of simulated users: what they ask, how they take an answer, what they say. Pure.

A user reads an answer and is dissatisfied where it breaks a constraint of the request, but for
noise: some complain without cause, and some do not see the fault. Who is dissatisfied may say so,
in a way that depends on the fault, as long as patience lasts; who is satisfied may give thanks, go
on with another request, or leave. docs/sandbox.md has the numbers in a table.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from driftmine.sandbox.phrases import Kind, openings, phrases
from driftmine.sandbox.tasks import Task, draw_asked
from driftmine.sandbox.truth import Fault, faults

_KINDS = (Kind.NAME, Kind.REPEAT, Kind.COMPLAIN, Kind.CHALLENGE, Kind.SARCASM)
# How often each of _KINDS is what a dissatisfied user does, by the fault that they saw.
_REACTIONS: Mapping[Fault | None, tuple[int, ...]] = MappingProxyType(
    {
        Fault.COUNT: (60, 20, 10, 5, 5),
        Fault.CATEGORY: (45, 15, 15, 20, 5),
        Fault.LANGUAGE: (50, 25, 15, 5, 5),
        Fault.REPEAT: (55, 15, 20, 5, 5),
        Fault.ORDER: (55, 25, 10, 5, 5),
        Fault.CASING: (60, 25, 10, 0, 5),
        Fault.FORMAT: (55, 25, 15, 0, 5),
        Fault.ARITHMETIC: (35, 10, 10, 40, 5),
        None: (0, 25, 35, 30, 10),  # without cause
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Probabilities of what users do."""

    reacts: float = 0.75  # who is dissatisfied says so; the others leave without a word
    patience: float = 0.6  # who has complained once reads on, and so for every further time
    thanks: float = 0.3  # who is satisfied says so
    goes_on: float = 0.5  # who is satisfied has another request
    false_complaints: float = 0.05  # of right answers, with which a user is dissatisfied
    false_content: float = 0.05  # of wrong answers, with which a user is satisfied
    hostile: float = 0.0  # of users: they complain about right answers, and praise wrong ones
    opens: float = 0.8  # of requests: words before them


@dataclass(slots=True, kw_only=True)
class User:
    """One user, and all the chance in what they do."""

    id: str
    language: str
    hostile: bool
    rng: random.Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a user took an answer: what no log says."""

    broken: tuple[Fault, ...]  # the truth
    dissatisfied: bool
    said: Kind | None  # None: nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a user writes next, and about which task."""

    text: str
    task: Task
    goes_on: bool  # an answer is expected


def ask(user: User, task: Task, behaviour: Behaviour) -> str:
    """The first message of a conversation."""
    if user.rng.random() >= behaviour.opens:
        return task.request
    return f"{user.rng.choice(openings()[user.language])} {task.request}"


def read(
    user: User, task: Task, answer: str, complaints: int, behaviour: Behaviour
) -> tuple[Reading, Reply | None]:
    """How `user` takes an answer, having complained `complaints` times; None: they leave."""
    rng = user.rng
    broken = tuple(sorted(faults(task, answer)))
    dissatisfied = _dissatisfied(user, bool(broken), behaviour)
    if dissatisfied:
        stays = 1.0 if user.hostile else behaviour.reacts * behaviour.patience**complaints
        if rng.random() >= stays:
            return Reading(broken=broken, dissatisfied=True, said=None), None
        kind, text = complaint(user, task, broken)
        reading = Reading(broken=broken, dissatisfied=True, said=kind)
        return reading, Reply(text=text, task=task, goes_on=True)
    content, reply = _content(user, task, behaviour)
    return Reading(broken=broken, dissatisfied=False, said=content), reply


def _dissatisfied(user: User, wrong: bool, behaviour: Behaviour) -> bool:
    if user.hostile:
        return not wrong
    if wrong:
        return user.rng.random() >= behaviour.false_content
    return user.rng.random() < behaviour.false_complaints


def complaint(user: User, task: Task, broken: tuple[Fault, ...]) -> tuple[Kind, str]:
    """What a dissatisfied user says of an answer with these faults."""
    rng = user.rng
    seen = rng.choice(broken) if broken else None
    if user.hostile:  # names faults that are not there
        seen = rng.choice((None, Fault.COUNT, Fault.ORDER, Fault.FORMAT))
    (kind,) = rng.choices(_KINDS, _REACTIONS[seen])
    return kind, _say(user, kind, task, seen if kind is Kind.NAME else None)


def _content(user: User, task: Task, behaviour: Behaviour) -> tuple[Kind | None, Reply | None]:
    rng = user.rng
    chance = rng.random()
    if chance < behaviour.goes_on:
        another = draw_asked(rng, (user.language,))
        return Kind.NEXT, Reply(text=_say(user, Kind.NEXT, another), task=another, goes_on=True)
    if chance < behaviour.goes_on + behaviour.thanks * (1 - behaviour.goes_on):
        return Kind.THANK, Reply(text=_say(user, Kind.THANK, task), task=task, goes_on=False)
    return None, None


def _say(user: User, kind: Kind, task: Task, fault: Fault | None = None) -> str:
    phrase = user.rng.choice(phrases()[user.language, kind, fault])
    return phrase.text.replace("{request}", task.request).replace("{n}", str(task.n))
