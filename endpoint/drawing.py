"""Drawing answers from a model: many at once, each kept under all that it was drawn by.

A run that was killed draws again what it had drawn, from the store and for nothing; two draws with
different seeds never share a reply.
"""

from __future__ import annotations

import msgspec

from endpoint.asking import Account, Answers, Asker, Progress
from endpoint.ledger import SAMPLES
from endpoint.options import EndpointOptions
from endpoint.outcome import Unanswered
from endpoint.prompt import Prompt
from endpoint.timing import Timing
from endpoint.transport import Drawing, Failed, Served

_PROMPT = Prompt(id="sample", system="", user="", repair="", digest="")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to be drawn."""

    messages: tuple[dict[str, str], ...]
    drawing: Drawing  # with a seed of its own
    policy: str  # whose answer it is, whatever the server calls it


class Drawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer."""

    text: str
    finish_reason: str | None  # in the server's word
    tokens: tuple[int, int] | None  # of prompt and answer, as the server counts them


class Drawer(Asker[Drawn]):
    """An `Asker` that draws. Raises SettingsError where the options name no usable endpoint."""

    what = "sample"

    def __init__(
        self, options: EndpointOptions, *, account: str, timing: Timing | None = None
    ) -> None:
        super().__init__(options, _PROMPT, Drawn, account=account, timing=timing)

    def draw(self, wanted: list[Wanted], progress: Progress | None = None) -> Answers[Drawn]:
        """Draw each; equal ones, to the seed, are drawn once."""
        return self.ask([msgspec.json.encode(one).decode() for one in wanted], progress)

    def served(self) -> list[Served] | Failed:
        """The models that the server names."""
        return self._transport.served()

    def _answer(self, question: str, account: Account) -> Drawn | Unanswered:
        key = SAMPLES + self._key(question)
        kept = self._ledger.answer(key)
        found = None if kept is None else self._decoded(kept)
        if found is not None:
            account.is_cached = True
            return found
        wanted = msgspec.json.decode(question, type=Wanted)
        reply = self._request(wanted.messages, account, wanted.drawing)
        if isinstance(reply, Unanswered):
            return reply
        drawn = Drawn(
            text=reply.text,
            finish_reason=reply.choices[0].finish_reason,
            tokens=reply.tokens,
        )
        self._ledger.keep(key, msgspec.json.encode(drawn).decode())
        return drawn
