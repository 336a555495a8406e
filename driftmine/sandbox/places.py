"""Where a run keeps what, and whose folder it is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from driftmine.home import Home
from driftmine.sandbox.setup import Setup, settings_of
from warehouse.durable import write_whole
from warehouse.errors import SettingsError

T = TypeVar("T")


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    """setup.json."""

    setup: Setup
    policy: str  # digest of its files: the shipped one may move


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

    def begin(self, setup: Setup, policy: str) -> None:
        """Make the run's home, or find it as this setup left it; `policy`: digest of its files.

        Raises SettingsError where it is another's.
        """
        mark = self.root / "setup.json"
        if mark.exists():
            there = read(mark, _Mark)
            # More nights may be asked for later.
            same = replace(there.setup, nights=setup.nights, policy=setup.policy) == setup
            if not same or there.policy != policy:
                raise SettingsError(
                    f"{self.root} holds a run with other settings or of another policy. Name "
                    "another folder with --home, or remove this one to begin anew."
                )
        self.home.root.mkdir(parents=True, exist_ok=True)
        write_whole(self.home.settings, settings_of(setup).encode())
        write_whole(mark, msgspec.json.encode(_Mark(setup=setup, policy=policy)))


def read(path: Path, type_: type[T]) -> T:
    """A file of a run. Raises SettingsError where this version did not write it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except msgspec.MsgspecError as error:
        raise SettingsError(
            f"{path}: not what this version writes. Remove {path.parents[1].name}'s folder, or "
            "name another one with --home."
        ) from error
