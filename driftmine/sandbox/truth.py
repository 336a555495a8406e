"""What is wrong with an answer: the truth that no user and no detector is told. Pure."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from driftmine.sandbox.tasks import (
    LANGUAGES,
    Casing,
    Family,
    Form,
    Order,
    Task,
    book,
    number_word,
    word,
)

_MARKS = {Form.NUMBERED: "{}. ".format, Form.DASHES: "- ".format}
_SEPARATORS = {
    Form.ANY: ", ", Form.DASHES: "\n", Form.NUMBERED: "\n", Form.SEMICOLONS: "; ",
}  # fmt: skip
_ANY_SEPARATOR = re.compile(r"\s*(?:[,;\n]|\d+\.|-\s)\s*")


class Fault(StrEnum):
    """A constraint that an answer breaks."""

    COUNT = "count"  # too many words, or too few
    CATEGORY = "category"  # a word that was not asked for
    LANGUAGE = "language"  # the right word in another language
    REPEAT = "repeat"  # a word twice
    ORDER = "order"
    CASING = "casing"
    FORMAT = "format"
    ARITHMETIC = "arithmetic"


def faults(task: Task, answer: str) -> frozenset[Fault]:
    """The constraints that an answer breaks; none: it is right. Never raises on any text."""
    if task.family is Family.SUM:
        return _sum_faults(task, answer)
    items = split(answer, task.form)
    found = set()
    if items is None:
        found.add(Fault.FORMAT)
        items = [one for one in _ANY_SEPARATOR.split(answer.strip()) if one]
    plain = [one.casefold() for one in items]
    if len(items) != task.n:
        found.add(Fault.COUNT)
    if len(set(plain)) < len(plain):
        found.add(Fault.REPEAT)
    found |= _word_faults(task, plain)
    if task.order and plain != sorted(plain, key=collated, reverse=task.order is Order.REVERSED):
        found.add(Fault.ORDER)
    if not _cased(task.casing, items):
        found.add(Fault.CASING)
    return frozenset(found)


def split(answer: str, form: Form) -> list[str] | None:
    """The words of an answer in a form; None where it is not in that form."""
    parts = answer.strip().split(_SEPARATORS[form])
    marks = _MARKS.get(form)
    if marks:
        if any(not part.startswith(marks(i)) for i, part in enumerate(parts, 1)):
            return None
        parts = [part[len(marks(i)) :] for i, part in enumerate(parts, 1)]
    if any(not part or _ANY_SEPARATOR.search(part) for part in parts):
        return None
    return parts


def collated(text: str) -> str:
    """What a word is sorted by: its letters without their marks."""
    return unicodedata.normalize("NFD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()


def _word_faults(task: Task, plain: list[str]) -> set[Fault]:
    """Which words may stand there, and in which language."""
    if task.family is Family.NAME:
        allowed = [(task.category, i) for i in range(len(book()["words"][task.category]))]
    else:
        allowed = list(task.words)
    right = {word(one, task.target).casefold() for one in allowed}
    other = {word(one, x).casefold() for one in allowed for x in LANGUAGES} - right
    found = set()
    if any(one in other for one in plain):
        found.add(Fault.LANGUAGE)
    if any(one not in right | other for one in plain):
        found.add(Fault.CATEGORY)
    if task.family is not Family.NAME and len(plain) == task.n and not found:
        if set(plain) != right:
            found.add(Fault.CATEGORY)
    return found


def _cased(casing: Casing, items: list[str]) -> bool:
    match casing:
        case Casing.CAPITALS:
            return all(one == one.upper() for one in items)
        case Casing.LOWER:
            return all(one == one.lower() for one in items)
    return True


def _sum_faults(task: Task, answer: str) -> frozenset[Fault]:
    total = sum(task.addends)
    said = answer.strip().rstrip(".").casefold()
    digits, spelled = str(total), number_word(total, task.target)
    if said == (spelled if task.form is Form.WORD else digits):
        return frozenset()
    if said in {digits, *(number_word(total, x) for x in LANGUAGES)}:
        return frozenset({Fault.FORMAT})
    return frozenset({Fault.ARITHMETIC})
