"""How pairs go through an update: rows of a dataset, batches of like length, equal passes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from training.options import TrainingOptions
from training.policy import Policy
from warehouse.records import PreferencePair


def row(pair: PreferencePair) -> dict[str, Any]:
    """A pair in TRL's conversational form, which goes through the policy's chat template."""
    return {
        "prompt": [{"role": str(m.role), "content": m.content} for m in pair.prompt],
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
    }


def tokens(policy: Policy, pair: PreferencePair) -> int:
    """Of the prompt and the longer answer."""
    rows = [policy.answer_ids(pair.prompt, text) for text in (pair.chosen, pair.rejected)]
    return max(len(asked) + len(answered) for asked, answered in rows)


def bucketed(lengths: Sequence[int], size: int, seed: int) -> list[int]:
    """Positions in batches of like length, in drawn order; TRL's own grouping crashes.

    A batch that is not full comes last, or it would shift those behind it.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    full = len(order) - len(order) % size
    batches = [order[i : i + size] for i in range(0, full, size)]
    random.Random(seed).shuffle(batches)
    return [position for batch in (*batches, order[full:]) for position in batch]


def pass_pairs(longest: int, options: TrainingOptions) -> int:
    """Pairs of one forward pass: a step is cut into equal parts that keep `max_pass_tokens`."""
    width = 2 * min(longest, options.max_length)
    parts = [n for n in range(1, options.batch_size + 1) if options.batch_size % n == 0]
    return max([n for n in parts if n * width <= options.max_pass_tokens], default=1)
