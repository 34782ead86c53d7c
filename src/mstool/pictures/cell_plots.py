"""Cells of a study side by side: scores with their intervals and every repeat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mstool.pictures.colours import BLACK, BLUE

_LONGEST = 44  # letters of a name that fit


@dataclass(frozen=True)
class PlottedCell:
    """A row of the plot.

    Attributes
    ----------
    name : str
        Of the cell.
    value : float
        What is plotted [1]; NaN where there is none.
    interval : tuple of float or None
        Low and high.
    repeats : tuple of float
        The same of each repeat; none are drawn where there is but one.
    is_solid : bool
        Whether its dot is filled: a score, or a difference that is told.
    is_base : bool
        Whether it is the cell that others are compared with.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    repeats: tuple[float, ...]
    is_solid: bool
    is_base: bool = False


def draw_cells(rows: Sequence[PlottedCell], axis: str, is_difference: bool) -> Figure:
    """Draw a row a cell, the first on top: dot, interval as a line, repeats as diamonds.

    Parameters
    ----------
    axis : str
        Title of the axis, with its unit.
    is_difference : bool
        Whether there is a line at 0.
    """
    figure = Figure(figsize=(5, 0.62 * len(rows) + 0.75), layout="constrained")
    axes = figure.subplots()
    if is_difference:
        axes.axvline(0, color=BLACK, lw=1, ls=":")
    for place, row in enumerate(rows):
        _draw_row(axes, place, row, BLACK if row.is_base else BLUE)
    axes.set(xlabel=axis, yticks=[], ylim=(len(rows) - 0.45, -0.75))
    axes.set_xlim(*_limits(rows, is_difference))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.spines["left"].set_visible(False)
    axes.grid(alpha=0.35, axis="x")
    return figure


def _draw_row(axes: Axes, place: int, row: PlottedCell, colour: str) -> None:
    name = row.name if len(row.name) <= _LONGEST else row.name[: _LONGEST - 1] + "…"
    axes.text(0.0, place - 0.3, name, transform=axes.get_yaxis_transform(), va="center")
    if row.interval is not None:
        axes.plot(row.interval, [place, place], color=colour, lw=2, solid_capstyle="butt")
    if len(row.repeats) > 1:
        places = [place + 0.24] * len(row.repeats)
        axes.plot(row.repeats, places, "D", ms=4, mfc="none", mec=colour, mew=1)
    fill = colour if row.is_solid else "#ffffff"
    axes.plot([row.value], [place], "o", ms=7, mfc=fill, mec=colour, mew=1.6)


def _limits(rows: Sequence[PlottedCell], is_difference: bool) -> tuple[float, float]:
    """Ends of the axis: all that is drawn, and 0 in differences."""
    values = [row.value for row in rows] + [end for row in rows for end in row.interval or ()]
    values += [repeat for row in rows for repeat in row.repeats]
    values = np.array([value for value in values if np.isfinite(value)] + [0.0] * is_difference)
    if not len(values):
        return 0.0, 1.0
    room = max(0.06 * np.ptp(values), 0.005)
    return float(values.min() - room), float(values.max() + room)
