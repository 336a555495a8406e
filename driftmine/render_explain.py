"""The page of `driftmine explain`: the conversation with its evidence marked, then the verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from driftmine.render import facts, grid
from driftmine.render_detector import plain
from warehouse.records import Category, Role, SignalKind

if TYPE_CHECKING:
    from driftmine.explain import Explained, Explanation, Sign
    from mining.card import Thresholds
    from mining.detector import Word
    from warehouse.trail import StoredVerdict, Training

# Characters of a turn that are shown: all of most, and of a pasted document what rules read.
FIRST, LAST = 700, 300
# Not printable by Python's word, yet text: what breaks lines, and joins letters into one.
_KEPT = frozenset("\n\t\u200c\u200d")
_GONE = "\N{REPLACEMENT CHARACTER}"
_ROLES = {Role.USER: "bold cyan", Role.ASSISTANT: "bold green"}
_WHY_NOT = {
    "no_encoder": "not asked: the detector has none",
    "setting": 'not asked: [mining] encoder is "never"',
    "certain": "not asked: rules and linear model are certain",
    "language": "not asked: it does not know the language",
}


def explanation(shown: Explanation) -> RenderableType:
    """All of it; on a terminal in colour."""
    thresholds = shown.thresholds
    rows = [
        ("judged now by", f"{plain(shown.detector)} {plain(shown.detector_version)}"),
        ("thresholds", f"report {thresholds.report:.3f}, trainable {thresholds.trainable:.3f}"),
    ]
    if shown.other_versions:
        others = ", ".join(map(plain, shown.other_versions))
        rows.append(("NOT AS STORED", f"the stored verdicts that readers see are of {others}"))
    parts: list[RenderableType] = [
        facts(f"Conversation {plain(shown.conversation_id)}", rows),
        Text(""),
        *_conversation(shown),
    ]
    if not shown.follow_ups:
        parts.append(Text("No follow-up: no answer here is followed by a message of the user."))
    for found in shown.follow_ups:
        parts += [Text(""), *_follow_up(found, thresholds)]
    if seen := [row for found in shown.follow_ups for row in _seen(found)]:
        parts += [Text(""), facts("What readers see", seen)]
    return Group(*parts)


def _seen(found: Explained) -> Iterator[tuple[str, object]]:
    """Where it is not what is said here."""
    at = f"[{found.turn_index}]"
    if not found.as_stored:
        stored = "; ".join(
            f"{one.signal}, {one.probability:.3f} by {plain(one.detector)} "
            f"{plain(one.detector_version)}"
            for one in found.stored
            if one.current
        )
        yield f"{at} NOT AS STORED", f"{found.signal}, {found.probability:.3f} now; stored {stored}"
    if found.judged:
        yield f"{at} judge", "its word is in the stored evidence; no judge is asked here"


def _conversation(shown: Explanation) -> Iterator[Text]:
    signs = {found.turn_id: found.signs for found in shown.follow_ups}
    log = None
    marks: Sequence[Sign] = ()
    offset = 0  # of the message in the follow-up: its messages in a row are one text
    for said in shown.turns:
        if (said.log_date, said.source) != log:
            log = (said.log_date, said.source)
            yield Text(f"Night of {said.log_date}, {plain(said.source)}", style="italic")
        if said.turn_id in signs or said.role is not Role.USER:
            marks, offset = signs.get(said.turn_id, ()), 0
        by = f" {plain(said.model)}" if said.model else ""
        head = f"[{said.turn_index}] {said.role}{by}: "
        spans = [(sign.start - offset, sign.end - offset, sign.weight) for sign in marks]
        text = clipped(marked(said.content, spans))
        yield Text.assemble((head, _ROLES.get(said.role, "dim")), text)
        offset += len(said.content) + 1


def marked(text: str, spans: Sequence[tuple[int, int, float]] = ()) -> Text:
    """A user's text, harmless, with spans (start, end, weight) in brackets and in colour.

    Brackets too, for a file and a log have no colours. What lies outside of the text is left out.
    """
    shown = Text(harmless(text))
    held = [(max(start, 0), min(end, len(text)), weight) for start, end, weight in spans]
    held = sorted(span for span in held if span[0] < span[1])
    for start, end, weight in held:
        shown.stylize("bold red" if weight > 0 else "bold blue", start, end)
    parts: list[Text] = []
    last = 0
    for start, end in _joined([(start, end) for start, end, _ in held]):
        parts += [shown[last:start], Text("«", "dim"), shown[start:end], Text("»", "dim")]
        last = end
    return Text.assemble(*parts, shown[last:])


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted spans, those that overlap as one."""
    held: tuple[int, int] | None = None
    for start, end in spans:
        if held and start < held[1]:
            held = held[0], max(held[1], end)
            continue
        if held:
            yield held
        held = start, end
    if held:
        yield held


