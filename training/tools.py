"""What ranks answers and what judges a candidate, as the settings name them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from endpoint.outcome import Unanswered
from training.compare import ByScore, Comparer, Told
from training.examples import Example
from training.judging.judge import Judge
from training.judging.judgement import Answers, Ratings, judgement, rated
from training.judging.questions import Candidate, Comparison, compare_prompt
from training.options import TrainingOptions
from training.samplers.base import Progress
from training.scorers.base import Scorer
from training.scorers.judged import JudgedScorer
from training.scorers.once import Once
from warehouse.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a cycle is given beside its settings, each of them optional."""

    scorer: Scorer | None = None  # ranks answers; None: the user's feedback does
    comparer: Comparer | None = None  # judges the candidate against the champion
    progress: Progress | None = None
    curves: Path | None = None  # folder for TensorBoard


@dataclass(frozen=True, slots=True, kw_only=True)
class ByJudge:
    """The answer that a large language model prefers, in both orders."""

    judge: Judge
    progress: Progress | None = None
    rate: bool = False  # ask it for ratings too, once it has compared

    @property
    def name(self) -> str:
        """The model's, and the prompt's version."""
        return f"judge:{self.judge.model}:{compare_prompt().id}"

    def prefer(
        self, examples: Sequence[Example], ours: Sequence[str], theirs: Sequence[str]
    ) -> Told:
        """See `Comparer.prefer`.

        Raises SourceUnavailable where too many comparisons get no verdict; ratings that fail are
        counted, however many.
        """
        asked = [
            Comparison(context=example.prompt, answer=one, other=other)
            for example, one, other in zip(examples, ours, theirs, strict=True)
        ]
        said = self.judge.compare(asked, self.progress)
        users = tuple(example.user for example in examples)
        answers = Answers(ours=tuple(ours), theirs=tuple(theirs), clusters=users)
        ratings = self._ratings(examples, answers) if self.rate else None
        return Told(
            preferences=[math.nan if isinstance(v, Unanswered) else v.preference for v in said],
            judgement=judgement(said, answers, ratings=ratings),
        )

    def _ratings(self, examples: Sequence[Example], answers: Answers) -> Ratings:
        asked = [
            Candidate(context=example.prompt, answer=answer)
            for texts in (answers.ours, answers.theirs)
            for example, answer in zip(examples, texts, strict=True)
        ]
        marks, n = self.judge.marks(asked, self.progress), len(examples)
        return rated(marks[:n], marks[n:], answers.clusters, enough=self.judge.enough(marks))


@contextmanager
def tools(
    options: TrainingOptions,
    *,
    account: str,
    policies: Collection[str] = (),
    progress: Progress | None = None,
    curves: Path | None = None,
) -> Iterator[Tools]:
    """A judge compares where one is set, else a reward model where one is named, else nothing.

    `account`: whose budget a judge spends; `policies`: names of what is trained, which must not
    judge itself. Raises SettingsError, ScorerUnusable, MissingExtra.
    """
    if options.scorer == "reward" and not options.reward_model:
        raise SettingsError(
            '[training] scorer = "reward" needs a reward model. Name its folder in reward_model, '
            'or set scorer = "feedback".'
        )
    judge = None
    if options.judge.base_url or (options.scorer == "judge" and options.method == "iterdpo"):
        judge = Judge(options.judge, account=account, policies=policies)
    try:
        reward = _reward(options, progress)
        scorer = {"reward": reward, "judge": JudgedScorer(judge=judge) if judge else None}
        comparer: Comparer | None = None
        if judge is not None:
            comparer = ByJudge(judge=judge, progress=progress, rate=options.judge.rate)
        elif reward is not None:
            comparer = ByScore(scorer=Once(scorer=reward))
        yield Tools(
            scorer=scorer.get(options.scorer), comparer=comparer, progress=progress, curves=curves
        )
    finally:
        if judge:
            judge.close()


def _reward(options: TrainingOptions, progress: Progress | None) -> Scorer | None:
    if not options.reward_model:
        return None
    from training.scorers.reward_model import load

    return load(options.reward_model, progress=progress)
