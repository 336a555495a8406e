"""What becomes of a question. Stable words: cost logs and reports are built on them."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """Of one request, or of the question that it was sent for."""

    OPEN = "open"  # sent, and its process was killed before the reply
    ANSWERED = "answered"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMED_OUT = "timed_out"
    NO_CONNECTION = "no_connection"  # none, or one that broke
    REFUSED = "refused"  # the key, the model or the request, by a status of 4xx
    REDIRECTED = "redirected"  # never followed: the key is for one host
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"  # the body is no chat completion
    WRONG_SHAPE = "wrong_shape"  # the model's words, also when asked once more
    # Of questions only: no request was sent.
    OVER_BUDGET = "over_budget"
    GAVE_UP = "gave_up"  # so many questions failed in a row that the rest is not asked
    STORE_UNUSABLE = "store_unusable"  # no budget can be kept, so nothing is asked


NOT_ASKED = frozenset({Outcome.OVER_BUDGET, Outcome.GAVE_UP, Outcome.STORE_UNUSABLE})
# Those that another attempt may mend.
PASSING = frozenset(
    {
        Outcome.RATE_LIMITED,
        Outcome.SERVER_ERROR,
        Outcome.TIMED_OUT,
        Outcome.NO_CONNECTION,
        Outcome.UNREADABLE,
    }
)


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """A question without an answer."""

    outcome: Outcome
