"""The tasks of the sandbox's product: small requests whose answers can be checked. Pure.

Four families: naming members of a category, sorting given words, adding, translating. A request
states some of what an answer must keep to: how many, of what, in which language, order, casing
and form. docs/sandbox.md describes them all.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

LANGUAGES = ("en", "de", "es")
CATEGORIES = ("animals", "fruits", "colours", "tools")
WORDS = 8  # of a category


class Family(StrEnum):
    """What is asked for."""

    NAME = "name"
    SORT = "sort"
    SUM = "sum"
    TRANSLATE = "translate"


class Order(StrEnum):
    """Of the words of an answer; ANY: the request does not say."""

    ANY = ""
    ALPHABETICAL = "alphabetical"
    REVERSED = "reversed"


class Casing(StrEnum):
    """Of the letters of an answer; ANY: the request does not say."""

    ANY = ""
    CAPITALS = "capitals"
    LOWER = "lower"


class Form(StrEnum):
    """How the words of an answer are set; ANY: the request does not say."""

    ANY = ""
    DASHES = "dashes"
    NUMBERED = "numbered"
    SEMICOLONS = "semicolons"
    WORD = "word"  # of a number
    DIGITS = "digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request, and what an answer to it must keep to."""

    family: Family
    language: str  # of the request: "en", "de" or "es"
    target: str  # language of the answer
    says_target: bool = False  # NAME: the request asks for that language
    category: str = ""  # NAME
    n: int = 1  # words of the answer
    words: tuple[tuple[str, int], ...] = ()  # SORT, TRANSLATE: (category, number of the word)
    addends: tuple[int, int] = (0, 0)  # SUM
    order: Order = Order.ANY
    casing: Casing = Casing.ANY
    form: Form = Form.ANY
    phrasing: int = 0  # which of the ways to put it

    @property
    def request(self) -> str:
        """What the user writes."""
        ways = book()["requests"][self.family][self.language]
        return str(
            ways[self.phrasing % len(ways)].format(
                n=self.n,
                category=book()["categories"].get(self.category, {}).get(self.language, ""),
                words=", ".join(word(one, self.language) for one in self.words),
                order=self._wish(self.order).strip(),
                target=language_name(self.target, self.language),
                a=self.addends[0],
                b=self.addends[1],
                wishes=self._wishes(),
            )
        )

    def _wishes(self) -> str:
        wishes = ""
        if self.family is Family.NAME and self.says_target:
            name = language_name(self.target, self.language)
            wishes += self._wish("target").format(target=name)
        if self.family is not Family.SORT:
            wishes += self._wish(self.order)
        return wishes + self._wish(self.casing) + self._wish(self.form)

    def _wish(self, name: str) -> str:
        return str(book()["wishes"][name][self.language]) if name else ""


def draw(rng: random.Random, languages: tuple[str, ...] = LANGUAGES) -> Task:
    """A task, at random: English four times as often as each other language."""
    weights = [4 if language == "en" else 1 for language in languages]
    (language,) = rng.choices(languages, weights)
    (family,) = rng.choices(list(Family), (6, 3, 2, 2))
    return _DRAWN[family](rng, language)


def draw_asked(rng: random.Random, languages: tuple[str, ...] = LANGUAGES) -> Task:
    """A task that users ask: none of those that are held out."""
    return next(task for task in iter(lambda: draw(rng, languages), None) if not held_out(task))


def draw_held_out(rng: random.Random, n: int) -> list[Task]:
    """`n` different requests that no user ever makes; some ask the same in other words."""
    found: dict[str, Task] = {}
    while len(found) < n:
        task = draw(rng)
        if held_out(task):
            found.setdefault(task.request, task)
    return list(found.values())


def held_out(task: Task) -> bool:
    """Whether users never ask it, in whatever words: a tenth of all tasks, by a hash of them."""
    return zlib.crc32(gist(task).encode()) % 10 == 0


def gist(task: Task) -> str:
    """What a task is, whatever its words: the same text for the same answers."""
    plain = replace(
        task,
        phrasing=0,
        words=tuple(sorted(task.words)),
        addends=(min(task.addends), max(task.addends)),
    )
    return plain.request


def _name(rng: random.Random, language: str) -> Task:
    says = rng.random() < 0.2
    return Task(
        family=Family.NAME,
        language=language,
        target=rng.choice([x for x in LANGUAGES if x != language]) if says else language,
        says_target=says,
        category=rng.choice(CATEGORIES),
        n=rng.randint(2, 4),
        order=_maybe(rng, 0.4, (Order.ALPHABETICAL, Order.ALPHABETICAL, Order.REVERSED)),
        casing=_maybe(rng, 0.4, (Casing.CAPITALS, Casing.LOWER)),
        form=_maybe(rng, 0.35, (Form.DASHES, Form.NUMBERED, Form.SEMICOLONS)),
        phrasing=rng.randrange(12),
    )


def _sort(rng: random.Random, language: str) -> Task:
    category = rng.choice(CATEGORIES)
    numbers = rng.sample(range(WORDS), 3)
    return Task(
        family=Family.SORT,
        language=language,
        target=language,
        n=len(numbers),
        words=tuple((category, number) for number in numbers),
        order=rng.choice((Order.ALPHABETICAL, Order.ALPHABETICAL, Order.REVERSED)),
        casing=_maybe(rng, 0.3, (Casing.CAPITALS, Casing.LOWER)),
        form=_maybe(rng, 0.3, (Form.DASHES, Form.NUMBERED, Form.SEMICOLONS)),
        phrasing=rng.randrange(12),
    )


def _sum(rng: random.Random, language: str) -> Task:
    return Task(
        family=Family.SUM,
        language=language,
        target=language,
        addends=(rng.randint(1, 9), rng.randint(1, 9)),
        form=rng.choice((Form.WORD, Form.DIGITS)),
        phrasing=rng.randrange(12),
    )


def _translate(rng: random.Random, language: str) -> Task:
    category = rng.choice(CATEGORIES)
    n = rng.randint(1, 2)
    return Task(
        family=Family.TRANSLATE,
        language=language,
        target=rng.choice([x for x in LANGUAGES if x != language]),
        says_target=True,
        n=n,
        words=tuple((category, number) for number in rng.sample(range(WORDS), n)),
        casing=_maybe(rng, 0.4, (Casing.CAPITALS, Casing.LOWER)),
        phrasing=rng.randrange(12),
    )


_DRAWN = {
    Family.NAME: _name, Family.SORT: _sort, Family.SUM: _sum, Family.TRANSLATE: _translate,
}  # fmt: skip


def _maybe(rng: random.Random, share: float, some: tuple[Any, ...]) -> Any:
    """One of `some` for a share of all tasks, else what stands for "not said"."""
    one = rng.choice(some)
    return one if rng.random() < share else type(one)("")


def word(one: tuple[str, int], language: str) -> str:
    """A word, (category, number), in a language, as dictionaries write it."""
    category, number = one
    return str(book()["words"][category][number][LANGUAGES.index(language)])


def number_word(number: int, language: str) -> str:
    """A number up to 18 in words."""
    return str(book()["numbers"][language][number])


def language_name(target: str, language: str) -> str:
    """What a language is called in another."""
    return str(book()["languages"][language][target])


@cache
def book() -> Any:
    """Words and ways to ask: data/words.json."""
    return msgspec.json.decode((files("driftmine.sandbox") / "data" / "words.json").read_bytes())
