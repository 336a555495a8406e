"""Precision, recall and speed of redaction.

    python bench/redaction.py [CASES.jsonl] [--logs LOG.jsonl[.gz]...] [--failures]

CASES has a text a line: {"id", "kind", "class", "text", "spans": [[start, end, kind], ...],
"language", "country"}; spans count characters; a look-alike has no spans. `--failures` also prints
the development cases that are read wrongly, and never a held-out one. The rules
were written with the cases whose id ends in an even digit (development) in sight; the others
(held out) were only ever measured. A span counts as found where one of the right kind overlaps at
least half of it, and a found span as right where it overlaps at least half of itself with one.
Intervals are Wilson's, 95%. Speed is in microseconds of CPU per kB (1,000 bytes of UTF-8), the
best of three rounds, over the conversations of each log.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ingestion.redact.options import Kind
from ingestion.redact.redactor import Redactor

CASES = Path(__file__).parent / "redaction" / "cases.jsonl"
PLACEHOLDER = re.compile(rf"\[({'|'.join(Kind)})_\d+\]")
ROUNDS = 3

Span = tuple[int, int, str]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", type=Path, nargs="?", default=CASES)
    parser.add_argument("--logs", type=Path, nargs="*", default=[])
    parser.add_argument("--failures", action="store_true")
    arguments = parser.parse_args()
    redactor = Redactor()
    cases = [json.loads(line) for line in arguments.cases.read_text().splitlines()]
    halves: dict[str, list[Any]] = {"development": [], "held_out": []}
    for case in cases:
        halves["held_out" if int(case["id"][-1]) % 2 else "development"].append(case)
    for name, half in halves.items():
        for figure, values in measure(redactor, half).items():
            print(json.dumps({"half": name, "figure": figure, **values}))
    if arguments.failures:
        for failure in failures(redactor, halves["development"]):
            print(json.dumps(failure, ensure_ascii=False))
    print(json.dumps({"figure": "us_per_kb", **speed(redactor, arguments.logs)}))


def measure(
    redactor: Redactor, cases: Sequence[dict[str, Any]]
) -> dict[str, dict[str, list[float]]]:
    """Figures of one half, by kind or class: [share, low, high, of how many]."""
    true, hit, said, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    altered: defaultdict[str, list[bool]] = defaultdict(list)
    for case in cases:
        expected = [(start, end, kind) for start, end, kind in case["spans"]]
        spans = found_spans(redactor, case)
        if not expected:
            altered[case["class"]].append(bool(spans))
        for span in expected:
            true[span[2]] += 1
            hit[span[2]] += any(covers(span, other) for other in spans)
        for span in spans:
            said[span[2]] += 1
            right[span[2]] += any(covers(span, other) for other in expected)
    return {
        "recall": by_kind(hit, true),
        "precision": by_kind(right, said),
        "look_alikes_altered": {
            "all": wilson(sum(map(sum, altered.values())), sum(map(len, altered.values()))),
            **{name: wilson(sum(hits), len(hits)) for name, hits in sorted(altered.items())},
        },
    }


def found_spans(redactor: Redactor, case: dict[str, Any]) -> list[Span]:
    """What was replaced, in characters of the text: read from the redacted text."""
    text = case["text"]
    done = redactor.redact([text], language=case["language"], country=case.get("country")).texts[0]
    kept = [re.escape(piece) for piece in PLACEHOLDER.split(done)[::2]]
    match = re.fullmatch("(.+?)".join(kept), text, re.DOTALL)
    if match is None:
        raise ValueError(f"case {case['id']}: its text holds a placeholder of its own")
    return [(*match.span(i + 1), kind) for i, kind in enumerate(PLACEHOLDER.findall(done))]


def covers(span: Span, other: Span) -> bool:
    """Whether `other` is of the same kind and overlaps at least half of `span`."""
    overlap = min(span[1], other[1]) - max(span[0], other[0])
    return span[2] == other[2] and 2 * overlap >= span[1] - span[0]


def failures(
    redactor: Redactor, cases: Sequence[dict[str, Any]]
) -> Iterator[dict[str, str | list[str]]]:
    """What was missed in a case, and what was found that isn't there."""
    for case in cases:
        expected = [(start, end, kind) for start, end, kind in case["spans"]]
        spans = found_spans(redactor, case)
        missed = unmatched(expected, spans, case["text"])
        wrong = unmatched(spans, expected, case["text"])
        if missed or wrong:
            yield {"figure": "failure", "id": case["id"], "missed": missed, "wrong": wrong}


def unmatched(spans: Sequence[Span], others: Sequence[Span], text: str) -> list[str]:
    return [
        f"{kind}: {text[start:end]}"
        for start, end, kind in spans
        if not any(covers((start, end, kind), other) for other in others)
    ]


def by_kind(hits: Counter[str], of: Counter[str]) -> dict[str, list[float]]:
    kinds = {kind.value: wilson(hits[kind], of[kind]) for kind in Kind if of[kind]}
    return {"all": wilson(hits.total(), of.total()), **kinds}


def wilson(k: int, n: int) -> list[float]:
    """[share, low, high, n] of k in n, with Wilson's score interval at 95%."""
    if not n:
        return [0.0, 0.0, 1.0, 0]
    z = 1.959964
    centre = (k + z * z / 2) / (n + z * z)
    half = z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return [round(k / n, 3), round(max(0, centre - half), 3), round(min(1, centre + half), 3), n]


def speed(redactor: Redactor, logs: Sequence[Path]) -> dict[str, float]:
    samples = {log.name: list(conversations(log)) for log in logs}
    samples["synthetic, nothing in it"] = [["How do I sort a list by two keys?", PLAIN] * 4] * 500
    samples["synthetic, one in every turn"] = [
        [f"I am jo{i}@example.com. {PLAIN}" for i in range(8)]
    ] * 100
    return {name: rate(redactor, texts) for name, texts in samples.items()}


def rate(redactor: Redactor, sample: Sequence[list[str]]) -> float:
    size = sum(len(text.encode()) for texts in sample for text in texts) / 1000
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for texts in sample:
            redactor.redact(texts, language="en", country=None)
        seconds.append(time.process_time() - start)
    return round(min(seconds) / size * 1e6, 2)


def conversations(log: Path) -> Iterator[list[str]]:
    """The texts of each conversation of an openai or a sharegpt log."""
    with gzip.open(log, "rt") if log.suffix == ".gz" else log.open() as lines:
        for line in lines:
            record = json.loads(line)
            if "messages" in record:
                yield [message["content"] for message in record["messages"]]
            else:
                yield [message["value"] for message in record["conversations"]]


PLAIN = """Sort by a tuple: sorted(rows, key=lambda row: (row.year, -row.price)). It is stable, so
rows that are equal keep their order. In 2024 the list had 1,250 entries, of which 37 cost more than
$19.99; version 3.11.4 sorted them in 0.42 ms. Use operator.attrgetter("year", "price") where both
go up, and functools.cmp_to_key for rules that no key can say.
"""

if __name__ == "__main__":
    main()
