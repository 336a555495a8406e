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
from typing import TypeVar

import msgspec

from driftmine.home import Home
from driftmine.night import NightReport, Parts
from driftmine.nightly import nightly
from driftmine.sandbox import oracle
from driftmine.sandbox.account import Account, result_of
from driftmine.sandbox.examine import Examined, examine
from driftmine.sandbox.places import Places
from driftmine.sandbox.product import Day, Seen, serve
from driftmine.sandbox.results import NightResult, RunResult
from driftmine.sandbox.setup import Setup
from driftmine.sandbox.tasks import draw_held_out
from driftmine.session import Session
from driftmine.train import update
from training import registry
from training.policy import load
from training.samplers.hf import HfSampler
from warehouse import streams
from warehouse.catalog import Catalog
from warehouse.durable import write_whole

_FIRST = dt.date(2026, 1, 1)
T = TypeVar("T")
_EXAMINATION = 20_260_101  # one for all runs: the same requests, the same chance


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
    load(setup.policy)  # before the folder is made: no policy, no run
    places.begin(setup)
    setup = replace(setup, policy=str(places.policy))
    examiner = _Examiner(setup, places)
    base = _kept(places, 0, Examined, partial(examiner.of, None))
    nights: list[NightResult] = []
    for number in range(1, setup.nights + 1):
        session = session_of(places.home)
        make = partial(_night, setup, places, tuple(nights), session, examiner)
        nights.append(_kept(places, number, NightResult, make))
        told(nights[-1])
    return RunResult(
        name=setup.name,
        method=setup.method,
        seed=setup.seed,
        learning_rate=setup.learning_rate,
        ablations=setup.ablations,
        base_reward=base.sampled,
        base_error=base.error,
        base_drawn=base.drawn,
        base_greedy=base.greedy,
        base_told=base.told,
        base_distinct=base.distinct,
        nights=tuple(nights),
    )


def _kept(places: Places, number: int, kind: type[T], make: Callable[[], T]) -> T:
    """A night's result; made and written where it is not there yet."""
    path = places.night(number)
    if path.exists():
        return places.read(path, kind)
    made = make()
    path.parent.mkdir(exist_ok=True)
    write_whole(path, msgspec.json.encode(made))
    return made


def _night(
    setup: Setup,
    places: Places,
    earlier: Sequence[NightResult],
    session: Session,
    examiner: _Examiner,
) -> NightResult:
    day = day_of(len(earlier) + 1)
    seconds: dict[str, float] = {}
    champion = next((night.version for night in reversed(earlier) if night.promoted), None)
    with _timed(seconds, "serve"):
        _serve(setup, places, len(earlier) + 1, champion, examiner)
    seen = oracle.truth_of(*(places.truth(day_of(i + 1)) for i in range(len(earlier) + 1)))
    session.ensure_home()
    with session.catalog() as catalog:
        _complete(session, catalog)
    report = nightly(
        session,
        [str(places.log(day))],
        log_date=day.isoformat(),
        today=day,
        parts=_parts(setup, seen),
    )
    seconds |= {name: took for name, took in report.seconds.items() if name != "total"}
    with session.catalog() as catalog:
        account = _account(places, earlier, champion, examiner, seconds, report)
        return result_of(catalog, account, seen)


def _complete(session: Session, catalog: Catalog) -> None:
    """After a night that was killed: wait for the batch that it still holds."""
    while streams.alive(catalog, now=dt.datetime.now(dt.UTC)):
        session.console.safe_point()
        time.sleep(1)


def _account(
    places: Places,
    earlier: Sequence[NightResult],
    served_by: str | None,
    examiner: _Examiner,
    seconds: dict[str, float],
    report: NightReport,
) -> Account:
    models = places.home.models
    known = {night.version for night in earlier}
    # Not the report's: a night that was killed after its update does no other.
    version = next((v for v in reversed(registry.versions(models)) if v not in known), None)
    champion = registry.current(models, registry.CHAMPION)
    with _timed(seconds, "examine"):
        examined = examiner.of(champion)
        candidate = examiner.of(version) if version else None
    return Account(
        number=len(earlier) + 1,
        day=day_of(len(earlier) + 1),
        served_by=served_by or "base",
        manifest=registry.read(models, version) if version else None,
        promoted=version is not None and version == champion,
        examined=examined,
        candidate=candidate,
        note=report.held_logs or ("" if version else report.training),
        seconds=seconds,
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
