"""The weight of every rule and sign, counted on labelled follow-ups.

    python bench/rule_weights.py FILE...    # labelled *.jsonl files; docs/detection.md

A line a rule: hits, the DSAT among them, how much DSAT so many follow-ups of the same files hold,
the weight, and hits / DSAT of each file. The weight is the log-odds of DSAT given a hit, over the
base, with SMOOTHING hits at the base added: few hits say little. A rule's base is the mean of its
hits' files. Follow-ups to an answer that asked something are left out, but for the sign that says
so: hardly any are DSAT, whatever they say.

Where a rule has fewer than ENOUGH hits, the weight of its prior, times CAUTION, fills them up.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mining import phrases
from mining.answers import AnswerState
from mining.heuristics import Reading, read
from mining.labelled import read_labelled
from mining.rulefile import Rule, Sign
from mining.rules import load_lexicon
from warehouse.records import SignalKind

SMOOTHING = 4.0
ENOUGH = 8
CAUTION = 0.7
ASKED = "answer_asked_v1"


class Count:
    """Hits of every rule in one file."""

    def __init__(self, rows: Iterable[tuple[Reading, bool]]) -> None:
        self.hits: Counter[str] = Counter()
        self.dsat: Counter[str] = Counter()
        self._base = {True: [0, 0], False: [0, 0]}  # of all rows, and of those that reply to none
        for reading, dsat in rows:
            asked = reading.answer_state is AnswerState.ASKED
            for everything in (True, False):
                if everything or not asked:
                    self._base[everything][0] += dsat
                    self._base[everything][1] += 1
            counted = {ASKED} if asked else {e.rule for e in reading.evidence}
            self.hits.update(counted)
            if dsat:
                self.dsat.update(counted)

    def base(self, rule: str) -> float:
        """Share of DSAT among all follow-ups that could have hit."""
        dsat, rows = self._base[rule == ASKED]
        return dsat / rows


def weight(hits: int, dsat: int, base: float) -> float:
    """Smoothed log-odds of DSAT given a hit, over the base."""
    share = (dsat + SMOOTHING * base) / (hits + SMOOTHING)
    return math.log(share / (1 - share)) - math.log(base / (1 - base))


def counts(paths: Sequence[Path]) -> list[Count]:
    lexicon = load_lexicon(phrases.load)
    return [
        Count(
            (read(row.follow_up, lexicon), row.signal is SignalKind.DSAT)
            for row in read_labelled(path)
            if row.signal is not None
        )
        for path in paths
    ]


class Tally(NamedTuple):
    """One rule in all files."""

    hits: int
    dsat: int
    base: float
    weight: float
    each: str  # DSAT/hits of each file


def tallies(names: Mapping[str, Rule | Sign], found: Sequence[Count]) -> dict[str, Tally]:
    """Of every rule; priors count with the weight that these files give them."""

    def tally(name: str) -> Tally:
        hits = sum(count.hits[name] for count in found)
        dsat = sum(count.dsat[name] for count in found)
        weighed = [(count.hits[name] if hits else 1, count.base(name)) for count in found]
        base = sum(n * share for n, share in weighed) / sum(n for n, _ in weighed)
        own = weight(hits, dsat, base)
        prior = names[name].prior
        if prior and hits < ENOUGH:
            lent = CAUTION * tally(prior).weight
            own = lent + (own - lent) * hits / ENOUGH
        each = " ".join(f"{count.dsat[name]}/{count.hits[name]}" for count in found)
        return Tally(hits, dsat, base, own, each)

    return {name: tally(name) for name in names}


def main(paths: Sequence[Path]) -> None:
    lexicon = load_lexicon(phrases.load)
    names: dict[str, Rule | Sign] = {**lexicon.rules, **lexicon.signs}
    for name, found in tallies(names, counts(paths)).items():
        prior = f" prior {names[name].prior}" if names[name].prior else ""
        print(
            f"{name:28} {found.weight:+.2f}   {found.dsat} of {found.hits} hits are DSAT,"
            f" base {found.base:.0%}   {found.each}{prior}"
        )


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
