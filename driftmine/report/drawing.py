"""The look of every plot, and how one becomes a PNG. Matplotlib is loaded here, when one is drawn.

Figures are objects of their own: pyplot's list of open figures, and its choice of a window
system, play no part.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from warehouse.durable import write_whole
from warehouse.errors import MissingExtra

# The report page's colours, on white.
INK, SOFT, LINE, SEAM, BAND, CALM = (
    "#1d2126", "#66707c", "#dfe3e8", "#b4561f", "#f0d3bf", "#5f86a8",
)  # fmt: skip
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "font.size": 10.0,
    "text.color": INK,
    "text.parse_math": False,  # a name with dollars in it is a name
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
}
DPI = 160


def png(paint: Callable[..., None], size: tuple[float, float], *of: object) -> bytes:
    """What `paint(figure, *of)` draws on a figure of `size` inches. Raises MissingExtra."""
    with loaded() as (Figure, Canvas):
        figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
        canvas = Canvas(figure)
        paint(figure, *of)
        out = io.BytesIO()
        canvas.print_png(out)
    return out.getvalue()


@contextmanager
def loaded() -> Iterator[tuple[Any, Any]]:
    """Figure and canvas classes, under `STYLE`; the settings of before come back after.

    Raises MissingExtra without matplotlib.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "Plots need matplotlib: pip install '.[detector]'. The numbers are all there."
        ) from error
    with matplotlib.rc_context(STYLE):
        yield Figure, FigureCanvasAgg


def keep(folder: Path, names: Sequence[str], drawn: Mapping[str, bytes]) -> tuple[str, ...]:
    """Write plots into `folder`, made where it is missing; of `names` the others go."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in {*names} - {*drawn}:
        (folder / f"{name}.png").unlink(missing_ok=True)
    for name, png in drawn.items():
        write_whole(folder / f"{name}.png", png)
    return tuple(str(folder / f"{name}.png") for name in drawn)
