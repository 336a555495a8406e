from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from endpoint.asking import Asker
from endpoint.options import EndpointOptions
from endpoint.prompt import Prompt
from endpoint.timing import Timing
from tests.chat_server import ChatServer, serving

PROMPT = Prompt(
    id="colour_v1", system="Name a colour.", user="<data>{input}</data>", repair="JSON!", digest=""
)


class Colour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    colour: str


class Waits(list[float]):
    """What was slept, instead of sleeping."""

    def timing(self) -> Timing:
        return Timing(sleep=self.append, chance=lambda: 0.0)


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    with ExitStack() as stack:
        yield lambda *script: stack.enter_context(serving(*script))


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def asker(tmp_path: Path, waits: Waits) -> Iterator[Callable[..., Asker]]:
    """asker(server, attempts=2): an Asker of that server, one request at a time."""
    with ExitStack() as stack:

        def make(
            server: ChatServer,
            *,
            account: str = "night",
            digest: str = "d1",
            timing: Timing | None = None,
            **options: object,
        ) -> Asker:
            plain = {"model": "m", "concurrency": 1, "store": str(tmp_path / "judge.sqlite")}
            given = EndpointOptions(base_url=server.url, **{**plain, **options})
            prompt = msgspec.structs.replace(PROMPT, digest=digest)
            made = Asker(given, prompt, Colour, account=account, timing=timing or waits.timing())
            stack.callback(made.close)
            return made

        yield make
