"""Where a run keeps what, and whose folder it is."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from driftmine.home import Home
from driftmine.sandbox.setup import Setup, settings_of
from training.policy import digest
from warehouse.durable import write_whole
from warehouse.errors import SettingsError

T = TypeVar("T")


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    """setup.json."""

    setup: Setup  # without the policy's folder: what is there is copied
    settings: str  # of driftmine.toml, likewise: other versions of the program have others
    policy: str  # digest of its weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """`home` is a home like any other, to be queried and looked at."""

    root: Path

    @property
    def home(self) -> Home:
        """Settings, warehouse, models, reports; deaf to the environment of a real product."""
        return Home(self.root / "home", environment=False)

    def log(self, day: dt.date) -> Path:
        """What the product logged on a day."""
        return self.root / "logs" / f"{day}.jsonl"

    def truth(self, day: dt.date) -> Path:
        """What its users thought."""
        return self.root / "truth" / f"{day}.jsonl"

    def night(self, number: int) -> Path:
        """The result of a night that is finished; 0: how good the base is."""
        return self.root / "nights" / f"{number}.json"

    @property
    def policy(self) -> Path:
        """What the run began with: a copy, for a program may be installed elsewhere later."""
        return self.root / "policy"

    def begin(self, setup: Setup) -> None:
        """Make the run's home, or find it as this setup left it.

        Raises SettingsError where it is another's.
        """
        anywhere = replace(setup, policy="")
        mark = _Mark(setup=anywhere, settings=settings_of(anywhere), policy=digest(setup.policy))
        path = self.root / "setup.json"
        # More nights may be asked for later.
        if path.exists() and _endless(self.read(path, _Mark)) != _endless(mark):
            raise SettingsError(
                f"{self.root} holds a run with other settings or of another policy. Name "
                "another folder with --home, or remove this one to begin anew."
            )
        self.home.root.mkdir(parents=True, exist_ok=True)
        self._keep(setup.policy)
        kept = replace(setup, policy=str(self.policy))
        write_whole(self.home.settings, settings_of(kept).encode())
        write_whole(path, msgspec.json.encode(mark))

    def _keep(self, policy: str) -> None:
        if self.policy.exists():
            return
        half = self.root / "policy.part"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(policy, half)
        half.rename(self.policy)

    def read(self, path: Path, type_: type[T]) -> T:
        """A file of the run. Raises SettingsError where this version did not write it."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=type_)
        except msgspec.MsgspecError as error:
            raise SettingsError(
                f"{path}: not what this version writes. Remove {self.root} to begin anew, or name "
                "another folder with --home."
            ) from error


def _endless(mark: _Mark) -> _Mark:
    return msgspec.structs.replace(mark, setup=replace(mark.setup, nights=0))
