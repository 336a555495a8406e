"""The third stage of a detector: a large language model, asked about what the others left open.

Off unless `[mining.judge]` names an endpoint. It only moves a verdict: where it is not asked, or
gives no usable answer, the verdict of the stages before it stands.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import MutableSequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from endpoint.outcome import Unanswered
from endpoint.prompt import Prompt, as_data, read_prompt
from mining.conversations import FollowUp
from mining.heuristics import Reading
from mining.options import JudgeOptions
from mining.verdict import log_odds
from warehouse.errors import MissingExtra, SettingsError
from warehouse.records import Category, Evidence, SignalKind

if TYPE_CHECKING:
    from endpoint.asking import Asker, Report
    from endpoint.timing import Timing

PROMPT = Path(__file__).parent / "prompts" / "dsat_judge_v1.toml"
RULE = "judge_v1"  # of the evidence that an answer leaves
# What is shown of each text, in characters from its beginning and its end: a question's cost is
# bounded whatever was pasted. Of the answer more of the end, which follow-ups speak of most.
REQUEST = (1500, 500)
ANSWER = (1500, 1500)
FOLLOW_UP = (1500, 500)
EARLIER = (400, 100)
EARLIER_TURNS = 3

_ORDER = tuple(Category)
_LOG = logging.getLogger(__name__)


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model says of one follow-up. Any other shape is no answer."""

    category: Category
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]


@cache
def prompt() -> Prompt:
    """The question and the categories, in words."""
    return read_prompt(PROMPT)


def question(follow_up: FollowUp) -> str:
    """A follow-up and what came before it, cut to a bounded length, as one JSON object."""
    earlier = follow_up.earlier[-EARLIER_TURNS:]
    return as_data(
        {
            "earlier_requests": [_cut(text, EARLIER) for text in earlier],
            "request": _cut(follow_up.user, REQUEST),
            "answer": _cut(follow_up.answer, ANSWER),
            "follow_up": _cut(follow_up.follow_up, FOLLOW_UP),
        }
    )


def _cut(text: str, kept: tuple[int, int]) -> str:
    head, tail = kept
    left_out = len(text) - head - tail
    if left_out <= 0:
        return text
    return f"{text[:head]}\n[... {left_out} characters left out ...]\n{text[-tail:]}"


def strength(said: Said, options: JudgeOptions) -> float:
    """The log-odds that an answer adds to a verdict.

    `said_dsat` and `said_other` are P(DSAT | answer) among follow-ups of which half are DSAT: so
    their log-odds are what the answer alone tells, and the stages before hold the base rate. A
    model that is not sure tells less: its confidence draws the probability towards a half.
    """
    is_dsat = said.category.signal is SignalKind.DSAT
    stated = options.said_dsat if is_dsat else options.said_other
    return log_odds(0.5 + (stated - 0.5) * said.confidence)


class Judge:
    """A model, and when it is asked."""

    def __init__(self, asker: Asker[Said], options: JudgeOptions) -> None:
        self._asker = asker
        self._options = options
        self._told: set[str] = set()

    def revise(
        self,
        readings: MutableSequence[Reading],
        classes: npt.NDArray[np.float32],
        probabilities: npt.NDArray[np.float64],
    ) -> None:
        """Add the model's word to the uncertain rows, where it gives one.

        `classes`: [n, 7]; `probabilities`: [n], of DSAT. All three are changed in place.
        """
        rows = self.asked(probabilities)
        answers = self._asker.ask([question(readings[row].follow_up) for row in rows])
        for row, said in zip(rows, answers.values, strict=True):
            if isinstance(said, Unanswered):
                continue
            added = strength(said, self._options)
            odds = log_odds(float(probabilities[row])) + added
            probabilities[row] = 1 / (1 + np.exp(-odds))
            readings[row] = _with(readings[row], said.category, added)
            # It tells categories apart better than the models before it, as far as it is sure.
            classes[row] *= 1 - said.confidence
            classes[row, _ORDER.index(said.category)] += said.confidence
        self._tell(answers.report)

    def asked(self, probabilities: npt.NDArray[np.float64]) -> list[int]:
        """The rows that the model is asked about."""
        return uncertain(probabilities, self._options)

    def _tell(self, report: Report) -> None:
        """A warning for each new reason why there is no answer; the cost log has the counts."""
        for reason, count in {**report.failed, **report.not_asked}.items():
            if reason not in self._told:
                self._told.add(reason)
                _LOG.warning(
                    "judge: %s, %d follow-ups so far; their verdicts are those of the stages "
                    "before it",
                    reason,
                    count,
                )


def uncertain(probabilities: npt.NDArray[np.float64], options: JudgeOptions) -> list[int]:
    """The rows whose probability lies in [low, high]."""
    open_ = (probabilities >= options.low) & (probabilities <= options.high)
    return [int(row) for row in np.flatnonzero(open_)]


def _with(reading: Reading, category: Category, weight: float) -> Reading:
    """With one more piece of evidence, which speaks for the category."""
    evidence = Evidence(rule=RULE, start=0, end=0, weight=weight)
    return msgspec.structs.replace(
        reading,
        evidence=(*reading.evidence, evidence),
        categories=(*reading.categories, category),
    )


def asker(options: JudgeOptions, *, account: str, timing: Timing | None = None) -> Asker[Said]:
    """Whom to ask. Raises SettingsError, MissingExtra."""
    if importlib.util.find_spec("httpx") is None:
        raise MissingExtra("asking a judge needs httpx: pip install '.[judge]'.")
    if options.low > options.high:
        raise SettingsError("[mining.judge] low is above high, so nobody is uncertain. Swap them.")
    from endpoint.asking import Asker

    return Asker(options, prompt(), Said, account=account, timing=timing)


def version(options: JudgeOptions) -> str:
    """What tells the verdicts of one set-up from those of another; "" where nobody is asked.

    The budget is none of it: with more of it more follow-ups are asked about, in the same way.
    """
    if not options.base_url:
        return ""
    parts = [
        *(RULE, prompt().digest, options.base_url, options.model),
        *(options.low, options.high, options.said_dsat, options.said_other),
    ]
    digest = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
    return f"judge.{digest[:8]}"
