"""Time and chance as arguments, so that tests neither wait nor vary."""

from __future__ import annotations

import datetime as dt
import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_WAIT = 1.0  # seconds
LONGEST_WAIT = 60.0  # a server that asks for more is not waited for: a night has an end


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the client knows of time."""

    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], dt.datetime] = _now  # UTC
    chance: Callable[[], float] = random.random  # in [0, 1)

    def wait(self, attempt: int, retry_after: str | None) -> float | None:
        """Seconds before the attempt after `attempt` (from 0); None: longer than it is worth.

        Twice as long each time, less up to a half by chance, so that callers who were sent away
        together do not come back together; never less than the server asked for.
        """
        own = min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt) * (1 - self.chance() / 2)
        asked = self._seconds(retry_after)
        return None if asked > LONGEST_WAIT else max(own, asked)

    def _seconds(self, retry_after: str | None) -> float:
        """Of a Retry-After header, which is a number or a date; 0 where it is neither."""
        if retry_after is None:
            return 0.0
        if retry_after.isascii() and retry_after.isdigit():
            return float(retry_after[:9])
        try:
            until = email.utils.parsedate_to_datetime(retry_after)
        except ValueError:
            return 0.0
        until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
        return max(0.0, (until - self.now()).total_seconds())
