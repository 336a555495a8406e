"""A large language model that judges answers: which of two is better, and how good one is."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from endpoint.outcome import Outcome, Unanswered
from training.judging.options import JudgeOptions
from training.judging.questions import (
    Candidate,
    Choice,
    Comparison,
    Mark,
    Verdict,
    both_orders,
    compare_prompt,
    rate_prompt,
    rating,
    verdict,
)
from training.judging.wildbench import Grade
from warehouse.errors import MissingExtra, SettingsError, SourceUnavailable

if TYPE_CHECKING:
    from endpoint.asking import Report
    from endpoint.timing import Timing

Progress = Callable[[int, int, str], object]
_TIE = Verdict(first=Grade.TIE, second=Grade.TIE)  # of equal answers


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a judge's questions. A comparison is one question and up to two requests."""

    asked: int = 0  # comparisons and ratings
    answered: int = 0
    same: int = 0  # of those, comparisons of equal answers: a tie, and nobody was asked
    disagreed: int = 0  # of those, comparisons whose orders named different winners: a tie
    failed: dict[str, int] = {}  # by outcome
    cached: int = 0  # replies that were there before
    requests: int = 0  # with repeated and repairing ones
    repaired: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0  # in the unit of the prices


class Judge:
    """A judge behind `[training.judge]`.

    `account`: whose budget is spent. `policies`: names and served versions of what is judged.
    Raises SettingsError where the options name no usable endpoint, or one of the policies as the
    judge; MissingExtra without httpx.
    """

    def __init__(
        self,
        options: JudgeOptions,
        *,
        account: str,
        policies: Collection[str] = (),
        timing: Timing | None = None,
    ) -> None:
        _check(options, policies)
        from endpoint.asking import Asker

        self.model = options.model
        self._options = options
        self._pairs = Asker(options, compare_prompt(), Choice, account=account, timing=timing)
        self._marks = Asker(options, rate_prompt(), Mark, account=account, timing=timing)
        self._summary = Summary()

    @property
    def summary(self) -> Summary:
        """Of all that it was asked so far, failed calls included."""
        return self._summary

    def compare(
        self, questions: Sequence[Comparison], progress: Progress | None = None
    ) -> list[Verdict | Unanswered]:
        """Grades of `answer` against `other`; each pair is asked in both orders.

        Raises SourceUnavailable where more than `max_failed_share` of them get no verdict.
        """
        open_ = [question for question in questions if not question.is_tie]
        orders = [data for question in open_ for data in both_orders(question)]
        answers = self._pairs.ask(orders, progress)
        pairs = list(zip(answers.values[::2], answers.values[1::2], strict=True))
        found = iter([verdict(*pair) for pair in pairs])
        values = [_TIE if question.is_tie else next(found) for question in questions]
        self._count(values, answers.report, same=len(questions) - len(open_))
        self._demand(values, "comparisons")
        return values

    def rate(
        self, questions: Sequence[Candidate], progress: Progress | None = None
    ) -> list[float | Unanswered]:
        """Scores from 1 to 10.

        Raises SourceUnavailable where more than `max_failed_share` of them get none.
        """
        values = self.marks(questions, progress)
        self._demand(values, "ratings")
        return values

    def marks(
        self, questions: Sequence[Candidate], progress: Progress | None = None
    ) -> list[float | Unanswered]:
        """Scores from 1 to 10, however many of them fail."""
        answers = self._marks.ask([rating(question) for question in questions], progress)
        values = [
            said if isinstance(said, Unanswered) else float(said.score) for said in answers.values
        ]
        self._count(values, answers.report)
        return values

    def enough(self, values: Sequence[object]) -> bool:
        """Whether no more than `max_failed_share` of them failed: a figure may be made."""
        failed = _failures(values).total() / max(len(values), 1)
        return failed <= self._options.max_failed_share

    def close(self) -> None:
        """Let go of connections and store."""
        self._pairs.close()
        self._marks.close()

    def _count(
        self,
        values: Sequence[object],
        report: Report,
        *,
        same: int = 0,
    ) -> None:
        before, failed = self._summary, _failures(values)
        self._summary = Summary(
            asked=before.asked + len(values),
            answered=before.answered + len(values) - failed.total(),
            same=before.same + same,
            disagreed=before.disagreed
            + sum(isinstance(value, Verdict) and value.disagreed for value in values),
            failed=dict((Counter(before.failed) + failed).most_common()),
            cached=before.cached + report.cached,
            requests=before.requests + report.requests,
            repaired=before.repaired + report.repaired,
            tokens_in=before.tokens_in + report.tokens_in,
            tokens_out=before.tokens_out + report.tokens_out,
            cost=before.cost + report.cost,
        )

    def _demand(self, values: Sequence[object], what: str) -> None:
        if self.enough(values):
            return
        failed, limit = _failures(values), self._options.max_failed_share
        why = ", ".join(f"{count} {outcome}" for outcome, count in failed.most_common())
        raise SourceUnavailable(
            f"The judge {self.model}: {failed.total()} of {len(values)} {what} got no verdict "
            f"({why}), more than max_failed_share = {limit:g} of [training.judge] allows, so no "
            f"figure is made of the rest. {_advice(failed)} Verdicts that came are kept in its "
            "store: the same command again asks only for the others."
        )


def _check(options: JudgeOptions, policies: Iterable[str]) -> None:
    if not options.base_url:
        raise SettingsError(
            "No judge is set. Name its base_url and model under [training.judge] in driftmine.toml."
        )
    judged = [name for name in policies if name and _bare(name) == _bare(options.model)]
    if judged:
        raise SettingsError(
            f"[training.judge] model is {options.model}, and {judged[0]} is what it would judge: "
            "a model prefers its own answers. Name another model as the judge."
        )
    if importlib.util.find_spec("httpx") is None:
        raise MissingExtra("asking a judge needs httpx: pip install '.[judge]'.")


def _bare(name: str) -> str:
    """A model's name without whose it is or where it lies: org/Model, /models/model."""
    return PurePosixPath(name.replace("\\", "/")).name.casefold()


def _failures(values: Iterable[object]) -> Counter[str]:
    return Counter(str(v.outcome) for v in values if isinstance(v, Unanswered))


def _advice(failed: Counter[str]) -> str:
    """What to do about the commonest outcome."""
    (outcome, _), *_ = failed.most_common()
    match outcome:
        case Outcome.OVER_BUDGET:
            return "Raise max_calls, max_tokens or max_cost."
        case Outcome.STORE_UNUSABLE:
            return "Check the folder of its store, and that nothing else wrote the file."
        case Outcome.WRONG_SHAPE:
            return "Its replies are no JSON of the shape asked for: name a model that keeps to it."
        case Outcome.REFUSED:
            return "Check base_url, model and the key in api_key_env."
        case _:
            return "Mend the endpoint, or lower concurrency where it is overrun."
