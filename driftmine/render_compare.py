"""Tables of `driftmine detector compare`. Intervals are 95%."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from driftmine.render import facts, grid
from driftmine.render_detector import confusion, interval, plain

if TYPE_CHECKING:
    from driftmine.compare import Example, Side
    from mining.compare import Both, Comparison, Rate


def comparison(
    found: Comparison, sides: Sequence[Side], examples: Sequence[Sequence[Example]]
) -> RenderableType:
    """All of it."""
    parts: list[RenderableType] = [
        facts("Comparison", _head(found, sides)),
        _split("model", found.by_model),
        _split("language", found.by_language),
        confusion("Follow-ups by A (down) and by B: signals", found.signals),
        confusion("Follow-ups by A (down) and by B: categories", found.categories),
    ]
    counts = (found.dsat_in_a, found.dsat_in_b)
    for name, count, shown in zip("AB", counts, examples, strict=True):
        parts.append(_changed(name, count, shown))
    return Group(*(part for block in parts for part in (block, Text(""))))


def _head(found: Comparison, sides: Sequence[Side]) -> Iterator[tuple[str, object]]:
    for name, side in zip("AB", sides, strict=True):
        how = "as stored" if side.stored else "run now, nothing published"
        yield name, f"{plain(side.detector)} {plain(side.version)}, {how}"
    yield "follow-ups that both judged", found.n
    yield "only in A, only in B", f"{found.only_in_a:,}, {found.only_in_b:,}"
    for name, rate in (("A", found.all.a), ("B", found.all.b)):
        yield f"DSAT by {name}", f"{_rate(rate)}; {rate.trainable:,} trainable"
    yield "7 categories: kappa", interval(found.kappa)
    yield "  agreement", interval(found.agreement)
    yield "DSAT or not: kappa", interval(found.kappa_dsat)
    yield "  agreement", interval(found.agreement_dsat)


def _rate(rate: Rate) -> str:
    if rate.rate is None:
        return f"{rate.dsat:,}"
    return f"{rate.dsat:,}, {rate.rate:.1%} ({rate.low:.1%}–{rate.high:.1%})"


def _split(of: str, parts: Mapping[str, Both]) -> RenderableType:
    columns = (of, "rows", "DSAT by A", "DSAT by B", "trainable")
    rows = [
        (plain(name), both.n, _share(both.a), _share(both.b),
         f"{both.a.trainable:,} / {both.b.trainable:,}")
        for name, both in parts.items()
    ]  # fmt: skip
    return grid("", columns, rows)


def _share(rate: Rate) -> str:
    return "-" if rate.rate is None else f"{rate.rate:.1%} ({rate.low:.0%}–{rate.high:.0%})"


def _changed(name: str, count: int, examples: Sequence[Example]) -> Text:
    lines = [Text(f"DSAT by {name} alone: {count:,}", style="bold")]
    for one in examples:
        change = one.change
        lines += [
            Text(
                f"  {plain(change.conversation_id)}: A {change.category_a} "
                f"{change.probability_a:.2f}, B {change.category_b} {change.probability_b:.2f}"
            ),
            Text(f"    answer: {plain(one.answer)}", style="dim"),
            Text(f"    follow-up: {plain(one.follow_up)}"),
        ]
    return Text("\n").join(lines)
