"""A policy that needs no model, and days of users who talk to it."""

import datetime as dt
import json
import random
from pathlib import Path
from unittest.mock import patch

from driftmine.sandbox import product, users
from driftmine.sandbox.habits import write
from driftmine.sandbox.product import Day, serve
from driftmine.sandbox.tasks import draw_asked
from driftmine.sandbox.users import Behaviour
from training.samplers.base import FinishReason, Sample

DATE = dt.date(2026, 1, 1)


class Writer:
    """Answers by habit. It knows the tasks that users draw, and finds the one that they mean."""

    def __init__(self):
        self.tasks = {}  # request -> task
        self.calls = []  # prompts, parameters, seed

    def drawn(self, rng, *languages):
        task = draw_asked(rng, *languages)
        self.tasks[task.request] = task
        return task

    def sample(self, prompts, parameters, seed):
        self.calls.append((prompts, parameters, seed))
        rng = random.Random(seed)
        return [
            Sample(
                text=write(self._meant(prompt), rng),
                prompt=(),
                tokens=(),
                finish_reason=FinishReason.STOP,
                prompt_cut=False,
            )
            for prompt in prompts
        ]

    def _meant(self, prompt):
        for message in reversed(prompt):
            found = [self.tasks[one] for one in self.tasks if one in message.content]
            if found:
                return max(found, key=lambda task: len(task.request))
        raise AssertionError(f"no request in {prompt}")


def day(folder: Path, n=60, seed=1, **behaviour):
    """Serve a day -> the policy, what was seen, the log and the truth."""
    writer = Writer()
    asked = Day(date=DATE, users=n, behaviour=Behaviour(**behaviour), seed=seed)
    log, truth = folder / "logs" / "day.jsonl", folder / "truth" / "day.jsonl"
    with (
        patch.object(product, "draw_asked", writer.drawn),
        patch.object(users, "draw_asked", writer.drawn),
    ):
        seen = serve(writer, "model-7", asked, log, truth)
    return writer, seen, log, truth


def records(log: Path):
    """What stands in a log."""
    return [json.loads(line) for line in log.read_bytes().splitlines()]
