"""`driftmine detector compare`: two detectors on the same turns of the warehouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from driftmine import render_compare
from driftmine.commands import from_here
from driftmine.console import Report
from driftmine.session import Session, need_extra
from warehouse.catalog import Catalog
from warehouse.errors import DetectorUnusable, SettingsError

if TYPE_CHECKING:
    from mining.compare import Change, Judged

_STORED = """
SELECT log_date, said.turn_id, said.conversation_id, said.answer_turn_id, said.category,
    said.probability, coalesce(dsat.trainable, false) AS trainable, said.model, said.language
FROM signals_all AS said LEFT JOIN (
    SELECT log_date, turn_id, trainable FROM dsat_turns_all
    WHERE detector = $detector AND detector_version = $version
) AS dsat USING (log_date, turn_id)
WHERE log_date >= $first AND log_date < $end
    AND said.detector = $detector AND said.detector_version = $version"""
_TEXTS = """
SELECT log_date, turn_id, content FROM turns_all
WHERE log_date IN (SELECT unnest($nights)) AND turn_id IN (SELECT unnest($turns))"""
SHOWN = 300  # characters of a text


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two."""

    detector: str
    version: str
    stored: bool  # its published verdicts were read; else it was run now


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A follow-up that one of the two calls DSAT, with its texts, shortened."""

    change: Change
    answer: str
    follow_up: str  # of several messages in a row the first


def compare(
    session: Session, a: str, b: str, *, first: dt.date, end: dt.date, examples: int
) -> int:
    """Compare two detectors on the nights in [first, end)."""
    need_extra("etl", "spacy")
    from mining.compare import compare as measured

    with session.catalog() as catalog, session.console.progress() as progress:
        nights = _nights(catalog, first, end)
        one, said = _judged(session, catalog, a, nights, progress)
        other, heard = _judged(session, catalog, b, nights, progress)
        found = measured(said, heard, examples=examples, seed=0)
        if not found.n:
            raise SettingsError(
                f"{a} and {b} have judged no follow-up in common in these nights. Leave out "
                "--from and --to, or name a detector, which judges them now."
            )
        only_a, only_b = (_examples(catalog, side) for side in (found.only_a, found.only_b))
    rates = {"dsat_rate_a": found.all.a.rate, "dsat_rate_b": found.all.b.rate}
    value: dict[str, Any] = {"a": one, "b": other, "nights": nights, **rates}
    value |= msgspec.to_builtins(found) | {"only_a": only_a, "only_b": only_b}
    sides, changed = (one, other), (only_a, only_b)
    session.console.result(value, lambda: render_compare.comparison(found, sides, changed))
    return 0


def _nights(catalog: Catalog, first: dt.date, end: dt.date) -> list[dt.date]:
    from warehouse.query import log_dates

    if first >= end:
        raise SettingsError(f"--from {first} --to {end}: no date lies between.")
    return [night for night in log_dates(catalog, "turns") if first <= night < end]


def _judged(
    session: Session, catalog: Catalog, name: str, nights: Sequence[dt.date], progress: Report
) -> tuple[Side, Iterable[Judged]]:
    """What a stored version has said; or else what a detector says now, by its name or folder."""
    from mining.detector import load_detector
    from warehouse.query import detector_parts

    stored = detector_parts(catalog)
    if name in stored:
        detector, _, version = name.rpartition("@")
        side = Side(detector=detector, version=version, stored=True)
        return side, list(_stored(catalog, side, nights))
    options = replace(session.settings.mining, detector=from_here(name))
    try:
        loaded = load_detector(options)
    except DetectorUnusable as error:
        if Path(options.detector).is_dir():
            raise
        raise SettingsError(
            f"{name}: neither a stored version nor a detector. Name `default`, the folder of a "
            f"detector, or one of these stored versions: {', '.join(stored) or 'none yet'}."
        ) from error
    side = Side(detector=loaded.name, version=loaded.version, stored=False)
    return side, list(_now(catalog, loaded, options, nights, progress))


def _stored(catalog: Catalog, side: Side, nights: Sequence[dt.date]) -> Iterator[Judged]:
    from mining.compare import Judged
    from warehouse.trail import asked

    if not nights:
        return
    of = {"detector": side.detector, "version": side.version}
    bounds = {"first": nights[0], "end": nights[-1] + dt.timedelta(days=1)}
    with asked(catalog) as connection:
        batches = connection.sql(_STORED, params=of | bounds).to_arrow_table().to_batches(10_000)
    for batch in batches:
        for row in batch.to_pylist():
            yield msgspec.convert(row, Judged)


def _now(
    catalog: Catalog, detector: Any, options: Any, nights: Sequence[dt.date], progress: Report
) -> Iterator[Judged]:
    from mining.limits import limits_of
    from mining.night import turns_files
    from mining.rejudge import rejudge
    from warehouse.barred import Bar, barred

    opted_out = barred(catalog, Bar.OPTED_OUT)
    what = f"nights judged by {detector.name}"
    for done, night in enumerate(nights):
        progress(done, len(nights), what)
        files = [file for file, _ in turns_files(catalog, night)]
        limits = limits_of(options)
        yield from rejudge(
            catalog.store, night, files, detector, limits=limits, opted_out=opted_out
        )
    progress(len(nights), len(nights), what)


def _examples(catalog: Catalog, changes: Sequence[Change]) -> list[Example]:
    """The texts of no other turn are read."""
    from mining.scored import shortened
    from warehouse.trail import asked

    turns = [name for one in changes for name in (one.turn_id, one.answer_turn_id)]
    nights = sorted({one.log_date for one in changes})
    with asked(catalog) as connection:
        rows = connection.execute(_TEXTS, {"nights": nights, "turns": turns}).fetchall()
    texts = {(night, turn): shortened(text, SHOWN) for night, turn, text in rows}
    return [
        Example(
            change=one,
            answer=texts.get((one.log_date, one.answer_turn_id), ""),
            follow_up=texts.get((one.log_date, one.turn_id), ""),
        )
        for one in changes
    ]
