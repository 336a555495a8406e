"""What a limit to `max_feedback_gain` does to the pairs of a night of the sandbox.

    python bench/off_request.py HOME/sandbox/drift-seed0 --night 1

Draws a chosen answer for every turn of that night's batch, from the policy that the night began
with, and checks both answers of each pair against the truth. One draw, and no other filter: those
that the night left out for another reason, and drew once more, are among them. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import duckdb

from driftmine.sandbox import oracle
from driftmine.sandbox.truth import faults
from training import registry
from training.examples import Example
from training.manifest import Manifest
from training.methods import guided_prompt
from training.options import TrainingOptions
from training.policy import Policy, load
from training.samplers.base import Sampling
from training.samplers.hf import HfSampler
from training.scorers.feedback import FeedbackScorer
from warehouse.records import Message

LIMITS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, float("inf"))
TOKENS, PROMPT = 48, 384  # as the sandbox has them
TURNS = """
SELECT d.turn_id, d.conversation_id, s.turn_index - 1, d.context, d.answer, d.feedback
FROM dsat_turns d JOIN signals s USING (turn_id) WHERE list_contains($ids, d.turn_id)
ORDER BY d.turn_id"""


@dataclass(frozen=True)
class Pair:
    """One turn, and what was drawn for it."""

    gain: float  # nats a token of the chosen answer, by the follow-up
    chosen_right: bool
    rejected_wrong: bool
    complaint: bool  # the user was dissatisfied


def pairs(run: Path, manifest: Manifest, policy: Policy) -> list[Pair]:
    """Of the batch that a version was trained on."""
    truth = {
        (one.conversation_id, one.turn_index): one
        for one in oracle.truth_of(*sorted((run / "truth").iterdir()))
    }
    with duckdb.connect(str(run / "home/warehouse/warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(TURNS, {"ids": list(manifest.turn_ids)}).fetchall()
    examples = [
        Example(
            turn_id=turn,
            prompt=tuple(Message(role=one["role"], content=one["content"]) for one in context),
            rejected=answer,
            feedback=feedback,
        )
        for turn, _, _, context, answer, feedback in rows
    ]
    asked = TrainingOptions()
    sampling = Sampling(
        temperature=asked.temperature, top_p=asked.top_p, max_new_tokens=TOKENS,
        max_prompt_tokens=PROMPT, batch=256,
    )  # fmt: skip
    prompts = [guided_prompt(one) for one in examples]
    chosen = [one.text for one in HfSampler(policy=policy).sample(prompts, sampling, 0)]
    scorer = FeedbackScorer(policy=policy, max_prompt_tokens=PROMPT, batch=64)
    gains = scorer.score(examples, [[text] for text in chosen])
    seen = [truth[conversation, index] for _, conversation, index, *_ in rows]
    return [
        Pair(gain, not faults(one.task, text), bool(one.faults), one.dissatisfied)
        for one, text, (gain,) in zip(seen, chosen, gains, strict=True)
    ]


def main() -> None:
    """Draw, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--night", type=int, default=1)
    asked = parser.parse_args()
    models = asked.run / "home/models"
    versions = registry.versions(models)
    night = json.loads((asked.run / f"nights/{asked.night}.json").read_text())
    if night["version"] is None:
        raise SystemExit(f"night {asked.night} made no update: {night['note']}")
    manifest = registry.read(models, night["version"])
    parent = manifest.parent
    policy = load(str(registry.folder(models, parent)) if parent in versions else parent)
    drawn = pairs(asked.run, manifest, policy)
    print("| limit, nats a token | pairs | of complaints | rejected wrong | chosen right | both |")
    print("|---|---|---|---|---|---|")
    for limit in LIMITS:
        kept = [one for one in drawn if one.gain <= limit]
        if not kept:
            print(f"| {limit:g} | 0 | | | | |")
            continue
        shares = (
            fmean(one.complaint for one in kept),
            fmean(one.rejected_wrong for one in kept),
            fmean(one.chosen_right for one in kept),
            fmean(one.chosen_right and one.rejected_wrong for one in kept),
        )
        told = " | ".join(f"{share:.3f}" for share in shares)
        print(f"| {limit:g} | {len(kept)} | {told} |")


if __name__ == "__main__":
    main()
