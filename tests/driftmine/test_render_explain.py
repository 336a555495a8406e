"""Evidence is marked where it stands, and a user's text steers nothing."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from driftmine.render_explain import FIRST, LAST, clipped, harmless, marked

MARKED = {
    "one span": ("no, wrong", [(4, 9, 1.0)], "no, «wrong»"),
    "two that overlap": ("no, wrong", [(0, 5, 1.0), (4, 9, -1.0)], "«no, wrong»"),
    "two that touch": ("no, wrong", [(0, 4, 1.0), (4, 9, 1.0)], "«no, »«wrong»"),
    "a structural sign": ("no, wrong", [(0, 0, 1.0)], "no, wrong"),
    "outside": ("no", [(-4, -1, 1.0), (5, 9, 1.0)], "no"),
    "partly outside": ("no, wrong", [(-4, 2, 1.0), (4, 99, 1.0)], "«no», «wrong»"),
    "markup": ("[bold]no[/bold]", [(0, 6, 1.0)], "«[bold]»no[/bold]"),
}


@pytest.mark.parametrize("text, spans, shown", MARKED.values(), ids=MARKED)
def test_spans_are_marked(text: str, spans: list, shown: str) -> None:
    assert marked(text, spans).plain == shown


@given(st.text())
def test_no_character_steers_a_terminal_or_moves_a_span(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert all(c.isprintable() or c in "\n\t\u200c\u200d" for c in shown)


def test_colour_is_for_terminals_only() -> None:
    text = marked("no, wrong", [(4, 9, 1.0)])
    for force, coloured in ((True, True), (False, False)):
        out = io.StringIO()
        Console(file=out, force_terminal=force, color_system="standard" if force else None).print(
            text
        )
        assert ("\x1b[" in out.getvalue()) is coloured


def test_the_middle_of_a_long_text_is_left_out() -> None:
    text = marked("a" * 5_000 + " end")
    shown = clipped(text).plain
    assert shown.endswith(" end")
    assert "…4,004 characters…" in shown
    assert len(shown) < FIRST + LAST + 40
    assert clipped(marked("a" * (FIRST + LAST))).plain == "a" * (FIRST + LAST)
