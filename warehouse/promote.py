"""Which detector's verdicts readers and trainers are shown: said by a commit of its own.

Mining only ever adds verdicts beside those of other detectors. What is shown of a night follows
from the commits alone (`live.detectors`), so a snapshot shows what was promoted then, and a catalog
that is made again from the manifests shows the same.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from sqlalchemy import Connection

from warehouse import live, manifest
from warehouse.catalog import Catalog
from warehouse.errors import SettingsError
from warehouse.manifest import Manifest
from warehouse.outcome import repeated
from warehouse.views import refresh_if_stale


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion changed."""

    detector: str  # "name@version"
    commit_id: int | None  # None: it was promoted last already
    changed_nights: int  # that show its verdicts now, and showed another's before
    other_nights: dict[
        str, int
    ]  # "name@version" -> nights that it is shown in: no verdicts of ours


def promote(catalog: Catalog, detector: str, *, now: dt.datetime) -> Promotion:
    """Show the verdicts of a detector ("name@version") in every night that it has mined.

    Going back is promoting the former one again. Raises SettingsError where it has mined nothing.
    """
    promotion = _promote(catalog, detector, now)
    refresh_if_stale(catalog)
    return promotion


@repeated
def begin(catalog: Catalog, detector: str, *, now: dt.datetime) -> None:
    """Promote a detector where none ever was: what a home is set to needs no ceremony.

    Before anything is mined, so that no other detector comes to be shown by being first.
    """
    with catalog.write() as connection:
        if not live.promotions(connection):
            _commit(connection, catalog, detector, now)


@repeated
def _promote(catalog: Catalog, detector: str, now: dt.datetime) -> Promotion:
    with catalog.write() as connection:
        known = live.detector_parts(connection)
        if detector not in known:
            raise SettingsError(
                f"{detector} has mined no night, so there is nothing of it to show. Known: "
                f"{', '.join(known) or 'none'}. Mine with it first: `driftmine mine --detector`."
            )
        before = live.detectors(connection, "signals")
        commit_id = None
        ranks = live.promotions(connection)
        if max(ranks, key=lambda part: ranks[part], default=None) != detector:
            commit_id = _commit(connection, catalog, detector, now)
        after = live.detectors(connection, "signals")
    others: dict[str, int] = {}
    for part in after.values():
        if part != detector:
            others[part] = others.get(part, 0) + 1
    changed = sum(before[night] != part for night, part in after.items())
    return Promotion(
        detector=detector, commit_id=commit_id, changed_nights=changed, other_nights=others
    )


def _commit(connection: Connection, catalog: Catalog, detector: str, now: dt.datetime) -> int:
    commit_id = manifest.next_id(connection)
    change = Manifest(commit_id=commit_id, kind="detector", subject=detector, committed_at=now)
    manifest.commit(connection, catalog.store, change)
    return commit_id
