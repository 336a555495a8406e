"""One iteration: draw answers from a policy, make pairs, update it, and compare what came of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from msgspec import structs

from training.batch import drift
from training.compare import Comparer
from training.diagnostics import score_pairs
from training.draw import Drawn, draw
from training.evaluate import HeldOut, evaluate, fitted
from training.examples import Example, formed
from training.gradients import Gradient, gradient
from training.launch import Job, update_on
from training.look import looker
from training.methods import Task
from training.metrics import Metrics, PairScore, Shift, margins, shift
from training.options import TrainingOptions
from training.pairs import PairSet
from training.policy import Policy, fingerprint, load
from training.prompts import fit
from training.samplers.base import Progress
from training.samplers.chosen import chosen
from training.samplers.hf import HfSampler
from training.samplers.kept import KeptSampler
from training.scorers.base import Scorer
from training.scorers.feedback import FeedbackScorer
from training.update import UpdateReport, update
from training.work import Work
from warehouse.errors import SettingsError, TrainingFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What an iteration works on."""

    tasks: tuple[Task, ...]  # of the batch
    heldout: tuple[Example, ...]  # with answers that dissatisfied, never trained on
    canaries: tuple[Example, ...]  # with answers that satisfied, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where an iteration reads and writes."""

    source: str  # of the policy that it starts from
    base: str  # of the policy that its line began with
    folder: Path  # of the new weights
    work: Work  # what outlives a crash
    key: str = ""  # of the policy: its files, and what they are run by
    curves: Path | None = None  # of TensorBoard


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an iteration left, beside the weights in its folder."""

    pairs: PairSet  # trained on, their prompts cut to the budget
    held: HeldOut
    redrawn: int  # samples drawn again, those of held-out turns among them
    truncated_prompts: int  # of the batch's sampled prompts, cut from the left
    before: tuple[PairScore, ...]  # of `pairs`, by the policy as it was
    gradient: Gradient | None  # of some of `pairs`, likewise
    update: UpdateReport
    notes: tuple[str, ...]  # what was mended on loading the policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What an iteration changed."""

    training: Shift  # of the pairs that it was trained on
    gradient: Gradient | None  # of some of them, after the update
    metrics: Metrics | None  # on held-out turns; None where there were none


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Wall seconds of each part."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - started

    def total(self) -> float:
        """Of all parts so far."""
        return sum(self.seconds.values())


def learn(
    places: Places,
    material: Material,
    options: TrainingOptions,
    watch: Stopwatch,
    progress: Progress | None,
    scorer: Scorer | None = None,
) -> Learned:
    """Train the policy at `places.source` and save it into `places.folder`.

    `scorer` ranks answers, where the method asks for it; None: the user's feedback does.
    Raises PolicyUnusable, SettingsError, TrainingFailed.
    """
    with watch.part("load"):
        policy = load(places.source, trusted=places.source in options.trust_remote_code)
        _check_context(policy, options)
    with watch.part("sample"):
        drawn, unseen = _drawn(policy, places, material, options, scorer, progress)
    with watch.part("pair"):
        pairs = _fitted(policy, drawn.pairs(), options)
        held = _held(policy, unseen, material, options)
        _check_pairs(pairs, len(material.tasks))
    with watch.part("update"):
        before = _scores(policy, pairs, options)
        slope = _gradient(policy, pairs, [0.0] * len(pairs.pairs), options)
        report = _update(policy, pairs, held, places, options, progress)
    return Learned(
        pairs=pairs,
        held=held,
        redrawn=drawn.redrawn + unseen.redrawn,
        truncated_prompts=sum(drawn.prompt_cut),
        before=tuple(before),
        gradient=slope,
        update=report,
        notes=policy.notes,
    )


def judge(
    places: Places, learned: Learned, options: TrainingOptions, comparer: Comparer | None = None
) -> Judged:
    """How the saved policy moved its own pairs, and how it does on held-out ones.

    Both policies are read back from the disk: what is judged is what would be published.
    """
    gc.collect()  # a trainer and its model refer to each other, and would hold the memory
    trusted = places.source in options.trust_remote_code
    candidate = load(str(places.folder), trusted=trusted)
    after = _scores(candidate, learned.pairs, options)
    moved = margins(learned.before, after, options.beta)
    # Before the parent is there too: it takes as much memory as the weights.
    slope = _gradient(candidate, learned.pairs, moved, options)
    parent = load(places.source, trusted=trusted)

    def base() -> Policy:
        if places.base == places.source:
            return parent
        return load(places.base, trusted=places.base in options.trust_remote_code)

    return Judged(
        training=shift(learned.before, after, options.beta),
        gradient=slope,
        metrics=evaluate(candidate, parent, base, learned.held, options, comparer),
    )


