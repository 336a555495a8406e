"""How the sandbox's policy answers before anybody has complained: the text it is pre-trained on.

It knows how to do everything that is asked of it, and has habits: each is a share of answers in
which a constraint that the request states is passed over. Told what was wrong, it mostly mends it.
Pure.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

from driftmine.sandbox.tasks import (
    CATEGORIES,
    WORDS,
    Casing,
    Family,
    Form,
    Order,
    Task,
    number_word,
    word,
)
from driftmine.sandbox.truth import Fault, collated

# Share of answers that break a constraint, of those to requests that state it.
HABITS: Mapping[Fault, float] = MappingProxyType(
    {
        Fault.COUNT: 0.18,
        Fault.CATEGORY: 0.03,
        Fault.LANGUAGE: 0.40,
        Fault.REPEAT: 0.10,
        Fault.ORDER: 0.45,
        Fault.CASING: 0.45,
        Fault.FORMAT: 0.40,
        Fault.ARITHMETIC: 0.30,
    }
)
MENDED = 0.8  # of answers that it gives once it was told


def write(task: Task, rng: random.Random, habits: Mapping[Fault, float] = HABITS) -> str:
    """An answer to `task`, with each fault as often as `habits` says."""
    slips = {fault for fault, share in habits.items() if rng.random() < share}
    if task.family is Family.SUM:
        return _number(task, slips, rng)
    words = _chosen(task, slips, rng)
    if task.order and Fault.ORDER not in slips:
        words.sort(key=lambda text: collated(text.casefold()), reverse=task.order is Order.REVERSED)
    return _set(task, slips, [_cased(task.casing, slips, one) for one in words])


def mend(task: Task, rng: random.Random) -> str:
    """An answer after a complaint."""
    return write(task, rng, {} if rng.random() < MENDED else HABITS)


def _number(task: Task, slips: set[Fault], rng: random.Random) -> str:
    total = sum(task.addends)
    if Fault.ARITHMETIC in slips:
        total = max(min(total + rng.choice((-1, 1)), 18), 0)
    spelled = (task.form is Form.WORD) != (Fault.FORMAT in slips)
    return number_word(total, task.target) if spelled else str(total)


def _chosen(task: Task, slips: set[Fault], rng: random.Random) -> list[str]:
    n = task.n
    if task.family is Family.NAME:
        if Fault.COUNT in slips:
            n = rng.choice((n + 1, max(n - 1, 1)))
        ones = [(task.category, i) for i in rng.sample(range(WORDS), n)]
    else:
        ones = list(task.words)
        if Fault.COUNT in slips and n > 2:
            ones.pop(rng.randrange(n))
    if Fault.CATEGORY in slips:
        other = rng.choice([x for x in CATEGORIES if x != ones[0][0]])
        ones[rng.randrange(len(ones))] = (other, rng.randrange(WORDS))
    if Fault.REPEAT in slips and len(ones) > 1:
        ones[-1] = ones[0]
    language = task.target
    if task.says_target and Fault.LANGUAGE in slips:
        language = task.language
    return [word(one, language) for one in ones]


def _cased(casing: Casing, slips: set[Fault], text: str) -> str:
    if Fault.CASING in slips or casing is Casing.ANY:
        return text
    return text.upper() if casing is Casing.CAPITALS else text.lower()


def _set(task: Task, slips: set[Fault], words: list[str]) -> str:
    form = Form.ANY if Fault.FORMAT in slips else task.form
    match form:
        case Form.DASHES:
            return "\n".join(f"- {one}" for one in words)
        case Form.NUMBERED:
            return "\n".join(f"{i}. {one}" for i, one in enumerate(words, 1))
        case Form.SEMICOLONS:
            return "; ".join(words)
    return ", ".join(words)
