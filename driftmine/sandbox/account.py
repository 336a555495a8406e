"""From a night's warehouse, its manifest and the truth to one row of the results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from driftmine.sandbox.examine import Examined
from driftmine.sandbox.product import Seen
from driftmine.sandbox.results import NightResult
from training.manifest import Manifest
from warehouse.catalog import Catalog
from warehouse.query import connect
from warehouse.records import SignalKind

# Keyed as the truth is: by the answer that a follow-up speaks about.
_SIGNALS = "SELECT turn_id, conversation_id, turn_index - 1, signal FROM signals"
_Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is known of a night beside its rows."""

    number: int
    day: dt.date
    served_by: str
    manifest: Manifest | None  # of the version that it trained
    promoted: bool  # whether that is the champion after it
    examined: Examined  # the champion after it
    candidate: Examined | None  # that version
    note: str  # of logs that were held back, or why there was no update
    seconds: dict[str, float]


def result_of(catalog: Catalog, night: Account, seen: Sequence[Seen]) -> NightResult:
    """One night's row; `seen` is the truth of all nights so far."""
    truth = {(one.conversation_id, one.turn_index): one for one in seen}
    with connect(catalog.root, catalog.store) as connection:
        rows = connection.execute(_SIGNALS).fetchall()
    prefix = f"{night.day:%Y%m%d}-"
    today = [one for one in seen if one.conversation_id.startswith(prefix)]
    mined = {
        (conversation, index)
        for _, conversation, index, signal in rows
        if signal == SignalKind.DSAT and conversation.startswith(prefix)
    }
    batch = night.manifest.turn_ids if night.manifest else ()
    trained = _of_batch(batch, {row[0]: (row[1], row[2]) for row in rows}, truth)
    accepted = night.manifest is not None and night.manifest.settings["method"] == "spin"
    return NightResult(
        night=night.number,
        log_date=night.day,
        served_by=night.served_by,
        true_reward=night.examined.sampled,
        reward_error=night.examined.error,
        drawn_reward=night.examined.drawn,
        greedy_reward=night.examined.greedy,
        told_reward=night.examined.told,
        distinct_correct=night.examined.distinct,
        tokens=night.examined.tokens,
        candidate_reward=night.candidate.sampled if night.candidate else None,
        candidate_error=night.candidate.error if night.candidate else None,
        **_rates(today, mined),
        clean_turns=_share([bool(one.faults) != accepted for one in trained]),
        hostile_turns=_share([one.hostile for one in trained]),
        **_update(night.manifest),
        promoted=night.promoted,
        note=night.note,
        seconds={name: round(took, 2) for name, took in night.seconds.items()},
    )


def _rates(today: Sequence[Seen], mined: Collection[_Key]) -> dict[str, Any]:
    """How a day's users felt, and how much of that was found."""
    replied = [one for one in today if one.replied]
    said = {(one.conversation_id, one.turn_index) for one in replied if one.dissatisfied}
    found = said & {*mined}
    return {
        "answers": len(today),
        "follow_ups": len(replied),
        "dsat_true": sum(one.dissatisfied for one in today) / max(len(today), 1),
        "dsat_said": len(said) / max(len(replied), 1),
        "dsat_mined": len(mined) / max(len(replied), 1),
        "detector_precision": len(found) / len(mined) if mined else None,
        "detector_recall": len(found) / len(said) if said else None,
    }


def _of_batch(
    batch: Sequence[str], keys: Mapping[str, _Key], truth: Mapping[_Key, Seen]
) -> list[Seen]:
    """The truth about the answers of a batch."""
    return [truth[keys[turn_id]] for turn_id in batch if turn_id in keys]


def _share(values: Sequence[bool]) -> float | None:
    return fmean(values) if values else None


def _update(manifest: Manifest | None) -> dict[str, Any]:
    """What the version's own report says."""
    report = manifest.report if manifest else {}
    metrics = report.get("metrics") or {}
    before, after = report.get("gradients") or (None, None)
    return {
        "pairs": report.get("pairs", 0),
        "kl": metrics.get("kl"),
        "kl_base": metrics.get("kl_base"),
        "length_ratio": metrics.get("length_ratio"),
        "gradient_norm": before["norm"] if before else None,
        "gradient_norm_after": after["norm"] if after else None,
        "margin": report["training"]["margin"] if report else None,
        "chosen_change": metrics["pairs"]["chosen_change"] if metrics else None,
        "version": manifest.version if manifest else None,
        "gate": tuple(report["gate"]["reasons"]) if report else (),
    }
