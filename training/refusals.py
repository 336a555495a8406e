"""Answers that refuse: as the chosen half of a pair they would teach the policy to refuse.

Only openings that say that the speaker will not or cannot do what was asked. An apology alone, or
a "cannot" about the matter itself, opens many good answers.
"""

from __future__ import annotations

import re

from training.samplers.base import FinishReason, Sample

_SORRY = r"(?:(?:i(?:'m| am) )?(?:very |really |so )?sorry|(?:my |i )?apolog(?:ies|i[sz]e))"
_CANNOT = r"(?:can(?:'t|not| not)|(?:am|'m) (?:unable|not able) to|won't|will not|must decline to)"
_SELF = r"as an? (?:ai|artificial intelligence)(?: (?:language )?(?:model|assistant))?"
# What is refused: to do something for the user, not to believe, recommend or stress it enough.
_DO = (
    r"(?: be able to)? (?:help (?:you )?(?:with|you)|assist|provide|answer|fulfill?|comply|"
    r"do (?:that|this)|(?:generate|create|write|share|discuss) (?:that|this|an?|the|such|any|"
    r"content)|give you|engage|respond|process|access)\b"
)
# A language a line; case is folded and typographic apostrophes are plain.
_OPENINGS = (
    rf"(?:{_SORRY}[,.;:]? ?(?:but |that )?)?(?:{_SELF},? )?i ?{_CANNOT}{_DO}",
    rf"{_SELF},? i (?:do not|don't) (?:have (?:access|the ability|personal)|provide|engage)\b",
    r"(?:es )?tut mir (?:sehr )?leid,? (?:aber )?(?:das kann ich nicht|(?:ich kann|dabei kann ich) "
    r"(?:\w+ ){0,5}nicht\b)",
    r"lo siento,? (?:pero )?no puedo (?:ayudar|proporcionar|responder|cumplir|hacer|asistir)",
    r"(?:je suis )?désolée?,? (?:mais )?je ne (?:peux|suis) pas (?:en mesure|vous aider|t'aider|"
    r"répondre|fournir|aider)",
    r"(?:desculpe|sinto muito|lamento),? (?:mas )?não posso (?:ajudar|fornecer|responder|fazer|"
    r"atender)",
    r"mi dispiace,? (?:ma )?non posso (?:aiutar|fornir|risponder|soddisfar)",
    r"(?:извините|простите|к сожалению),? (?:но )?я не (?:могу|в состоянии) (?:помочь|предоставить|"
    r"ответить|выполнить|обсуждать)",
    r"(?:非常|很)?(?:抱歉|对不起|對不起|遗憾|遺憾)[,，。!！ ]*(?:但)?我?(?:不能|无法|無法|没办法)"
    r"(?:提供|帮助|幫助|协助|協助|回答|满足|滿足|完成|继续|回应|参与)",
    r"(?:申し訳(?:ありません|ございません)|すみません)(?:が)?[、, ]*(?:その|この)?[^。]{0,20}"
    r"(?:お手伝い|お答え|提供|対応)(?:することは|は)?(?:でき|いたしかね)",
    r"(?:죄송하지만|죄송합니다)[,. ]*[^.]{0,20}(?:도와드릴|제공할|답변할|답변드릴) 수 (?:가 )?없",
)
_REFUSES = re.compile("|".join(f"(?:{opening})" for opening in _OPENINGS))
_OPENING_CHARS = 200
_PLAIN = str.maketrans("’‘´", "'''")


def refused(sample: Sample) -> bool:
    """Whether an answer refuses, or was withheld."""
    return sample.finish_reason is FinishReason.REFUSED or refuses(sample.text)


def refuses(text: str) -> bool:
    """Whether a text opens with a refusal, in English or one of nine other languages."""
    opening = text.lstrip(' \t\n"*_>')[:_OPENING_CHARS].casefold().translate(_PLAIN)
    return _REFUSES.match(" ".join(opening.split())) is not None
