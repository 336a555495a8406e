"""Holding a batch for as long as its trainer lives, and hardly longer."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from warehouse import leases
from warehouse.catalog import Catalog
from warehouse.errors import DriftmineError, LeaseLost
from warehouse.leases import Lease

# In the time that a lease lasts: some may fail while the catalog is busy or away.
_BEATS = 6
_LEAST_S = 1.0


@contextmanager
def kept(catalog: Catalog, lease: Lease, *, ttl: dt.timedelta, now: dt.datetime) -> Iterator[None]:
    """Renew the lease from a thread while the block runs; `now` is when it starts.

    Where the lease is lost all the same, the thread ends, and `finish` will say so.
    """
    ended = Event()
    started = time.monotonic()

    def beat() -> None:
        while not ended.wait(max(ttl.total_seconds() / _BEATS, _LEAST_S)):
            at = now + dt.timedelta(seconds=time.monotonic() - started)
            try:
                leases.heartbeat(catalog, lease, ttl=ttl, now=at)
            except LeaseLost:
                return
            except (DriftmineError, SQLAlchemyError):
                continue  # the next one may be heard

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
