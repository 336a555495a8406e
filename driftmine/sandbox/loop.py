"""Night after night: users talk to the champion, and the real pipeline learns from the log.

A night is finished once its result is written. One that was killed is gone on with: the day's log
is served once, and `nightly` does what is missing.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import msgspec

from driftmine.home import Home
from driftmine.nightly import Parts, nightly
from driftmine.sandbox import oracle
from driftmine.sandbox.account import Account, result_of
from driftmine.sandbox.examine import Examined, examine
from driftmine.sandbox.product import Day, Seen, serve
from driftmine.sandbox.results import NightResult, RunResult
from driftmine.sandbox.setup import Setup, settings_of
from driftmine.sandbox.tasks import draw_held_out
from driftmine.session import Session
from driftmine.train import update
from training import registry
from training.policy import load
from training.samplers.hf import HfSampler
from warehouse.durable import write_whole
from warehouse.errors import SettingsError

_FIRST = dt.date(2026, 1, 1)
_EXAMINATION = 20_260_101  # one for all runs: the same requests, the same chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run keeps what: `home` is a home like any other, to be queried and looked at."""

    root: Path

    @property
    def home(self) -> Home:
        """Settings, warehouse, models, reports."""
        return Home(self.root / "home")

    def log(self, day: dt.date) -> Path:
        """What the product logged on a day."""
        return self.root / "logs" / f"{day}.jsonl"

    def truth(self, day: dt.date) -> Path:
        """What its users thought."""
        return self.root / "truth" / f"{day}.jsonl"

    def night(self, number: int) -> Path:
        """The result of a night that is finished."""
        return self.root / "nights" / f"{number}.json"


def run(
    setup: Setup,
    places: Places,
    session_of: Callable[[Home], Session],
    told: Callable[[NightResult], None],
) -> RunResult:
    """All nights of one run. `told` is called after each.

    Raises SettingsError where the folder holds a run with other settings, PolicyUnusable, and
    what a night raises.
    """
    _begin(setup, places)
    examiner = _Examiner(setup, places)
    base = examiner.of(None)
    nights: list[NightResult] = []
    for number in range(1, setup.nights + 1):
        done = places.night(number)
        if done.exists():
            night = msgspec.json.decode(done.read_bytes(), type=NightResult)
        else:
            night = _night(setup, places, nights, session_of(places.home), examiner)
            done.parent.mkdir(exist_ok=True)
            write_whole(done, msgspec.json.encode(night))
        nights.append(night)
        told(night)
    return RunResult(
        name=setup.name,
        method=setup.method,
        seed=setup.seed,
        learning_rate=setup.learning_rate,
        ablations=setup.ablations,
        base_reward=base.sampled,
        base_greedy=base.greedy,
        base_distinct=base.distinct,
        nights=tuple(nights),
    )


def _begin(setup: Setup, places: Places) -> None:
    """Make the run's home, or find it as this setup left it. Raises SettingsError."""
    mark = places.root / "setup.json"
    if mark.exists():
        there = msgspec.json.decode(mark.read_bytes(), type=Setup)
        # More nights may be asked for later.
        if replace(there, nights=setup.nights) != setup:
            raise SettingsError(
                f"{places.root} holds a run with other settings. Name another folder with --home, "
                "or remove this one to begin anew."
            )
    places.home.root.mkdir(parents=True, exist_ok=True)
    write_whole(places.home.settings, settings_of(setup).encode())
    write_whole(mark, msgspec.json.encode(setup))


def _night(
    setup: Setup,
    places: Places,
    earlier: Sequence[NightResult],
    session: Session,
    examiner: _Examiner,
) -> NightResult:
    number = len(earlier) + 1
    day = day_of(number)
    seconds: dict[str, float] = {}
    champion = next((night.version for night in reversed(earlier) if night.promoted), None)
    with _timed(seconds, "serve"):
        _serve(setup, places, number, champion, examiner)
    seen = oracle.truth_of(*(places.truth(day_of(i + 1)) for i in range(number)))
    report = nightly(
        session,
        [str(places.log(day))],
        log_date=day.isoformat(),
        today=day,
        parts=_parts(setup, seen),
    )
    seconds |= {name: took for name, took in report.seconds.items() if name != "total"}
    models = places.home.models
    # Not the report's: a night that was killed after its update does no other.
    new = {*registry.versions(models)} - {night.version for night in earlier}
    version = next(iter(new), None)
    with _timed(seconds, "examine"):
        examined = examiner.of(registry.current(models, registry.CHAMPION))
        candidate = examiner.of(version) if version else None
    with session.catalog() as catalog:
        return result_of(
            catalog,
            Account(
                number=number,
                day=day,
                served_by=champion or "base",
                manifest=registry.read(models, version) if version else None,
                examined=examined,
                candidate=candidate.sampled if candidate else None,
                note=report.training,
                seconds=seconds,
            ),
            seen,
        )


def _serve(
    setup: Setup, places: Places, number: int, champion: str | None, examiner: _Examiner
) -> None:
    """One day's log; one that is there was served before the night was killed."""
    day = day_of(number)
    if places.log(day).exists():
        return
    asked = Day(
        date=day,
        users=setup.users,
        behaviour=setup.behaviour,
        # Days of two seeds are never the same; the methods of one seed begin with the same day.
        seed=setup.seed * 1_000 + number,
    )
    model = champion or "base"
    serve(examiner.sampler(champion), model, asked, places.log(day), places.truth(day))


def _parts(setup: Setup, seen: Sequence[Seen]) -> Parts:
    """The pipeline as it is, but for what only a sandbox can have."""
    made = oracle.perfect(seen) if "perfect-detector" in setup.ablations else None
    if setup.reward_noise is None:
        return Parts(made=made)
    reward = oracle.SimulatedReward(
        tasks={one.prompt: one.task for one in seen}, noise=setup.reward_noise, seed=setup.seed
    )
    return Parts(made=made, update=partial(update, scorer=reward))


@dataclass(slots=True)
class _Examiner:
    """Loads the versions of a run, and remembers how good they are."""

    setup: Setup
    places: Places
    known: dict[str | None, Examined] = field(default_factory=dict)

    def of(self, version: str | None) -> Examined:
        """A version's, or the base policy's."""
        if version not in self.known:
            tasks = draw_held_out(random.Random(_EXAMINATION), self.setup.prompts)
            self.known[version] = examine(self.sampler(version), tasks, _EXAMINATION)
        return self.known[version]

    def sampler(self, version: str | None) -> HfSampler:
        """Answers as a version does, or as the base policy. Raises PolicyUnusable."""
        models = self.places.home.models
        folder = str(registry.folder(models, version)) if version else self.setup.policy
        return HfSampler(policy=load(folder))


def day_of(number: int) -> dt.date:
    """The log date of a night, from 1."""
    return _FIRST + dt.timedelta(days=number - 1)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 2)
