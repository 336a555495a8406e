"""What every command works with: the home, its settings, the catalog, and where to write."""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from driftmine import home as homes
from driftmine.console import Console
from driftmine.home import Home
from driftmine.settings import Settings, load
from warehouse.catalog import Catalog
from warehouse.errors import DriftmineError, MissingExtra, SettingsError, SourceUnavailable


@dataclass(frozen=True)
class Session:
    """One call of the program."""

    home: Home
    console: Console
    now: dt.datetime  # UTC; the one place where the clock is read
    environment: bool = True  # its variables override the settings file

    @cached_property
    def settings(self) -> Settings:
        """The home's settings. Raises SettingsError."""
        return load(self.home.settings, environment=self.environment)

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """The home's catalog. Raises SettingsError where there is no home yet."""
        settings = self.settings
        if not self.home.warehouse.exists():
            raise SettingsError(
                f"{self.home.root} holds no warehouse. Make one with `driftmine init`, or name "
                "another folder with --home."
            )
        options = settings.warehouse
        catalog = Catalog.open(self.home.warehouse, options.catalog_url, options.data_url)
        try:
            yield catalog
        finally:
            catalog.close()

    @contextmanager
    def fresh_catalog(self) -> Iterator[Catalog]:
        """The catalog, with the list of users who opted out as it is now: for all that may train.

        Raises SettingsError also where that list cannot be read.
        """
        from ingestion.optouts import take_opt_outs

        with self.catalog() as catalog:
            if self.settings.ingestion.opt_out_users:
                take_opt_outs(catalog, self.settings.ingestion, self.home.user_key())
            yield catalog

    def ensure_home(self) -> None:
        """Make what the home lacks; settings that it has just been given are in force."""
        made = homes.create(self.home, self.settings.warehouse)
        if made:
            self.__dict__.pop("settings")
            self.console.note(f"made {', '.join(made)} in {self.home.root}")


def need_extra(extra: str, package: str) -> None:
    """Raises MissingExtra where `package` is not installed, naming the extra that brings it."""
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(
            f"This command needs the extra `{extra}` ({package} is not installed). "
            f"Install the project with it: pip install '.[{extra}]'."
        )


def run(root: Path, *, as_json: bool, quiet: bool, work: Callable[[Session], int | None]) -> int:
    """Call `work` and return the exit code: its own, or that of the error it raised."""
    # Beam logs this at every import, of a client that no stage uses.
    logging.getLogger().addFilter(lambda record: "apitools not found" not in record.getMessage())
    console = Console(as_json=as_json, quiet=quiet)
    console.catch_sigterm()
    # As a shell does; Path's own raises where a name after ~ is nobody's.
    folder = Path(os.path.expanduser(root)).resolve()
    session = Session(Home(folder), console, dt.datetime.now(dt.UTC))
    try:
        return work(session) or 0
    except DriftmineError as error:
        console.error(error)
        return error.exit_code
    except OSError as error:
        place = error.filename or session.home.root
        mapped = SourceUnavailable(
            f"{place}: {error.strerror or type(error).__name__}. Check the path, the access to it "
            "and the room on its disk, then run again."
        )
        console.error(mapped)
        return mapped.exit_code
    except Exception as error:
        # Where it happened, and not its text, which may quote a log.
        traceback.print_tb(error.__traceback__)
        unforeseen = DriftmineError(
            f"{type(error).__name__}, which should not happen: the lines above say where. What "
            "was published before is whole; run again, and report this if it comes back."
        )
        console.error(unforeseen)
        return unforeseen.exit_code
