"""The conversations that the sandbox's policy is pre-trained on. Pure."""

from __future__ import annotations

import random

from driftmine.sandbox.habits import mend, write
from driftmine.sandbox.tasks import LANGUAGES, draw
from driftmine.sandbox.users import Behaviour, User, ask, read
from training.pairs import GUIDANCE

# What user and assistant say, in turn; the last is the assistant's.
Lesson = tuple[str, ...]

_SINGLE = 0.6  # of the lessons: a request and its answer
_GUIDED = 0.5  # of complaints: the instruction that DRIFT draws its answers by stands after them
# Everybody speaks, and nobody is wrong about an answer.
_TALKATIVE = Behaviour(reacts=1.0, goes_on=1.0, false_complaints=0.0, false_content=0.0)


def lesson(rng: random.Random) -> Lesson:
    """A request and an answer to it, and in two of five what the user then says, answered."""
    (language,) = rng.choices(LANGUAGES, (4, 1, 1))
    user = User(id="", language=language, hostile=False, rng=rng)
    task = draw(rng, (language,))
    asked, answer = ask(user, task, _TALKATIVE), write(task, rng)
    if rng.random() < _SINGLE:
        return asked, answer
    reading, reply = read(user, task, answer, 0, _TALKATIVE)
    assert reply is not None
    if not reading.dissatisfied:
        return asked, answer, reply.text, write(reply.task, rng)
    said = f"{reply.text}\n\n{GUIDANCE}" if rng.random() < _GUIDED else reply.text
    return asked, answer, said, mend(task, rng)
