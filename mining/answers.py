"""What an answer leaves its user with, read from the text alone."""

from __future__ import annotations

from enum import IntEnum

from mining.automata import compiled
from mining.quotation import CLOSING_CHARS
from mining.rules import Lexicon

# Signs that an answer holds code, fenced or not, and the characters that are looked through.
CODE_CHARS = 4_000
CODE_MARKS = ("```", ");", "def ", "SELECT ", "</")
# Answers longer than this are searched for an open fence at their end alone.
FENCE_CHARS = 20_000
FENCE = "```"

# After one of these nothing is missing; a list, a title or a name may end without.
_CLOSED = frozenset(".!?。！？…।؟:：;；)]}）】」』》>\"'”’»*_`|~%$€")
_MORE_COMES = compiled(
    r"(?:[,、，（(\[{=+&–—]|\s-"
    r"|\b(?:the|an?|and|or|of|to|with|that|which|by|from|but|if|your|his|her|their|its|because|into"
    r"|el|la|los|las|una?|de|del|y|que|se|con|por|para|pero|su|des|les|et|ou|une|du|dans|avec|qui"
    r"|der|die|das|und|oder|eine?|den|dem|f[üu]r|dass|os|um|uma|com|em|ao)"
    r"|(?:^|\s)(?:и|в|на|что|с|не|к|по|для|который|которая|но|как|من|في|على|أن|إلى|और|के|की|को|में))$"
)
_TAIL = 40
# A letter ends in a comma where the user is to sign it.
_SIGNED_OFF = compiled(r"(?:^|\n)[^\n]{0,25},$|\b(?:regards|wishes|best|thanks|sincerely|yours),$")


class AnswerState(IntEnum):
    """What the answer leaves the user with."""

    PLAIN = 0
    ASKED = 1  # it ends in a question, so the follow-up may be the reply
    REFUSED = 2
    CODE = 3


class Ending(IntEnum):
    """How an answer ends. Logs do not say that a model ran out of tokens."""

    CLOSED = 0
    OPEN = 1  # without a full stop, as lists do too
    CUT_OFF = 2  # in an open code fence, after a comma, or after a word that wants another


def state(answer: str, lexicon: Lexicon) -> AnswerState:
    """What the follow-up replies to."""
    if lexicon.refuses(answer):
        return AnswerState.REFUSED
    if answer[-CLOSING_CHARS:].rstrip(" \n\"'*)").endswith(("?", "？", "؟")):
        return AnswerState.ASKED
    if any(mark in answer[:CODE_CHARS] for mark in CODE_MARKS):
        return AnswerState.CODE
    return AnswerState.PLAIN


def ending(answer: str) -> Ending:
    """Whether the answer is finished, by its last characters."""
    if answer[-FENCE_CHARS:].count(FENCE) % 2 and len(answer) <= FENCE_CHARS:
        return Ending.CUT_OFF
    tail = answer[-_TAIL:].rstrip()
    if not tail or tail[-1] in _CLOSED:
        return Ending.CLOSED
    if _SIGNED_OFF.search(tail):
        return Ending.CLOSED
    if _MORE_COMES.search(tail):
        return Ending.CUT_OFF
    # Emoji close a text as well as a full stop does.
    return Ending.OPEN if tail[-1].isalnum() or tail[-1] in "-<\\" else Ending.CLOSED
