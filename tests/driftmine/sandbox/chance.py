"""What these tests share: tasks at random, and how far a share may lie from its probability."""

import math
import random

from hypothesis import strategies as st

from driftmine.sandbox.tasks import draw

DRAWN = st.integers(0, 2**32).map(lambda seed: draw(random.Random(seed)))


def tasks(n, seed=0):
    """The same `n` tasks for a seed."""
    rng = random.Random(seed)
    return [draw(rng) for _ in range(n)]


def plausible(hits, n, probability):
    """Whether `hits` of `n` is within 4.5 standard deviations: one in 150,000 is not."""
    return abs(hits - n * probability) <= 4.5 * math.sqrt(n * probability * (1 - probability))
