"""One day of the product: users ask, the policy answers, and a log is written.

What users thought is kept beside the log, in `truth.jsonl`, where nothing of the pipeline looks.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from driftmine.sandbox.phrases import Kind
from driftmine.sandbox.tasks import LANGUAGES, Task, draw_asked
from driftmine.sandbox.truth import Fault
from driftmine.sandbox.users import Behaviour, User, ask, read
from training.samplers.base import Sampler, Sampling
from warehouse.durable import write_whole
from warehouse.records import Message, Role

MOST_ANSWERS = 4  # of one conversation
_PEOPLE = 100_000
HOSTILE_TALKS = 8  # a day, of one hostile user
# The policy's own distribution: what a product is served at.
SERVED = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=48, max_prompt_tokens=512, batch=256)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about one answer of the log: a row of truth.jsonl."""

    conversation_id: str
    turn_index: int  # of the answer, counting every message of the conversation
    faults: tuple[Fault, ...]
    dissatisfied: bool
    said: Kind | None  # what the user did in words; None: nothing
    replied: bool  # a follow-up comes after it
    hostile: bool
    task: Task
    prompt: str  # what the messages before the answer are known by
    exchange: str | None  # what request, answer and follow-up are known by; None: none followed


def known_by(*texts: str) -> str:
    """A digest of some messages, in their order."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).hexdigest()


@dataclass(slots=True, kw_only=True)
class _Talk:
    """A conversation while it goes on."""

    id: str
    user: User
    task: Task
    messages: list[Message]
    complaints: int = 0
    seen: list[Seen] = field(default_factory=list)

    def take(self, answer: str, behaviour: Behaviour) -> bool:
        """The policy answers, the user reads; whether the conversation goes on."""
        texts = [message.content for message in self.messages]
        reading, reply = read(self.user, self.task, answer, self.complaints, behaviour)
        self.seen.append(
            Seen(
                conversation_id=self.id,
                turn_index=len(texts),
                faults=reading.broken,
                dissatisfied=reading.dissatisfied,
                said=reading.said,
                replied=reply is not None,
                hostile=self.user.hostile,
                task=self.task,
                prompt=known_by(*texts),
                exchange=known_by(texts[-1], answer, reply.text) if reply else None,
            )
        )
        self.messages.append(Message(role=Role.ASSISTANT, content=answer))
        if reply is None:
            return False
        self.messages.append(Message(role=Role.USER, content=reply.text))
        self.complaints += reading.dissatisfied
        self.task = reply.task
        return reply.goes_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What users did in a day, without what they were answered."""

    date: dt.date
    users: int
    behaviour: Behaviour
    seed: int


def serve(sampler: Sampler, model: str, day: Day, log: Path, truth: Path) -> list[Seen]:
    """Let a day's users talk to the policy behind `sampler`, and write both files."""
    talks = _opened(day)
    going = talks
    for step in range(MOST_ANSWERS):
        if not going:
            break
        asked = [tuple(talk.messages) for talk in going]
        answers = sampler.sample(asked, SERVED, seed=day.seed * 100 + step)
        both = zip(going, answers, strict=True)
        going = [talk for talk, answer in both if talk.take(answer.text, day.behaviour)]
    seen = [one for talk in talks for one in talk.seen]
    _write(truth, seen)
    _write(log, [_record(talk, model, day.date) for talk in talks])
    return seen


def _opened(day: Day) -> list[_Talk]:
    """The conversations that users begin."""
    rng = random.Random(day.seed)
    talks: list[_Talk] = []
    for number in rng.sample(range(max(_PEOPLE, day.users)), day.users):
        (language,) = rng.choices(LANGUAGES, (4, 1, 1))
        user = User(
            id=f"user-{number:05d}",  # a few are there on two days
            language=language,
            hostile=_hostile(number, day.behaviour.hostile),
            rng=random.Random(rng.getrandbits(64)),
        )
        talks += _of_user(user, day, len(talks))
    return talks


def _hostile(number: int, share: float) -> bool:
    """Whether somebody is: on every day, or on none."""
    return random.Random(number).random() < share


def _of_user(user: User, day: Day, first: int) -> list[_Talk]:
    """One to three conversations about a task each; of a hostile user many about the same."""
    rng = user.rng
    if user.hostile:
        tasks = [draw_asked(rng, (user.language,))] * HOSTILE_TALKS
    else:
        tasks = [draw_asked(rng, (user.language,)) for _ in range(rng.choice((1, 1, 2, 3)))]
    return [
        _Talk(
            id=f"{day.date:%Y%m%d}-{number:05d}",
            user=user,
            task=task,
            messages=[Message(role=Role.USER, content=ask(user, task, day.behaviour))],
        )
        for number, task in enumerate(tasks, first)
    ]


def _record(talk: _Talk, model: str, date: dt.date) -> dict[str, object]:
    """As the Chat Completions format has it, with what a product logs beside it."""
    return {
        "conversation_id": talk.id,
        "user": talk.user.id,
        "model": model,
        "language": talk.user.language,
        "created_at": f"{date}T12:00:00Z",
        "messages": [{"role": m.role, "content": m.content} for m in talk.messages],
    }


def _write(path: Path, rows: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.Encoder().encode_lines(rows))
