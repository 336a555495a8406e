"""Judges at a local server that does as it is told."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from endpoint.timing import Timing
from tests.chat_server import ChatServer, serving
from training.judging.judge import Judge
from training.judging.options import JudgeOptions


def shown(request: dict[str, Any]) -> dict[str, Any]:
    """What a request puts before the model."""
    text = request["messages"][1]["content"]
    return json.loads(text[text.index("<data>") + 6 : text.index("</data>")])


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    with ExitStack() as stack:
        yield lambda *script: stack.enter_context(serving(*script))


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Callable[..., Judge]]:
    """judge(server, attempts=2): a Judge at that server, a request at a time, that never sleeps."""
    with ExitStack() as stack:

        def make(server: ChatServer, *, account: str = "a", **options: object) -> Judge:
            plain = {"model": "m", "concurrency": 1, "store": str(tmp_path / "judge.sqlite")}
            made = Judge(
                JudgeOptions(base_url=server.url, **{**plain, **options}),
                account=account,
                timing=Timing(sleep=lambda _: None, chance=lambda: 0.0),
            )
            stack.callback(made.close)
            return made

        yield make
