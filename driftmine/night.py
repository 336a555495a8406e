"""What a night is told by, and what can stand in for its parts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mining.job import Made, detector_of
from mining.options import MiningOptions

if TYPE_CHECKING:
    from training.report import TrainReport


class ModelRate(msgspec.Struct, frozen=True, kw_only=True):
    """How often users were dissatisfied with one model's answers."""

    follow_ups: int
    dsat: int
    rate: float  # dsat / follow_ups


class NightReport(msgspec.Struct, kw_only=True):
    """What a night did. Filled stage by stage; the same object is printed and stored."""

    log_date: dt.date
    nothing_to_do: bool = False
    lines_in: int = 0  # = conversations + seed_pairs + rejected + duplicates + suppressed
    rejected: int = 0
    rejected_by_reason: dict[str, int] = {}
    duplicates: int = 0
    suppressed: int = 0
    conversations: int = 0
    near_duplicates: int = 0
    seed_pairs: int = 0
    turns: int = 0
    redacted: dict[str, int] = {}
    not_shown: str = ""  # that the night was mined by a detector which readers do not see, and why
    follow_ups: int = 0
    dsat: int = 0
    dsat_by_category: dict[str, int] = {}
    dsat_by_model: dict[str, ModelRate] = {}
    trainable: int = 0
    batch_size: int = 0
    pairs: int = 0
    model_version: str | None = None
    promoted: bool = False
    gate: tuple[str, ...] = ()  # why a candidate was held
    training: str = ""  # why there was no update, where there was none
    completed: tuple[str, ...] = ()  # versions of runs that were killed, in their place now
    held_logs: str = ""  # what the data-quality limit said, where it held logs back
    seconds: dict[str, float] = {}  # wall time per stage
    peak_memory_mb: int = 0
    page: str = ""  # path of the HTML report


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What can stand in for parts of a night: another detector, another update."""

    made: Made | None = None  # None: the detector that the settings name
    update: Callable[..., TrainReport | None] | None = None  # None: `driftmine.train.update`

    def detector(self, options: MiningOptions) -> str:
        """As name@version. Raises DetectorUnusable."""
        return self.made.part if self.made else detector_of(options)


WHOLE = Parts()
