"""What a judge's replies say of a candidate beside its win rate. Pure.

These figures are reported and never decide: the gate goes by the win rate alone. Rows are answers,
a prompt's several drawn ones each; intervals draw whole clusters, as those of the win rate do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from endpoint.outcome import Unanswered
from training.judging.questions import Verdict
from training.judging.wildbench import LENGTH_MARGIN, adjusted
from training.judging.winrate import Interval, LengthControlled, length_controlled, win_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Two policies' answers to the same prompts: texts, and whose each row is, a user's say."""

    ours: tuple[str, ...]  # the candidate's
    theirs: tuple[str, ...]  # the parent's; as many
    clusters: tuple[str, ...]  # as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """WildBench's adjusted score, (mean - 5) · 2 of ratings from 1 to 10: from -8 to 10.

    Over rows of which both answers are rated. n is 0, and no figure there, where too many are not.
    """

    candidate: Interval
    parent: Interval
    change: Interval  # of the candidate's less the parent's, row by row
    unrated: int  # answers, of both policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Of comparisons that got a verdict, and of ratings where they were asked for."""

    reward: Interval  # WildBench's, from -1 to 1, the mean of both orders
    length_margin: int  # its K, characters
    length_controlled: LengthControlled  # 'LC (minimal)'
    ratings: Ratings | None = None  # None: nobody asked for them


def judgement(
    verdicts: Sequence[Verdict | Unanswered], answers: Answers, *, ratings: Ratings | None = None
) -> Judgement:
    """Make figures of the replies that a win rate was made of; verdicts[i] is on row i."""
    rows = [
        (said, len(one), len(other), cluster)
        for said, one, other, cluster in zip(
            verdicts, answers.ours, answers.theirs, answers.clusters, strict=True
        )
        if isinstance(said, Verdict)
    ]
    clusters = [cluster for *_, cluster in rows]
    worth = [said.reward(*chars, length_margin=LENGTH_MARGIN) for said, *chars, _ in rows]
    return Judgement(
        reward=win_rate(worth, clusters, seed=0),
        length_margin=LENGTH_MARGIN,
        length_controlled=length_controlled(
            [said.preference for said, *_ in rows],
            [one for _, one, _, _ in rows],
            [other for _, _, other, _ in rows],
            clusters,
            seed=0,
        ),
        ratings=ratings,
    )


def rated(
    ours: Sequence[float | Unanswered],
    theirs: Sequence[float | Unanswered],
    clusters: Sequence[str],
    *,
    enough: bool = True,
) -> Ratings:
    """Compare ratings from 1 to 10, row by row; `enough`: whether few enough failed for figures."""
    rows = [
        (adjusted([one]), adjusted([other]), cluster)
        for one, other, cluster in zip(ours, theirs, clusters, strict=True)
        if enough and not isinstance(one, Unanswered) and not isinstance(other, Unanswered)
    ]
    users = [cluster for *_, cluster in rows]
    return Ratings(
        candidate=win_rate([one for one, _, _ in rows], users, seed=0),
        parent=win_rate([other for _, other, _ in rows], users, seed=0),
        change=win_rate([one - other for one, other, _ in rows], users, seed=0),
        unrated=sum(isinstance(one, Unanswered) for one in (*ours, *theirs)),
    )