def harmless(text: str) -> str:
    """As long as before, and without a character that could steer a terminal or turn a line."""
    return "".join(c if c.isprintable() or c in _KEPT else _GONE for c in text)


def clipped(text: Text) -> Text:
    """Without the middle of a long text, its marks kept."""
    if len(text) <= FIRST + LAST:
        return text
    gap = Text(f" […{len(text) - FIRST - LAST:,} characters…] ", style="dim")
    return Text.assemble(text[:FIRST], gap, text[-LAST:])


def _follow_up(found: Explained, thresholds: Thresholds) -> Iterator[RenderableType]:
    called = f"{found.signal}, {found.category}" if _is_dsat(found) else str(found.signal)
    yield Text(f"[{found.turn_index}] {called}", style="bold red" if _is_dsat(found) else "bold")
    if found.signs:
        columns = ("sign", "speaks for", "log-odds", "where")
        yield grid("", columns, [_sign(sign) for sign in found.signs])
    yield facts("Stages", _stages(found, thresholds))
    yield facts("Stored verdicts", _stored(found.stored))
    yield facts("Training", _training(found))


def _is_dsat(found: Explained) -> bool:
    return found.signal is SignalKind.DSAT


def _sign(sign: Sign) -> tuple[str, str, str, str]:
    where = f"{sign.start}–{sign.end}" if sign.end > sign.start else "structure"
    speaks = str(sign.category) if sign.category else "the answer as a whole"
    return sign.rule, speaks, f"{sign.weight:+.2f}", where


def _stages(found: Explained, thresholds: Thresholds) -> Iterator[tuple[str, object]]:
    if not found.signs:
        yield "rules", "none hit, and no structural sign"
    yield "linear model", _word(found.linear)
    yield "the two together", f"{found.first:.3f}"
    yield "encoder", _word(found.encoder) if found.encoder else _WHY_NOT[str(found.not_asked)]
    yield "probability", f"{found.probability:.3f}: {_against(found.probability, thresholds)}"


def _against(p: float, thresholds: Thresholds) -> str:
    sides = {"report": thresholds.report, "trainable": thresholds.trainable}
    return ", ".join(
        f"{'at or above' if p >= bound else 'below'} {name} {bound:.3f}"
        for name, bound in sides.items()
    )


def _word(word: Word) -> str:
    likeliest = sorted(word.classes.items(), key=lambda one: -one[1])[:3]
    classes = ", ".join(f"{Category(name)} {share:.2f}" for name, share in likeliest)
    return f"DSAT {word.dsat:.3f} ({classes})"


def _stored(verdicts: Sequence[StoredVerdict]) -> Iterator[tuple[str, object]]:
    if not verdicts:
        yield "none", "the night is not mined, or not since this turn came"
    trainable = {True: ", trainable", None: ""}
    for one in verdicts:
        kept = trainable.get(
            one.trainable, f", not trainable: {plain(str(one.untrainable_reason))}"
        )
        bound = "" if one.report_threshold is None else f" (report {one.report_threshold:.3f})"
        seen = "" if one.current else ", not shown to readers"
        yield (
            f"{plain(one.detector)} {plain(one.detector_version)}",
            f"{one.category}, {one.probability:.3f}{bound}{kept}{seen}",
        )


def _training(found: Explained) -> Iterator[tuple[str, object]]:
    if _is_dsat(found):
        yield "trainable now", "yes" if found.trainable else f"no: {found.untrainable_reason}"
    if found.held_out:
        yield "held out", "yes: the conversation is kept for the gate, and never trained on"
    if found.leased:
        yield "leased", f"batch {plain(found.leased)} is being trained on now"
    if not found.trained:
        yield "trained on", "no"
    for one in found.trained:
        yield "trained on", _trained(one)


def _trained(one: Training) -> str:
    said = (
        f"batch {plain(one.batch_id)} made {plain(one.model_version)} "
        f"({'promoted' if one.promoted else 'held by its gate'}), from "
        f"{plain(one.parent or 'the first policy')}, stream {plain(one.stream)}"
    )
    later = ", ".join(map(plain, one.later))
    return f"{said}; later versions that come of it: {later}" if later else said
