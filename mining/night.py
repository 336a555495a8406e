"""Where the turns of one night lie."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from mining.harvest import TurnsFile
from warehouse.catalog import Catalog
from warehouse.query import live_files


def turns_files(catalog: Catalog, log_date: dt.date) -> list[tuple[TurnsFile, int]]:
    """The live files of a night's turns, with their sizes in bytes."""
    facts = defaultdict(list)
    for file in live_files(catalog, "conversations", log_date=log_date):
        facts[file.part].append(file.path)
    turns = live_files(catalog, "turns", log_date=log_date)
    return [(TurnsFile(file.path, tuple(facts[file.part])), file.bytes) for file in turns]