def _update(
    policy: Policy,
    pairs: PairSet,
    held: HeldOut,
    places: Places,
    options: TrainingOptions,
    progress: Progress | None,
) -> UpdateReport:
    """In this process, or in several that load the policy themselves and are not looked at."""
    work = places.work.update(places.key, options, pairs.pairs)
    if options.processes == 1:
        look = looker(policy, held.pairs, options)
        report = update(
            policy, pairs.pairs, options,
            work=work, curves=places.curves, look=look, progress=progress,
        )  # fmt: skip
        policy.save(places.folder)
        return report
    policy.model.cpu()
    torch.cuda.empty_cache()  # for the processes; does nothing where there is no GPU
    job = Job(
        source=places.source,
        folder=str(places.folder),
        work=str(work),
        curves=str(places.curves or ""),
        options=options,
        pairs=pairs.pairs,
    )
    return update_on(job, progress)


def _drawn(
    policy: Policy,
    places: Places,
    material: Material,
    options: TrainingOptions,
    scorer: Scorer | None,
    progress: Progress | None,
) -> tuple[Drawn, Drawn]:
    """For the batch, and for what is held out: apart, so that the one never moves the other."""
    drawn_from, key = policy, places.key
    if options.draw_from == "base" and places.base != places.source:
        trusted = places.base in options.trust_remote_code
        drawn_from, key = load(places.base, trusted=trusted), fingerprint(places.base)
    sampler = chosen(drawn_from, options, progress)
    if isinstance(sampler, HfSampler):  # an endpoint keeps what it was paid for itself
        sampler = KeptSampler(
            inner=HfSampler(policy=drawn_from),
            policy=drawn_from,
            path=places.work.samples,
            key=key,
            progress=progress,
        )
    unseen = [Task(example=example, method=drift(options)) for example in material.heldout]
    ranked = scorer or FeedbackScorer(
        policy=policy, max_prompt_tokens=options.max_prompt_tokens, batch=options.batch_size
    )
    return (
        draw(policy, material.tasks, options, sampler, ranked),
        draw(policy, unseen, options, sampler, ranked),
    )


def _held(policy: Policy, drawn: Drawn, material: Material, options: TrainingOptions) -> HeldOut:
    pairs = _fitted(policy, drawn.pairs(), options).pairs
    by_turn = {example.turn_id: example for example in material.heldout}
    takes_system = policy.takes_system()
    canaries = [formed(example, takes_system=takes_system) for example in material.canaries]
    return HeldOut(
        pairs=pairs,
        examples=tuple(replace(by_turn[pair.turn_id], prompt=pair.prompt) for pair in pairs),
        canaries=tuple(
            replace(one, prompt=fitted(policy, one, options.max_prompt_tokens))
            for one in canaries
            if policy.renders(one.prompt, one.accepted or "")
        ),
    )


def _fitted(policy: Policy, made: PairSet, options: TrainingOptions) -> PairSet:
    """Pairs whose prompts fit; TRL would drop longer ones without a word."""
    limit = options.max_prompt_tokens
    return replace(
        made,
        pairs=tuple(
            structs.replace(pair, prompt=fit(pair.prompt, limit, policy.prompt_size).prompt)
            for pair in made.pairs
        ),
    )


def _check_pairs(pairs: PairSet, turns: int) -> None:
    if not pairs.pairs:
        raise TrainingFailed(
            f"None of {turns} turns makes a pair to train on: {pairs.filtered}. Nothing was "
            "registered and the batch was given back; look at the policy and its chat "
            "template, and at max_new_tokens, keep_cut_off and max_feedback_gain in [training]."
        )


def _scores(policy: Policy, pairs: PairSet, options: TrainingOptions) -> list[PairScore]:
    return score_pairs(policy, pairs.pairs, max_length=options.max_length, batch=options.batch_size)


def _gradient(
    policy: Policy, pairs: PairSet, moved: Sequence[float], options: TrainingOptions
) -> Gradient | None:
    return gradient(policy, pairs.pairs, moved, beta=options.beta, max_length=options.max_length)


def _check_context(policy: Policy, options: TrainingOptions) -> None:
    window = getattr(policy.model.config.get_text_config(), "max_position_embeddings", None)
    needed = max(options.max_length, options.max_prompt_tokens + options.max_new_tokens)
    if window is not None and needed > window:
        raise SettingsError(
            f"{policy.source} reads {window} tokens at most, and [training] asks for {needed}: "
            "lower max_length, or max_prompt_tokens and max_new_tokens."
        )
