"""A follow-up as the pair of texts that an encoder reads: what it replies to, and itself.

Texts are cut by characters before they are tokenized, so that the cost of a follow-up is bounded.
Of a follow-up the beginning says what the user wants and the end how it closes; of an answer the
beginning says whether it took the request on, and the end what it leaves the user with.
"""

from __future__ import annotations

from mining.conversations import FollowUp

MAX_TOKENS = 144  # of the pair; what is too long loses the start of its first text
USER_HEAD = 160  # characters, as all of these
ANSWER_HEAD, ANSWER_TAIL = 100, 240
HEAD, TAIL = 320, 80

# Share of ASCII characters from which a text of no named language is read as English: other
# languages in the Latin alphabet have accents, and loan words few.
_ASCII_SHARE = 0.97


def pair(follow_up: FollowUp, separator: str) -> tuple[str, str]:
    """Request and answer, with the tokenizer's separator between them; the follow-up."""
    asked = _edges(follow_up.user, USER_HEAD, 0)
    answered = _edges(follow_up.answer, ANSWER_HEAD, ANSWER_TAIL)
    return f"{asked} {separator} {answered}", _edges(follow_up.follow_up, HEAD, TAIL)


def is_in(follow_up: FollowUp, languages: tuple[str, ...]) -> bool:
    """Whether a follow-up is in one of the languages (ISO 639-1), of which none means any.

    Where the log names no language, English is told by its letters.
    """
    if not languages:
        return True
    if follow_up.language is not None:
        return follow_up.language in languages
    text = follow_up.follow_up[:HEAD]
    return "en" in languages and sum(map(str.isascii, text)) >= _ASCII_SHARE * len(text)


def _edges(text: str, head: int, tail: int) -> str:
    """One line of at most head + tail characters and a space."""
    if len(text) > head + tail:
        text = f"{text[:head]} {text[len(text) - tail :]}"
    return " ".join(text.split())
